"""A small site and short words for tests of the semantics."""

import dataclasses
from datetime import UTC, datetime
from ipaddress import ip_address

from intent.model import (
    Action,
    Direction,
    Intents,
    Network,
    Operator,
    Policy,
    Posture,
    Requirement,
    Rule,
    Selector,
    SelectorPeer,
    Tier,
)
from intent.semantics import (
    ByRules,
    judge,
)
from topology.model import NETWORK_LABEL, Endpoint, Inventory, Location, NamedPort
from topology.packet import TCP, Opening

NOW = datetime(2024, 5, 15, 12, 0, tzinfo=UTC)
ALLOW, DENY, REJECT, PASS = Action.ALLOW, Action.DENY, Action.REJECT, Action.PASS
WORLD = "192.0.2.9"
TIERS = (Tier("first"), Tier("pods", isolating=True), Tier("last"))


def endpoint(name, number, network="lan", ports=(), **labels):
    location = Location(1, number, f"v{number}", f"row-{number}")
    addresses = (ip_address(f"10.0.0.{number}"), ip_address(f"fd00::{number}"))
    mac = f"02:00:00:00:00:0{number}"
    return Endpoint(name, network, {NETWORK_LABEL: network, **labels}, mac, addresses, ports, location)


WEB = endpoint("web", 1, app="web")
DB = endpoint("db", 2, app="db", ports=(NamedPort("sql", TCP, 5432),))
OTHER = dataclasses.replace(
    endpoint("other", 1, network="far", app="web"), mac="02:00:00:00:00:0a", location=Location(1, 10, "v10", "row-10")
)
INVENTORY = Inventory({e.name: e for e in (WEB, DB, OTHER)})


def label(key, operator=Operator.IN, *values):
    return Selector((Requirement(key, operator, frozenset(values)),))


def app(*values):
    return SelectorPeer(label("app", Operator.IN, *values))


def rule(name, action, from_=None, to=None, **more):
    return Rule(name, action, from_, to, **more)


def policy(name, *rules, tier="first", order=0, **more):
    return Policy(name, tier, order, rules, **more)


EVERYBODY = Selector()


def isolate(name, *rules, subject=EVERYBODY, directions=(Direction.INGRESS,), tier="pods", **more):
    return policy(name, *rules, tier=tier, subject=subject, directions=frozenset(directions), **more)


def intents(*policies, groups=(), services=(), posture=Posture.DENY):
    return Intents(
        networks={"lan": Network("lan", posture), "far": Network("far", Posture.ALLOW)},
        policies={p.name: p for p in policies},
        groups={g.name: g for g in groups},
        services={s.name: s for s in services},
        tiers=TIERS,
    )


def opening(src="10.0.0.1", dst="10.0.0.2", protocol=TCP, dport=80, network="lan", **more):
    return Opening(network, ip_address(src), ip_address(dst), protocol, dport=dport, **more)


def verdict(*policies, of=None, **more):
    return judge(intents(*policies, **more), INVENTORY, of or opening(), now=NOW).verdict


def deciders(ruling):
    assert isinstance(ruling.because, ByRules)
    return {f"{d.policy}/{d.rule}" for d in ruling.because.deciders}

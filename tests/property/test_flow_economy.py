"""A switch holds few flows: so many an endpoint, so many a rule, and nothing that is their product."""

from ipaddress import IPv4Address, IPv6Address

import pytest

from intent.compiler import IdMap, allocate, compile_program
from intent.model import (
    Action,
    Intents,
    Network,
    Operator,
    Policy,
    PortRange,
    Requirement,
    Rule,
    Selector,
    SelectorPeer,
    ServiceMatch,
)
from topology.model import NAME_LABEL, NETWORK_LABEL, Endpoint, Inventory, Location
from topology.packet import TCP

APP_SIZE = 10
TIERS = ("web",) * 3 + ("app",) * 4 + ("db",) * 3
PER_ENDPOINT = {(4,): 6, (4, 6): 10}
PER_RULE = {(4,): 8, (4, 6): 14}


@pytest.mark.parametrize("versions", PER_ENDPOINT, ids=["ipv4", "dual-stack"])
@pytest.mark.parametrize("count", [100, 1000])
def test_flows_are_few_and_grow_with_endpoints_plus_rules(count, versions):
    intents, inventory = three_tiers(count // APP_SIZE), Inventory({e.name: e for e in endpoints(count, versions)})
    rules = sum(len(p.rules) for p in intents.policies.values())
    program = compile_program(intents, inventory, 1, allocate(intents, inventory, IdMap(), 0))
    allowed = PER_ENDPOINT[versions] * count + PER_RULE[versions] * rules
    print(f"{count} endpoints, {rules} rules: {len(program)} flows, {allowed} allowed")
    assert len(program) <= allowed


def endpoints(count, versions):
    for number in range(count):
        v4, v6 = IPv4Address("10.0.0.0") + number + 1, IPv6Address("fd00::") + number + 1
        name = f"e{number}"
        labels = {"app": f"a{number // APP_SIZE}", "tier": TIERS[number % APP_SIZE]}
        yield Endpoint(
            name,
            "lan",
            {NETWORK_LABEL: "lan", NAME_LABEL: name, **labels},
            f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}",
            (v4, v6) if 6 in versions else (v4,),
            (),
            Location(1, number + 1, f"v{number}", f"row-{number}"),
        )


def three_tiers(apps):
    """Each app: anybody to web 443, web to app 8080, app to db 5432; nothing else."""
    policies = {}
    for number in range(apps):
        web, app, db = (member(f"a{number}", tier) for tier in ("web", "app", "db"))
        rules = (
            allow("in", None, web, 443),
            allow("middle", web, app, 8080),
            allow("down", app, db, 5432),
        )
        policies[f"a{number}"] = Policy(f"a{number}", "application", 1000, rules)
    return Intents(networks={"lan": Network("lan")}, policies=policies)


def member(app, tier):
    labels = {"app": app, "tier": tier}
    return SelectorPeer(Selector(tuple(Requirement(k, Operator.IN, frozenset({v})) for k, v in labels.items())))


def allow(name, from_, to, port):
    peers = None if from_ is None else (from_,)
    return Rule(name, Action.ALLOW, peers, (to,), (ServiceMatch(TCP, PortRange(port, port)),))

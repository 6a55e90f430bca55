"""Worlds of any size to measure with."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address

from intent.model import (
    Action,
    Intents,
    Network,
    Policy,
    PortRange,
    Requirement,
    Rule,
    Selector,
    SelectorPeer,
    ServiceMatch,
)
from intent.model import Operator as Op
from topology.model import NAME_LABEL, NETWORK_LABEL, Endpoint, Inventory, Location
from topology.packet import TCP

APP = ("web", "web", "web", "app", "app", "app", "app", "db", "db", "db")
"""The tiers of the ten endpoints of one application."""
NETWORK = "bench"
FIRST = IPv4Address("10.0.0.1")


@dataclasses.dataclass(frozen=True, slots=True)
class World:
    """What a compile takes: everything is plugged into the switch `dpid`."""

    intents: Intents
    inventory: Inventory
    dpid: int = 1


def three_tier(endpoints: int) -> World:
    """Return `endpoints` in tens: each ten an application of 3 web, 4 app and 3 db.

    For each application: anyone to web at 443, web to app at 8080, app to db at 5432; else denied.
    """
    made = [_endpoint(n) for n in range(endpoints)]
    policies = [_policy(n) for n in range(endpoints // len(APP))]
    return World(
        Intents(networks={NETWORK: Network(NETWORK)}, policies={p.name: p for p in policies}, revision=1),
        Inventory({e.name: e for e in made}),
    )


def _endpoint(number: int) -> Endpoint:
    app, member = divmod(number, len(APP))
    name = f"e{number}"
    return Endpoint(
        name=name,
        network=NETWORK,
        labels={"app": f"a{app}", "tier": APP[member], NETWORK_LABEL: NETWORK, NAME_LABEL: name},
        mac=f"02:00:{number >> 24 & 255:02x}:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}",
        addresses=(FIRST + number,),
        ports=(),
        location=Location(1, number + 1, f"v{number}", f"row-{number}"),
    )


def _policy(app: int) -> Policy:
    def tier(name: str) -> tuple[SelectorPeer, ...]:
        wanted = {"app": f"a{app}", "tier": name}
        return (SelectorPeer(Selector(tuple(Requirement(k, Op.IN, frozenset({v})) for k, v in wanted.items()))),)

    def allow(source: str | None, target: str, port: int) -> Rule:
        services = (ServiceMatch(TCP, PortRange(port, port)),)
        return Rule(f"to-{target}", Action.ALLOW, None if source is None else tier(source), tier(target), services)

    rules = (allow(None, "web", 443), allow("web", "app", 8080), allow("app", "db", 5432))
    return Policy(f"app-{app}", "application", 1000, rules)

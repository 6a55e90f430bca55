"""Routers, uplinks and the world in random cases."""

from __future__ import annotations

import dataclasses
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from intent.model import IPNetwork, Router
from tests.property.choice import Choice, subset
from topology.model import Inventory, IPAddress, Location, UplinkPort

if TYPE_CHECKING:
    from tests.property.cases import Case

WORLD: tuple[IPAddress, ...] = tuple(
    map(ip_address, ("8.8.8.8", "8.8.8.1", "9.9.9.9", "10.0.0.200", "2001:db8::8", "2001:db9::1"))
)
MARTIANS: tuple[IPAddress, ...] = tuple(map(ip_address, ("127.0.0.1", "0.0.0.1", "::1", "fe80::9", "::ffff:8.8.8.8")))
NEXT_HOP = "02:aa:00:00:00:01"
ROUTER_MACS = ("02:52:00:00:00:01", "02:52:00:00:00:02")
UPLINKS = ("up", "side")
FIRST_OFPORT = 9
"""Of the uplinks; endpoints have those below."""
PER_NETWORK = 29
TTLS = (64, 64, 64, 64, 2, 1, 0)


def subnets(index: int) -> tuple[IPNetwork, IPNetwork]:
    """Return the subnets of the network of an index: the pools of two networks never meet."""
    return ip_network(f"10.0.0.{32 * index}/27"), ip_network(f"fd00::{32 * index:x}/123")


def pool(index: int) -> tuple[list[IPAddress], list[IPAddress]]:
    """Return the addresses that endpoints of a network may have."""
    return tuple([block.network_address + n for n in range(1, PER_NETWORK)] for block in subnets(index))  # type: ignore[return-value]


def gateways(index: int) -> tuple[IPAddress, IPAddress]:
    """Return the addresses of the router in a network."""
    return tuple(block.network_address + 30 for block in subnets(index))  # type: ignore[return-value]


def make_routers(choice: Choice, networks: tuple[str, ...]) -> dict[str, Router]:
    """Return one or two routers for some of the networks, with an uplink or without."""
    first = subset(choice, networks, 75)
    rest = tuple(name for name in networks if name not in first)
    ways = choice.pick((("up", "up"), ("up", None), (None, "side"), ("side", "up")))
    found = zip(("r0", "r1"), (first, rest), ROUTER_MACS, ways, strict=True)
    return {name: Router(name, joined, mac, uplink) for name, joined, mac, uplink in found if joined}


def make_uplinks(choice: Choice, dpids: tuple[int, ...]) -> tuple[UplinkPort, ...]:
    """Return the ports that lead to the world; some are missing, some were plugged in again."""
    found = []
    for dpid in sorted(dpids):
        for number, name in enumerate(sorted(UPLINKS)):
            if choice.chance(75):
                uid = choice.pick(("", "+"))
                location = Location(dpid, FIRST_OFPORT + number, f"{name}0", f"row-{name}-{dpid}{uid}")
                found.append(UplinkPort(name, location, NEXT_HOP))
    return tuple(found)


def change_ways(choice: Choice, case: Case) -> Case:
    """Return the case with other uplinks, or other routers."""
    if choice.chance(50):
        uplinks = make_uplinks(choice, (1, 2))
        return dataclasses.replace(case, inventory=dataclasses.replace(case.inventory, uplinks=uplinks))
    routers = make_routers(choice, tuple(case.intents.networks))
    return dataclasses.replace(case, intents=dataclasses.replace(case.intents, routers=routers))


def with_uplinks(inventory: Inventory, choice: Choice) -> Inventory:
    """Return an inventory with uplinks on both switches."""
    return dataclasses.replace(inventory, uplinks=make_uplinks(choice, (1, 2)))

"""What a change of the ways costs: work is counted in calls, so no clock is asked, and does not grow with the rest.

The rest are endpoints of networks that the change does not name, other forwards, other uplinks, other routers.
"""

from __future__ import annotations

import dataclasses
import sys
from ipaddress import ip_address, ip_network

import pytest

from intent.compiler import IdMap
from intent.compiler.engine import Engine
from intent.model import Action, CidrPeer, Intents, Network, Policy, Router, Rule
from topology.frozen import FrozenMap
from topology.model import (
    NAME_LABEL,
    NETWORK_LABEL,
    Endpoint,
    Forward,
    Inventory,
    Location,
    Translation,
    UplinkPort,
)

SHOWN = ip_address("203.0.113.1")
MAC = "02:52:00:00:00:01"
MEMBERS = 5
"""Endpoints of each network that the changes are about."""


def _endpoint(number, network, dpid):
    name = f"{network}-{number}"
    index = int(network[1:])
    address = ip_network("10.0.0.0/8").network_address + (index << 16) + number + 1
    mac = f"02:00:{index:02x}:00:{number >> 8:02x}:{number & 255:02x}"
    ofport = 1000 * index + number + 1
    labels = {NETWORK_LABEL: network, NAME_LABEL: name}
    return Endpoint(name, network, labels, mac, (address,), (), Location(dpid, ofport, f"v{ofport}", f"row-{name}"))


def _network(index):
    subnet = ip_network(f"10.{index}.0.0/16")
    return Network(f"n{index}", subnets=(subnet,), gateways=(subnet.network_address + 65000,))


def _port(dpid, forwards=0, **parts):
    made = tuple(Forward(SHOWN, 6, 1000 + n, 1000 + n, ip_address("10.1.0.1"), 80) for n in range(forwards))
    location = Location(dpid, 60000, "up0", f"up-{dpid}")
    return UplinkPort(f"u{dpid}", location, "02:aa:00:00:00:01", Translation((SHOWN,), made, **parts))


def _world(rest):
    """Return a world in which n1 and n2 are small, and n3 and n4, which nothing is about, have `rest` endpoints."""
    people = [_endpoint(n, name, 1) for name in ("n1", "n2") for n in range(MEMBERS)]
    people += [_endpoint(n, name, dpid) for name, dpid in (("n3", 1), ("n4", 2)) for n in range(rest)]
    named = (CidrPeer(ip_network("10.3.0.0/16")), CidrPeer(ip_network("198.51.100.0/24")))
    rules = tuple(Rule(f"r{n}", Action.ALLOW, from_=(peer,)) for n, peer in enumerate(named))
    routers = (Router("a", ("n1",), MAC, "u1"), Router("z", ("n3", "n4"), "02:52:00:00:00:02", "u2"))
    intents = Intents(
        networks=FrozenMap({f"n{n}": _network(n) for n in range(1, 5)}),
        policies=FrozenMap({"p": Policy("p", "application", 0, rules)}),
        routers={router.name: router for router in routers},
    )
    inventory = Inventory(FrozenMap({e.name: e for e in people}), uplinks=(_port(1, 3), _port(2)))
    return intents, inventory


def _with_router(intents, router):
    return dataclasses.replace(intents, routers={**intents.routers, router.name: router})


def _with_port(inventory, port):
    return dataclasses.replace(inventory, uplinks=(port, inventory.uplinks[1]))


CHANGES = {
    "a forward comes": lambda i, v: (i, _with_port(v, _port(1, 4))),
    "an uplink shows another address": lambda i, v: (i, _with_port(v, _port(1, 3, idle=(SHOWN + 1,)))),
    "an uplink goes": lambda i, v: (i, dataclasses.replace(v, uplinks=v.uplinks[1:])),
    "a network joins": lambda i, v: (_with_router(i, Router("a", ("n1", "n2"), MAC, "u1")), v),
    "a network leaves": lambda i, v: (_with_router(i, Router("a", (), MAC, "u1")), v),
    "a router comes": lambda i, v: (_with_router(i, Router("b", ("n2",), "02:52:00:00:00:03")), v),
    "a router has another MAC": lambda i, v: (_with_router(i, Router("a", ("n1",), "02:52:00:00:00:04", "u1")), v),
    "a router has no uplink": lambda i, v: (_with_router(i, Router("a", ("n1",), MAC)), v),
}


def _calls(engine, intents, inventory, now_s):
    count = 0

    def note(_frame, event, _arg):
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        update = engine.update(intents, inventory, (1, 2), now_s)
    finally:
        sys.setprofile(before)
    return count, update


def _work(change, rest):
    intents, inventory = _world(rest)
    engine = Engine(IdMap())
    engine.update(intents, inventory, (1, 2), 0.0)
    there, update = _calls(engine, *change(intents, inventory), 1.0)
    assert update.deltas, "it changes something"
    assert not update.whole, "and makes no program from nothing"
    back, _ = _calls(engine, intents, inventory, 1000.0)
    return there, back


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_the_ways_costs_what_it_concerns(name):
    few, many = _work(CHANGES[name], 10), _work(CHANGES[name], 100)
    assert max(many) < 12_000
    for less, more in zip(few, many, strict=True):
        assert more <= 1.02 * less + 20, f"{more} calls where {less} would do"

"""Routers, uplinks and forwards change in a world of 2,000 endpoints: in memory, beside a compiler that begins anew."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Address, ip_network
from typing import TypeAlias

from benchmarks.core import NOW_S
from benchmarks.harness import REPEATS, Result, undisturbed
from benchmarks.workloads import NETWORK, w
from intent.compiler import IdMap, compile_program
from intent.compiler.engine import Engine
from intent.model import Intents, Network, Router
from topology.model import NAME_LABEL, NETWORK_LABEL, Endpoint, Forward, Inventory, Location, Translation, UplinkPort

SIZE = (2000, 200, 1000)
DPID = 1
SECOND, SECOND_SUBNET, MEMBERS = "second", ip_network("10.1.0.0/16"), 10
SHOWN, TCP, FORWARDS = IPv4Address("198.51.100.1"), 6, 100
ROUTER, OTHER_ROUTER, NEXT_HOP = "02:52:00:00:00:01", "02:52:00:00:00:02", "02:aa:00:00:00:01"
UPLINK = "up"
UPLINK_PORT = 60_000

Scene: TypeAlias = tuple[Intents, Inventory]


def ways() -> Iterator[Result]:
    """Measure each change there and back, both ways in one result; what comes out is checked at every step."""
    scene = _scene()
    engine = Engine(IdMap())
    engine.update(*scene, (DPID,), NOW_S)
    for what, change in _CHANGES.items():
        took, anew, flows = _there_and_back(engine, scene, change(*scene))
        yield Result(
            "ways",
            f"W(2000,200,1000) behind a router with {FORWARDS} forwards: {what}, in memory",
            "ms",
            took,
            anew,
            "the same compiler from nothing",
            note=f"{flows} flows change of {len(engine.program(DPID))}",
        )


def _there_and_back(engine: Engine, scene: Scene, other: Scene) -> tuple[list[float], list[float], int]:
    """Return milliseconds of ours and of compiling anew, and how many flows the change concerns.

    Raises:
        AssertionError: the two made different programs, or ours began from nothing.
    """
    took: list[float] = []
    anew: list[float] = []
    flows = 0
    for _ in range(REPEATS):
        for intents, inventory in (other, scene):
            with undisturbed():
                begin = time.perf_counter()
                update = engine.update(intents, inventory, (DPID,), NOW_S)
                took.append((time.perf_counter() - begin) * 1000)
            if update.whole:
                raise AssertionError("the program was made from nothing")
            flows = len(update.deltas[DPID])
            anew.append(_from_nothing(engine, intents, inventory))
    if compile_program(*scene, DPID, engine.ids()) != engine.program(DPID):
        raise AssertionError("the engine's program is not what compiling everything anew gives")
    return took, anew, flows


def _from_nothing(engine: Engine, intents: Intents, inventory: Inventory) -> float:
    other = Engine(engine.ids())
    with undisturbed():
        begin = time.perf_counter()
        other.update(intents, inventory, (DPID,), NOW_S)
        took = (time.perf_counter() - begin) * 1000
    if other.program(DPID) != engine.program(DPID):
        raise AssertionError("what was followed is not what is made from nothing")
    return took


# -- the world and its changes --------------------------------------------------------------------


def _scene() -> Scene:
    """Return W with a router that leads to the world by an uplink, and ten endpoints in a second network."""
    world = w(*SIZE)
    subnet = ip_network("10.0.0.0/16")
    networks = {
        NETWORK: Network(NETWORK, subnets=(subnet,), gateways=(subnet.broadcast_address - 1,)),
        SECOND: Network(SECOND, subnets=(SECOND_SUBNET,), gateways=(SECOND_SUBNET.broadcast_address - 1,)),
    }
    routers = {"main": Router("main", (NETWORK,), ROUTER, UPLINK)}
    intents = dataclasses.replace(world.intents, networks=networks, routers=routers)
    second = {e.name: e for e in map(_in_second, range(MEMBERS))}
    return intents, Inventory({**world.inventory.endpoints, **second}, uplinks=(_uplink(),))


def _in_second(number: int) -> Endpoint:
    name = f"s{number}"
    labels = {NETWORK_LABEL: SECOND, NAME_LABEL: name}
    location = Location(DPID, UPLINK_PORT - 1 - number, f"v{name}", f"row-{name}")
    return Endpoint(name, SECOND, labels, f"02:01:00:00:00:0{number}", (SECOND_SUBNET[number + 1],), (), location)


def _uplink(*, forwards: int = FORWARDS, shown: bool = True, row: str = "row-up") -> UplinkPort:
    made = tuple(Forward(SHOWN, TCP, 10_000 + n, 10_000 + n, IPv4Address("10.0.0.1") + n, 80) for n in range(forwards))
    translation = Translation((SHOWN,) if shown else (), made)
    return UplinkPort(UPLINK, Location(DPID, UPLINK_PORT, "up0", row), NEXT_HOP, translation)


def _with_uplinks(*uplinks: UplinkPort) -> Callable[[Intents, Inventory], Scene]:
    return lambda intents, inventory: (intents, dataclasses.replace(inventory, uplinks=uplinks))


def _with_routers(*routers: Router) -> Callable[[Intents, Inventory], Scene]:
    return lambda intents, inventory: (dataclasses.replace(intents, routers={r.name: r for r in routers}), inventory)


_CHANGES: Mapping[str, Callable[[Intents, Inventory], Scene]] = {
    "a forward comes or goes": _with_uplinks(_uplink(forwards=FORWARDS + 1)),
    "SNAT off or on": _with_uplinks(_uplink(shown=False)),
    "the uplink is plugged in as another row": _with_uplinks(_uplink(row="row-up-2")),
    "the uplink goes or comes": _with_uplinks(),
    "a router for a network of 10 comes or goes": _with_routers(
        Router("main", (NETWORK,), ROUTER, UPLINK), Router("other", (SECOND,), OTHER_ROUTER)
    ),
    "a network of 10 joins or leaves": _with_routers(Router("main", (NETWORK, SECOND), ROUTER, UPLINK)),
    "a network of 2,000 leaves or joins": _with_routers(Router("main", (), ROUTER, UPLINK)),
}

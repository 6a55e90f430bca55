"""Joins of W(2000,200,1000), one at a time, into groups that few or many policies use."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from benchmarks import ovn as peer
from benchmarks.agreement import check_ours, samples
from benchmarks.core import Core, built
from benchmarks.harness import REPEATS, Bound, Result
from benchmarks.openflow import modifications, timed
from benchmarks.ovn import Ovn
from benchmarks.rows.sides import beside_ovn, settled
from benchmarks.rows.steps import check_program, timed_steps
from benchmarks.switches import BRIDGE, control, fresh_bridge, fresh_switch
from benchmarks.workloads import World, draw_policy, endpoint, plugged, w
from intent.compiler import Delta
from mininet_scenarios.janitor import Janitor
from topology.model import Endpoint

SIZE = (2000, 200, 1000)
NAME = "W(2000,200,1000)"
USES = (1, 10, 100, 1000)
"""Policies that use the group which is joined."""
JOINS = 1000
OVN_JOINS = 2
"""For each sweep point in each turn: OVN takes so long to build this and come to rest that more pass ten minutes."""


def membership() -> Iterator[Result]:
    """Measure joins in memory to the barrier reply, beside joins in OVN with the same groups."""
    world = joinable()
    took, agreed, name = _joins_in_memory(world)
    sides = beside_ovn(world, lambda _: {}, lambda ovn: _joins_in_ovn(world, ovn))
    for uses in USES:
        yield Result(
            "membership",
            f"{NAME}: join a group that {uses} policies use, event to barrier reply",
            "ms",
            took[uses],
            [s * 1000 for s in sides.theirs[str(uses)]],
            peer.NAME,
            [Bound("ours", "<=", 1), Bound("p99", "<=", 4), Bound("ratio", "<=", 0.02)],
            peer_memory_mb=sides.peer_memory_mb,
            agreed=agreed,
            note=f"{name} compiler; OVN {REPEATS} turns of {OVN_JOINS} joins",
        )


def joinable() -> World:
    """Return W(2000,200,1000) and, for each sweep point, a group that so many more policies use."""
    base = w(*SIZE)
    groups, policies, chance = dict(base.groups), dict(base.policies), random.Random(2)
    for uses in USES:
        name = join_group(uses)
        groups[name] = {"kind": "Group", "name": name, "members": [{"labels": {"role": name}}]}
        for number in range(uses):
            policy = draw_policy(f"{name}-{number}", SIZE[1], chance, SIZE[0])
            policies[policy["name"]] = policy | {"rules": [policy["rules"][0] | {"to": [{"group": name}]}]}
    members = {f"e{n}": endpoint(n, {"role": join_group(u)}) for n, u in enumerate(USES, SIZE[0])}
    return base.but(groups=groups, policies=policies, endpoints={**base.endpoints, **members})


def join_group(uses: int) -> str:
    """Return the group that so many policies use."""
    return f"j{uses}"


def _joins_in_memory(world: World) -> tuple[dict[int, list[float]], int, str]:
    """Return milliseconds by sweep point. Every turn has a fresh bridge and a fresh compiler."""
    took: dict[int, list[float]] = {uses: [] for uses in USES}
    agreed = 0
    with Janitor() as janitor, fresh_switch(janitor) as ovs:
        for _ in range(REPEATS):
            core, delta = built(world)
            with fresh_bridge(ovs) as channel, control(ovs) as ask:
                timed(channel, modifications(delta))
                agreed = agreed or check_ours(samples(world), ask, BRIDGE, core.ids)
                number = len(world.endpoints)
                for uses in USES:
                    joiners = [plugged(endpoint(number + n, {"role": join_group(uses)})) for n in range(JOINS)]
                    steps = [_join(core, joiner) for joiner in joiners[: JOINS // REPEATS]]
                    took[uses] += timed_steps(channel, steps)[1]
                    number += JOINS
                check_program(core, channel)
    return took, agreed, core.name


def _join(core: Core, joiner: Endpoint) -> Callable[[], Delta]:
    return lambda: core.put_endpoints([joiner])


def _joins_in_ovn(world: World, ovn: Ovn) -> dict[str, list[float]]:
    number, took = len(world.endpoints), {}
    for uses in USES:
        joiners = [endpoint(number + n, {"role": join_group(uses)}) for n in range(OVN_JOINS)]
        number += OVN_JOINS
        took[str(uses)] = [settled(ovn, ovn.join(joiner)) for joiner in joiners]
    return took

"""A thousand endpoints get other labels at once: what is sent is the least, and it is there soon."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence

from benchmarks import ovn as peer
from benchmarks.agreement import check_ours, samples
from benchmarks.core import Core, built
from benchmarks.harness import REPEATS, Bound, Result, undisturbed
from benchmarks.openflow import Channel, bundle_bytes, modifications, timed
from benchmarks.ovn import Ovn
from benchmarks.product import Product
from benchmarks.rows.sides import beside_ovn, settled
from benchmarks.rows.steps import check_minimal, check_program
from benchmarks.switches import BRIDGE, control, fresh_bridge, fresh_switch
from benchmarks.workloads import Document, World, plugged, w
from intent.compiler import Delta
from mininet_scenarios.janitor import Janitor

LARGE, SMALL = (10_000, 500, 1000), (2000, 200, 1000)
RELABELS = 1000


def churn_storm() -> Iterator[Result]:
    """Measure a burst of relabels in memory to the barrier reply, and beside OVN on the smaller world."""
    yield _in_memory(w(*LARGE))
    world = w(*SMALL)
    before, after = _relabels(world, SMALL[1])

    def ours(product: Product) -> dict[str, list[float]]:
        took = product.apply(after)
        product.apply(before)
        return {"storm": [took]}

    def theirs(ovn: Ovn) -> dict[str, list[float]]:
        took = settled(ovn, ovn.relabel(before, after))
        settled(ovn, ovn.relabel(after, before))
        return {"storm": [took]}

    sides = beside_ovn(world, ours, theirs)
    yield Result(
        "churn_storm",
        f"W(2000,200,1000): {RELABELS} relabels in one POST to enforced",
        "ms",
        [s * 1000 for s in sides.ours["storm"]],
        [s * 1000 for s in sides.theirs["storm"]],
        peer.NAME,
        [Bound("ratio", "<=", 0.05)],
        sides.memory_mb,
        sides.peer_memory_mb,
        sides.agreed,
        sides.note(),
    )


def _relabels(world: World, groups: int) -> tuple[list[Document], list[Document]]:
    """Return endpoints as they are, and as they are to be: each in a first group that another endpoint is in."""
    chance = random.Random(3)
    before = chance.sample(list(world.endpoints.values()), RELABELS)
    after = [e | {"labels": e["labels"] | {"role": f"g{chance.randrange(groups)}"}} for e in before]
    return before, after


def _storm(core: Core, channel: Channel, after: Sequence[Document]) -> tuple[float, Delta]:
    """Return milliseconds and the changes sent."""
    endpoints = [plugged(document) for document in after]
    with undisturbed():
        begin = time.perf_counter()
        delta = core.put_endpoints(endpoints)
        channel.apply(delta)
        return (time.perf_counter() - begin) * 1000, delta


def _in_memory(world: World) -> Result:
    _, after = _relabels(world, LARGE[1])
    moved = world.but(endpoints={**world.endpoints, **{e["name"]: e for e in after}})
    agreed = 0
    took: list[float] = []
    replayed: list[float] = []
    sent = Delta()
    with Janitor() as janitor, fresh_switch(janitor) as ovs:
        for _ in range(REPEATS):
            core, delta = built(world)
            with fresh_bridge(ovs) as channel, control(ovs) as ask:
                timed(channel, modifications(delta))
                ours, sent = _storm(core, channel, after)
                took.append(ours)
                check_program(core, channel)
                agreed = agreed or check_ours(samples(moved), ask, BRIDGE, core.ids)
            with fresh_bridge(ovs) as channel:
                timed(channel, modifications(delta))
                replayed.append(_replayed(channel, sent))
        back = [plugged(world.endpoints[e["name"]]) for e in after]
        check_minimal(core, [lambda: core.put_endpoints(back)])
    return Result(
        "churn_storm",
        f"W(10000,500,1000): {RELABELS} relabels at once, in memory to barrier reply",
        "ms",
        took,
        replayed,
        "raw replay of the same bytes",
        [Bound("ours", "<=", 100)],
        agreed=agreed,
        note=f"{core.name} compiler; {len(sent)} changes sent, the least there are",
    )


def _replayed(channel: Channel, sent: Delta) -> float:
    """Return milliseconds in which the switch takes the same changes, ready as bytes: what nothing could be under."""
    data = bundle_bytes(modifications(sent))
    with undisturbed():
        begin = time.perf_counter()
        channel.replay_to_barrier(data)
        return (time.perf_counter() - begin) * 1000

"""Law 3: how long after the commit reply the last packet meets the old verdict, by how much the datapath has cached."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from benchmarks import ovn as peer
from benchmarks.core import built, policy_of
from benchmarks.harness import Bound, Result
from benchmarks.openflow import modifications, timed
from benchmarks.ovn import fresh_ovn
from benchmarks.rows.probed import (
    CROWD_SIDES,
    allow,
    crowd,
    crowd_frames,
    megaflows,
    plug,
    probe_frame,
    probed_world,
    wired,
)
from benchmarks.switches import fresh_bridge, fresh_switch
from benchmarks.wires import Prober
from benchmarks.workloads import World
from mininet_scenarios.janitor import Janitor
from mininet_scenarios.private_ovs import PrivateOvs

LEVELS = {10: 5, 1_000: 5, 10_000: 2, 50_000: 1}
"""Cached flows, and how many switches in turn share the changes: filling one takes its time.

Revalidators go through the cache in an order that each process of the switch draws by lot, and where the probe's one
flow stands in it decides how long it lives.
"""
BOUNDS = {1_000: 20.0, 50_000: 100.0}
"""p99 in milliseconds."""
TOGGLES = 20
"""Changes at each level and side: denied, allowed, denied, ..."""
EVERY_S, PAUSE_S = 0.001, 0.4
FILL_S = 60.0
CROWD_FIRST = 2
WIRES = range(CROWD_FIRST + 2 * CROWD_SIDES)

Toggle = Callable[[bool], None]
"""Allows or forbids the probe; returns at the commit reply."""


def enforce_lag() -> Iterator[Result]:
    """Measure commit reply to T at each level, ours and OVN's."""
    world = probed_world()
    policies = {**world.policies, "crowd": allow("crowd", "sending", "sent")}
    members = {e["name"]: e for e in crowd(CROWD_FIRST)}
    world = world.but(endpoints={**world.endpoints, **members}, policies=policies)
    for level, turns in LEVELS.items():
        ours, theirs = _Lags([], 0), _Lags([], 0)
        for _ in range(turns):
            ours = ours.and_also(_ours(world, level, TOGGLES // turns))
            theirs = theirs.and_also(_theirs(world, level, TOGGLES // turns))
        yield Result(
            "enforce_lag",
            f"commit reply to T with {level} megaflows",
            "ms",
            ours.values,
            theirs.values,
            peer.NAME,
            [Bound("p99", "<=", BOUNDS[level])] if level in BOUNDS else [],
            note=f"probe each {EVERY_S * 1000:g} ms, {ours.cached} flows cached, the peer {theirs.cached}, "
            f"in {turns} turns",
        )


class _Lags(NamedTuple):
    """What changes measured, and the most flows that were cached."""

    values: list[float]
    cached: int

    def and_also(self, other: _Lags) -> _Lags:
        """Return both."""
        return _Lags([*self.values, *other.values], max(self.cached, other.cached))


def _ours(world: World, level: int, toggles: int) -> _Lags:
    policy = policy_of(world.policies["probe"])
    with Janitor() as janitor, fresh_switch(janitor) as ovs, wired(janitor, ovs, WIRES) as prober:
        core, delta = built(world)
        with fresh_bridge(ovs) as channel:
            plug(ovs, WIRES)
            timed(channel, modifications(delta))

            def toggle(allowed: bool) -> None:  # noqa: FBT001 - a callback with one meaning
                change = core.put_policy(policy) if allowed else core.drop_policy(policy.name)
                channel.commit(modifications(change))

            cached = _fill(ovs, prober, world, level)
            return _Lags(_lags(prober, world, toggle, toggles), cached)


def _theirs(world: World, level: int, toggles: int) -> _Lags:
    with fresh_ovn(0) as ovn, wired(ovn.janitor, ovn.ovs, WIRES) as prober:
        plug(ovn.ovs, WIRES, peer.BRIDGE)
        ovn.build(world.but(policies={"crowd": world.policies["crowd"]}))
        ovn.settle()
        ovn.add_policy(world.policies["probe"])

        def toggle(allowed: bool) -> None:  # noqa: FBT001 - a callback with one meaning
            if allowed:
                ovn.add_policy(world.policies["probe"])
            else:
                ovn.drop_policy("probe")

        cached = _fill(ovn.ovs, prober, world, level)
        return _Lags(_lags(prober, world, toggle, toggles), cached)


def _fill(ovs: PrivateOvs, prober: Prober, world: World, level: int) -> int:
    """Make the datapath cache so many flows; return how many it has.

    Raises:
        AssertionError: it does not within a minute.
    """
    members = [world.endpoints[f"e{n}"] for n in WIRES[CROWD_FIRST:]]
    frames = crowd_frames(members, CROWD_FIRST)
    give_up_at, at = time.monotonic() + FILL_S, 0
    while (cached := megaflows(ovs)) < level:
        # A frame needs up to three of them, one for each pass through conntrack.
        step = max(1, min(512, (level - cached) // (3 * CROWD_SIDES)))
        for wire, made in frames.items():
            prober.ask("send", interface=wire, frames=made[at : at + step], pause_s=0.001)
        at = (at + step) % len(next(iter(frames.values())))
        if time.monotonic() > give_up_at:
            raise AssertionError(f"{megaflows(ovs)} of {level} flows are cached after {FILL_S:g} s")
    return megaflows(ovs)


def _lags(prober: Prober, world: World, toggle: Toggle, toggles: int) -> list[float]:
    """Return milliseconds from each commit reply to the last packet that met the old verdict."""
    stream = {"id": 1, "from": "w0", "frame": probe_frame(world, 0, 1), "every_s": EVERY_S}
    prober.ask("probe", streams=[stream], listen=["w1"])
    time.sleep(PAUSE_S)
    replies: list[float] = []
    for number in range(toggles):
        toggle(number % 2 == 1)
        replies.append(time.monotonic())
        time.sleep(PAUSE_S)
    notes = prober.ask("stop")["1"]
    ends = [*replies[1:], float("inf")]
    both = zip(replies, ends, strict=True)
    return [_lag_ms(notes, begin, end, allowed=n % 2 == 1) for n, (begin, end) in enumerate(both)]


def _lag_ms(notes: Mapping[str, Any], begin: float, end: float, *, allowed: bool) -> float:
    """Return how long after `begin` the old verdict was last met; the next change is asked for PAUSE_S later."""
    end = min(end, begin + PAUSE_S)
    arrived = {number: at for number, at, _ in notes["got"]}
    if allowed:
        old = [at for number, at in enumerate(notes["sent"]) if begin <= at < end and number not in arrived]
        met = [at for at in arrived.values() if begin <= at < end]
        if not met:
            raise AssertionError("nothing passes after the probe was allowed")
    else:
        old = [at for at in arrived.values() if begin <= at < end]
    return max(0.0, max(old, default=begin) - begin) * 1000

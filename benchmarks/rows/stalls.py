"""What packets feel of a commit: the longest gap of a probe while bundles of any size are committed."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence

from benchmarks.core import make_core
from benchmarks.harness import Bound, Result, alternate, undisturbed
from benchmarks.links import cut
from benchmarks.openflow import Channel, bundle_bytes, modifications, timed
from benchmarks.rows.probed import plug, probe_frame, probed_world, wired
from benchmarks.switches import fresh_bridge, fresh_switch
from benchmarks.wires import Prober, longest_gap_ms, lost
from benchmarks.workloads import World, three_tier
from intent.compiler.flow import Flow
from mininet_scenarios.janitor import Janitor
from mininet_scenarios.private_ovs import PrivateOvs
from ryu_apps.wire import Command

SIZES = {1_000: 130, 10_000: 1480, 100_000: 14_890}
"""Flows of a bundle: endpoints of the three-tier world that has about so many."""
EVERY_S = 0.001
QUIET_S = 0.3
LIMIT_MS = 15
PROBER, PROBED = 20_000, 20_001
_idents = itertools.count(1)


def commit_stall() -> Iterator[Result]:
    """Measure the longest gap of a 1 kpps probe during commits, ours and raw replay in equal pieces."""
    with Janitor() as janitor, fresh_switch(janitor) as ovs, wired(janitor, ovs, (PROBER, PROBED)) as prober:
        for flows, endpoints in SIZES.items():
            yield _size(ovs, prober, flows, three_tier(endpoints))


def _size(ovs: PrivateOvs, prober: Prober, flows: int, big: World) -> Result:
    base, whole = probed_world(first=PROBER), probed_world(big, PROBER)
    core = make_core()
    start = modifications(core.build(base.intents, base.inventory))
    held = dict(core.program)
    changes = modifications(core.build(whole.intents, whole.inventory))
    pieces = [bundle_bytes(piece.changes) for piece in cut(changes, held)]
    gaps: dict[str, list[float]] = {"ours": [], "replay": []}
    missing = {"ours": 0, "replay": 0}

    def turn(name: str, act: Callable[[Channel], object]) -> None:
        gap, gone = _probe_during(ovs, prober, base, start, act)
        gaps[name].append(gap)
        missing[name] += gone

    alternate(
        lambda: turn("ours", lambda channel: timed(channel, changes, held)),
        lambda: turn("replay", lambda channel: channel.replay(pieces)),
    )
    return Result(
        "commit_stall",
        f"longest gap of a 1 kpps probe while {len(changes)} changes are committed (asked: {flows})",
        "ms",
        gaps["ours"],
        gaps["replay"],
        "raw replay in equal pieces",
        [Bound("ratio", "<=", 1.2), Bound("ours", "<=", LIMIT_MS)],
        note=f"{missing['ours']} probes lost, {missing['replay']} in replay; {len(pieces)} bundles",
    )


def _probe_during(
    ovs: PrivateOvs,
    prober: Prober,
    world: World,
    start: Sequence[tuple[Command, Flow]],
    act: Callable[[Channel], object],
) -> tuple[float, int]:
    """Return the longest gap in milliseconds and the frames lost while something is done to a fresh bridge."""
    with fresh_bridge(ovs) as channel:
        plug(ovs, (PROBER, PROBED))
        channel.commit(start)
        frame = probe_frame(world, PROBER, PROBED)
        ident = next(_idents)  # a late frame of the turn before is none of this one
        stream = {"id": ident, "from": f"w{PROBER}", "frame": frame, "every_s": EVERY_S}
        prober.ask("probe", streams=[stream], listen=[f"w{PROBED}"])
        time.sleep(QUIET_S)
        with undisturbed():
            act(channel)
        time.sleep(QUIET_S)
        notes = prober.ask("stop")[str(ident)]
    if not notes["got"]:
        raise AssertionError("no probe arrived: the bridge does not forward what is allowed")
    return longest_gap_ms(notes), lost(notes)

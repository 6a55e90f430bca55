"""Compiled flows in memory to the commit reply: how much of the physical limit the encoder costs."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.agreement import check_ours, samples
from benchmarks.core import built
from benchmarks.harness import REPEATS, Bound, Result, undisturbed
from benchmarks.links import cut
from benchmarks.openflow import Channel, additions, bundle_bytes, timed
from benchmarks.ryu_peer import RyuPeer
from benchmarks.switches import BRIDGE, control, fresh_bridge, fresh_switch
from benchmarks.workloads import World, three_tier
from intent.compiler.flow import Flow
from mininet_scenarios.janitor import Janitor
from mininet_scenarios.private_ovs import PrivateOvs
from ryu_apps.wire import Command

ENDPOINTS = {"20k": 2980, "100k": 14900}
"""Endpoints of a three-tier world whose program has about so many flows."""
CACHES = ("_encoded", "_loads", "_moves", "_clauses")
"""What modules of the codec remember while they encode."""
BOUNDS = {
    "ovs-ofctl --bundle": Bound("ratio", "<=", 0.6),
    "raw replay of the same bytes": Bound("ratio", "<=", 1.2),
    "plain Ryu message objects": Bound("ratio", "<=", 0.1),
}


def wire() -> Iterator[Result]:
    """Measure 20k and 100k flows beside all three peers."""
    for endpoints in ENDPOINTS.values():
        yield from _size(three_tier(endpoints))


def _size(world: World) -> Iterator[Result]:
    core, _ = built(world)
    changes = additions(core.program)
    pieces = [bundle_bytes(piece.changes) for piece in cut(changes)]
    ryu = RyuPeer([flow for _, flow in changes])
    took: dict[str, list[float]] = {name: [] for name in ("ours", *BOUNDS)}
    with Janitor() as janitor, fresh_switch(janitor) as ovs, tempfile.NamedTemporaryFile("w") as text:
        with fresh_bridge(ovs) as channel, control(ovs) as ask:
            timed(channel, changes)
            agreed = check_ours(samples(world), ask, BRIDGE, core.ids)
            text.write(ovs.ofctl("--no-stats", "dump-flows", f"unix:{ovs.directory}/{BRIDGE}.mgmt"))
            text.flush()
        sides: dict[str, Callable[[Channel], float]] = {
            "ours": lambda channel: _ours(channel, changes),
            "ovs-ofctl --bundle": lambda _: _ofctl(ovs, Path(text.name)),
            "raw replay of the same bytes": lambda channel: _replay(channel, pieces),
            "plain Ryu message objects": ryu.install,
        }
        for _ in range(REPEATS):
            for name, side in sides.items():
                with fresh_bridge(ovs) as channel, undisturbed():
                    took[name].append(side(channel))
    for name, bound in BOUNDS.items():
        work = f"{len(changes)} flows in memory to commit reply"
        yield Result("wire", work, "s", took["ours"], took[name], name, [bound], agreed=agreed)


def _ours(channel: Channel, changes: Sequence[tuple[Command, Flow]]) -> float:
    forget_encodings()
    return timed(channel, changes)


def _replay(channel: Channel, pieces: list[bytes]) -> float:
    begin = time.perf_counter()
    channel.replay(pieces)
    return time.perf_counter() - begin


def _ofctl(ovs: PrivateOvs, flows: Path) -> float:
    begin = time.perf_counter()
    ovs.ofctl("--bundle", "add-flows", f"unix:{ovs.directory}/{BRIDGE}.mgmt", str(flows))
    return time.perf_counter() - begin


def forget_encodings() -> None:
    """Empty the encoder's caches: the product begins with empty ones."""
    for name, module in list(sys.modules.items()):
        if name.startswith("ryu_apps.wire"):
            for kept in map(vars(module).get, CACHES):
                if isinstance(kept, dict):  # other modules have functions of these names
                    kept.clear()

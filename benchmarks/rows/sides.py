"""What rows with the whole product beside OVN share: both sides built anew in turns, and checked when done."""

from __future__ import annotations

import dataclasses
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping

from benchmarks import ovn as peer
from benchmarks.agreement import check_openings, samples
from benchmarks.harness import alternate
from benchmarks.ovn import Ovn, fresh_ovn
from benchmarks.product import BRIDGE, Product, fresh_product
from benchmarks.switches import control
from benchmarks.workloads import World
from mininet_scenarios.private_ovs import SwitchCrashedError

SPARE = 40
"""Ports plugged for endpoints that join later."""


@dataclasses.dataclass(slots=True)
class Sides:
    """Seconds of each step by side, and what else is reported."""

    ours: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    theirs: dict[str, list[float]] = dataclasses.field(default_factory=lambda: defaultdict(list))
    memory_mb: float = 0.0
    peer_memory_mb: float = 0.0
    agreed: int = 0
    flows: int = 0
    peer_flows: int = 0

    unfinished: int = 0
    """Turns that the peer did not finish."""
    forgotten: int = 0
    """How often the peer came to rest without saying that it was done."""

    def note(self) -> str:
        """Say how many flows each side holds, and what the peer did not do."""
        failed = f"; the peer did not finish {self.unfinished} turns, which is no win" if self.unfinished else ""
        rested = f"; {self.forgotten} times the peer's end is when it had come to rest, for it never said so"
        return f"{self.flows} flows, the peer {self.peer_flows}{failed}{rested if self.forgotten else ''}"


def beside_ovn(
    world: World,
    ours: Callable[[Product], dict[str, list[float]]],
    theirs: Callable[[Ovn], dict[str, list[float]]],
) -> Sides:
    """Build a world on each side and run its steps, in turns; the last turn of each is checked against the semantics.

    Steps leave the world as it was built. The time of the build is added as step `build`.
    """
    sides = Sides()
    ports = len(world.endpoints) + SPARE

    def one_of_ours() -> None:
        with fresh_product(ports) as product:
            _add(sides.ours, {"build": [product.build(world)], **ours(product)})
            sides.memory_mb = max(sides.memory_mb, product.peak_mb())
            sides.flows = product.flows()
            if not sides.agreed:
                with control(product.ovs) as ask:
                    sides.agreed = check_openings(samples(world, 0.0), ask, BRIDGE)

    def one_of_theirs() -> None:
        try:
            turn_of_theirs()
        except (peer.PeerCrashedError, SwitchCrashedError, OSError) as error:
            sides.unfinished += 1
            print(f"the peer does not finish a turn: {type(error).__name__} {str(error)[-700:]}", file=sys.stderr)

    def turn_of_theirs() -> None:
        with fresh_ovn(ports) as ovn:
            build = ovn.build(world)
            ovn.settle()
            _add(sides.theirs, {"build": [build], **theirs(ovn)})
            sides.peer_memory_mb = max(sides.peer_memory_mb, ovn.peak_mb())
            sides.forgotten += ovn.forgotten
            first = not sides.peer_flows
            sides.peer_flows = len(ovn.ovs.ofctl("dump-flows", peer.BRIDGE).splitlines()) - 1
            if first:
                with control(ovn.ovs) as ask:
                    check_openings(samples(world, 0.0), ask, peer.BRIDGE)

    alternate(one_of_ours, one_of_theirs)
    return sides


def _add(to: dict[str, list[float]], more: Mapping[str, list[float]]) -> None:
    for step, values in more.items():
        to.setdefault(step, []).extend(values)


def settled(ovn: Ovn, took: float) -> float:
    """Let OVN come to rest, which is not counted, so that the next change does not wait in line."""
    ovn.settle()
    return took

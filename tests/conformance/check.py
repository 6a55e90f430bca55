"""Checking steps in all three ways, and adding up."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Iterator, Sequence

from intent.schema import DocumentError
from tests.conformance import modelled
from tests.conformance.cases import Cell, Step
from tests.conformance.cluster import Cluster, World, seats
from tests.conformance.ground import Ground

SHOWN = 10
"""Wrong cells that are printed one by one."""
EVERY_S = 5.0
"""Seconds between two lines of progress, at least."""
Say = Callable[[str], None]


@dataclasses.dataclass(slots=True)
class Tally:
    """What was asked and what came out, over all steps."""

    total: int = 0
    blocked: int = 0
    unsupported: int = 0
    measured_cases: set[int] = dataclasses.field(default_factory=set)
    measured_cells: int = 0
    wrong: dict[tuple[int, int, Cell], str] = dataclasses.field(default_factory=dict)
    """By case, step and cell; the first thing that was wrong with it."""
    wrong_blocked: int = 0

    def add(self, step: Step) -> None:
        """Count the cells of a step."""
        self.total += len(step.expected)
        self.blocked += sum(letters[2] == "B" for letters in step.expected.values())

    def refuse(self, step: Step, why: str) -> None:
        """Note that a step cannot be expressed: none of its cells is right."""
        self.unsupported += len(step.expected)
        for cell in step.expected:
            self.note(step, cell, why)

    def note(self, step: Step, cell: Cell, why: str) -> None:
        """Note a wrong cell, once."""
        key = (step.case, step.number, cell)
        if key not in self.wrong:
            self.wrong[key] = f"{step}: {cell.source} -> {cell.destination} {cell.service}: {why}"
            self.wrong_blocked += step.expected[cell][2] == "B"

    @property
    def passed(self) -> bool:
        """Say whether every cell was right in every way it was asked."""
        return self.total > 0 and not self.wrong and not self.unsupported

    def __str__(self) -> str:
        right, blocked = self.total - len(self.wrong), self.blocked - self.wrong_blocked
        return (
            f"conformance: {right}/{self.total} cells right ({blocked}/{self.blocked} blocked cells right), "
            f"{self.unsupported} unsupported"
        )


def check(cases: Sequence[Sequence[Step]], measured: Collection[int], say: Say) -> Tally:
    """Check cases: by semantics and interpreter, by the switch's trace, those in `measured` by packets too.

    Args:
        cases: the steps of each.
        measured: indices (in the data) of the cases that get real packets.
        say: takes lines of progress.
    """
    tally = Tally()
    steps = [step for case in cases for step in case]
    for step in steps:
        tally.add(step)
    worlds = _model(steps, tally, say)
    _play(steps, worlds, measured, tally, say)
    for line in list(tally.wrong.values())[:SHOWN]:
        say(f"wrong: {line}")
    return tally


def _model(steps: Sequence[Step], tally: Tally, say: Say) -> list[World]:
    cluster, worlds, progress = Cluster(seats(steps)), [], _Progress("semantics and interpreter", len(steps), say)
    for step in steps:
        try:
            world = cluster.follow(step)
        except DocumentError as error:
            tally.refuse(step, f"it cannot be expressed: {error}")
        else:
            worlds.append(world)
            for cell, why in modelled.wrong_cells(world):
                tally.note(step, cell, why)
        progress.step()
    return worlds


def _play(steps: Sequence[Step], worlds: Sequence[World], measured: Collection[int], tally: Tally, say: Say) -> None:
    progress = _Progress("traces and packets on a real bridge", len(worlds), say)
    with Ground(seats(steps), steps) as ground:
        for world in worlds:
            ground.install(world)
            for cell, why in ground.traced_wrong(world):
                tally.note(world.step, cell, why)
            if world.step.case in measured:
                _measure(ground, world, tally)
            progress.step()
    say(f"{tally.measured_cells} cells of {len(tally.measured_cases)} cases with real TCP and UDP packets")


def _measure(ground: Ground, world: World, tally: Tally) -> None:
    count, wrong = ground.measured_wrong(world)
    tally.measured_cells += count
    tally.measured_cases.add(world.step.case)
    for cell, why in wrong:
        tally.note(world.step, cell, why)


def spread(cases: Sequence[Sequence[Step]], count: int) -> Iterator[int]:
    """Yield indices of `count` cases: first those of several steps, then others evenly over all."""
    several = [case[0].case for case in cases if len(case) > 1]
    single = [case[0].case for case in cases if len(case) == 1]
    left = max(0, count - len(several))
    yield from several[:count]
    yield from (single[n * len(single) // left] for n in range(min(left, len(single))))


class _Progress:
    """Says now and then how far a pass is."""

    def __init__(self, what: str, total: int, say: Say) -> None:
        self._what, self._total, self._say = what, total, say
        self._done, self._begin = 0, time.monotonic()
        self._said_at = self._begin

    def step(self) -> None:
        self._done += 1
        now = time.monotonic()
        if now - self._said_at >= EVERY_S or self._done == self._total:
            self._said_at = now
            self._say(f"{self._what}: {self._done}/{self._total} steps, {now - self._begin:.0f} s")

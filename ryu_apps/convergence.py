"""What to do next with one switch. Pure: the reconciler does it, this decides it.

Level-triggered: the decision looks only at what is known and wanted now, never at which event came.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from intent.compiler.fabric import GroupSpec
from intent.compiler.flow import FlowBody, FlowKey, Output
from intent.compiler.tables import Table
from ryu_apps.changes import Lead
from ryu_apps.timers import Timed
from topology.frozen import FrozenMap, differing

OPENFLOW_NAME = 15
"""Characters of a port's name that OpenFlow carries."""
FIRST_RETRY_S = 1.0
LAST_RETRY_S = 30.0


class Step(enum.Enum):
    """The next thing to do."""

    WAIT = "wait"
    READ = "read"
    WRITE = "write"


@dataclasses.dataclass(frozen=True, slots=True)
class Desired:
    """What one switch should hold, and which revision of the intents says so."""

    epoch: int
    """Counts compilations; a later one replaces this."""
    revision: int
    program: FrozenMap[FlowKey, FlowBody]
    ports: FrozenMap[int, str] = dataclasses.field(default_factory=FrozenMap)
    """The interface that each port number stood for when this was compiled."""
    of_port: Mapping[int, AbstractSet[FlowKey]] = dataclasses.field(default_factory=dict)
    """Flows that let packets in from, or out to, a port."""
    meters: Mapping[int, int] = dataclasses.field(default_factory=dict)
    """Rate in packets a second of each meter that the program uses."""
    timed: Timed = dataclasses.field(default_factory=dict)
    """Flows that end by themselves, by their end."""
    option: bool = False
    """Flows speak of the Geneve option, so the switch must know where to keep it."""
    groups: Mapping[int, GroupSpec] = dataclasses.field(default_factory=dict)
    """Groups that the program uses, by number."""
    lead: Lead | None = None
    """How the program came from the one before it, where it did."""
    made: Mapping[FlowKey, FlowBody] = dataclasses.field(default_factory=dict)
    """The program in the order in which it was compiled, if it was compiled as a whole; else empty."""

    def groups_without(self, withheld: frozenset[int]) -> Mapping[int, GroupSpec]:
        """Return the groups that send nothing to the withheld ports."""
        if not withheld:
            return self.groups
        return {number: spec.without(withheld) for number, spec in self.groups.items()}

    def program_without(self, withheld: frozenset[int]) -> FrozenMap[FlowKey, FlowBody]:
        """Return the program that gives the withheld ports nothing, and takes nothing from others."""
        touched = {key for port in withheld for key in self.of_port.get(port, ())}
        shared = {key: left for key in touched if (left := _left(key, self.program[key], withheld)) is not None}
        return self.program.but(shared, touched - shared.keys())


def _left(key: FlowKey, body: FlowBody, withheld: frozenset[int]) -> FlowBody | None:
    """Return what is left of a flow that copies to several members of a group, None if nobody else has it."""
    if key.table != Table.COPIES or not all(isinstance(act, Output) for act in body.actions):
        return None
    others = tuple(act for act in body.actions if isinstance(act, Output) and act.port not in withheld)
    return body._replace(actions=others) if others else None


class Withheld:
    """The port numbers that are, says the switch itself, not the interface that was meant.

    A number may be gone, or be another interface's by now: OVSDB will tell, but later than OpenFlow.
    """

    def __init__(self) -> None:
        self._meant: FrozenMap[int, str] = FrozenMap()
        self._there: FrozenMap[int, str] = FrozenMap()
        self.numbers: frozenset[int] = frozenset()

    def follow(self, meant: FrozenMap[int, str], there: FrozenMap[int, str]) -> frozenset[int]:
        """Return the numbers, for names as they are meant and as they are there; looks only at what changed."""
        touched = {*differing(self._meant, meant), *differing(self._there, there)}
        self._meant, self._there = meant, there
        wrong = {n for n in touched if n in meant and there.get(n, "")[:OPENFLOW_NAME] != meant[n][:OPENFLOW_NAME]}
        if touched:
            self.numbers = (self.numbers - touched) | wrong
        return self.numbers


@dataclasses.dataclass(frozen=True, slots=True)
class Goal:
    """What is to be reached, small enough to compare."""

    epoch: int
    withheld: frozenset[int]


@dataclasses.dataclass(slots=True)
class Progress:
    """What is known of one connected switch."""

    known: bool = False
    """The switch was read on this connection, or changed by confirmed bundles since."""
    reached: Goal | None = None
    refused: Goal | None = None
    """The switch refused what leads there."""
    verify_at: float = 0.0
    retry_at: float = 0.0
    retry_s: float = FIRST_RETRY_S

    def next_step(self, goal: Goal | None, now: float) -> tuple[Step, float | None]:
        """Return what to do, and for WAIT for how many seconds at most (None: until something changes)."""
        if goal is None:
            return Step.WAIT, None  # nothing is wanted yet: the switch keeps what it has
        if not self.known or now >= self.verify_at:
            return Step.READ, 0.0
        if self.reached != goal:
            wait_s = self.retry_at - now if self.refused == goal else 0.0
            if wait_s <= 0:
                return Step.WRITE, 0.0
            return Step.WAIT, min(wait_s, self.verify_at - now)
        return Step.WAIT, self.verify_at - now

    def read(self, now: float, interval_s: float) -> None:
        """Note that the switch was read: what it should hold is to be compared anew."""
        self.known = True
        self.reached = None
        self.verify_at = now + interval_s

    def confirmed(self, goal: Goal) -> None:
        """Note that the switch holds what was wanted."""
        self.reached = goal
        self.refused = None
        self.retry_s = FIRST_RETRY_S

    def failed(self, goal: Goal, now: float) -> None:
        """Note that the switch refused, so the same is tried again only after a growing pause."""
        self.known = False
        self.refused = goal
        self.retry_at = now + self.retry_s
        self.retry_s = min(self.retry_s * 2, LAST_RETRY_S)

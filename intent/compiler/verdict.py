"""What follows a decision: on to the next judgement, delivery, drop, an answer to the sender, a count."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from intent.compiler import fields as f
from intent.compiler.cookie import Kind, Origin, encode, reason
from intent.compiler.flow import CONTROLLER, Act, Actions, Flow, FlowBody, Load, Meter, Output, Program, Term, exact
from intent.compiler.tables import Lane, Priority, Table
from intent.compiler.terms import dropped, flow, goto, is_
from intent.model import Action, Direction

REJECT_BYTES = 1500
"""Of the refused packet: what an ICMP error may quote, and all of a TCP header."""
SWITCH_METER = 1
"""Limits the answers of a switch; a port has its number and this, for learning from it too."""
SWITCH_REJECTS, PORT_REJECTS = 100, 10
"""Packets a second that the controller is shown (DESIGN, "Reject")."""
SAMPLE_METERS = {Kind.GUARD: 65301, Kind.OPENED: 65302, 0: 65303}
"""What limits the samples of guards' drops, of opened connections, and of all else; above those of all ports."""
SAMPLES = 50
"""Packets a second that each of them shows the controller."""


QUEUE_METERS = 1 << 16
"""From here on meters are those of queues, and count kilobits."""


def meters(program: Program) -> dict[int, int]:
    """Return the meters a program uses, each with its rate: packets a second, of queues kilobits a second."""
    return dict(sorted({found for body in program.values() if (found := metered(body))}))


def metered(body: FlowBody) -> tuple[int, int] | None:
    """Return the meter of a flow and its rate, None if it has none."""
    first = body.actions[0] if body.actions else None
    return (first.id, _rate(first.id, body.cookie)) if isinstance(first, Meter) else None


def _rate(number: int, origin: int) -> int:
    if number >= QUEUE_METERS:
        return origin & 0xFFFFFFFF
    if number in SAMPLE_METERS.values():
        return SAMPLES
    return SWITCH_REJECTS if number == SWITCH_METER else PORT_REJECTS


_JUDGE, _DELIVER = goto(Table.INGRESS), goto(Table.DELIVER)
_TALLY = goto(Table.TALLY, Load(f.VERDICT, f.ALLOWED))
"""What an allowed packet goes through."""


@dataclasses.dataclass(frozen=True, slots=True)
class Verdicts:
    """The actions that end a judgement, in one lane; `observing` if the other lane is there too."""

    lane: Lane
    observing: bool = False

    def of(self, action: Action, direction: Direction, origin: int, marks: tuple[Load, ...] = ()) -> Actions:
        """Return what a packet goes through that was decided upon, in the name of a cookie of this lane.

        `marks` are what `handling` wants of an allow.
        """
        if self.lane is Lane.CANDIDATE:
            return self._noted(action, direction, origin & 0xFFFFFFFF)
        if action is Action.ALLOW:
            return (*marks, *self._allowed(direction))
        told = action is Action.REJECT
        if self.observing:
            rejecting = (Load(f.REJECTING, 1),) if told else ()
            return goto(Table.TALLY, Load(f.VERDICT, f.DENIED), *rejecting, Load(f.REASON, reason(origin)))
        return goto(Table.REJECT, Load(f.REASON, reason(origin))) if told else dropped(origin)

    def skip(self, direction: Direction) -> Actions:
        """Return where a packet goes whose side is no endpoint: it has no judgement."""
        if self.lane is Lane.ENFORCED:
            return self._allowed(direction)
        if direction is Direction.EGRESS:
            return goto(Table.CANDIDATE_INGRESS)
        return goto(Table.EGRESS, Load(f.CANDIDATE, f.ALLOWED))

    def _allowed(self, direction: Direction) -> Actions:
        if direction is Direction.EGRESS:
            return _JUDGE
        return _TALLY if self.observing else _DELIVER

    def _noted(self, action: Action, direction: Direction, rule: int) -> Actions:
        decider = Load(f.CANDIDATE_RULE, rule)
        if action is Action.ALLOW and direction is Direction.EGRESS:
            return goto(Table.CANDIDATE_INGRESS, decider)
        verdict = f.ALLOWED if action is Action.ALLOW else f.DENIED
        return goto(Table.EGRESS, decider, Load(f.CANDIDATE, verdict))


# -- the tally of what is observed -------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """One kind of packet that is counted."""

    enforced: int
    candidate: int
    opening: bool
    """The packet opens a connection."""

    @property
    def detail(self) -> int:
        """The column in a cookie."""
        return self.enforced << 4 | self.candidate << 2 | self.opening

    @classmethod
    def of_detail(cls, detail: int) -> Column:
        """Return the column that a cookie names."""
        return cls(detail >> 4, detail >> 2 & 3, bool(detail & 1))

    def terms(self) -> Iterable[Term]:
        """Return the match of the column."""
        mask = f.VERDICT.mask | f.CANDIDATE.mask
        yield Term(f.VERDICT.field, self.enforced << f.VERDICT.offset | self.candidate << f.CANDIDATE.offset, mask)
        # What is not tracked, a copy for a member of a multicast group, opens nothing.
        opens = Term(f.CT_STATE, f.CS_NEW | f.CS_TRK, f.CS_NEW | f.CS_TRK)
        yield opens if self.opening else Term(f.CT_STATE, 0, f.CS_NEW)


COLUMNS = tuple(Column(e, c, o) for e in (f.ALLOWED, f.DENIED) for c in (f.ALLOWED, f.DENIED) for o in (True, False))


def tally_flows(rules: Iterable[tuple[int, Action]]) -> Iterator[Flow]:
    """Yield the counters of the observed rules (number, action) and of the candidate set."""
    for number, action in rules:
        verdict = f.ALLOWED if action is Action.ALLOW else f.DENIED
        for column in COLUMNS:
            if column.candidate == verdict:
                terms = (*column.terms(), is_(f.CANDIDATE_RULE, number))
                origin = encode(Origin(Kind.TALLY, number, None, column.detail))
                yield flow(Table.TALLY, 10, terms, goto(Table.TALLY_SET), origin)
    yield flow(Table.TALLY, Priority.LAST, (), goto(Table.TALLY_SET))
    for column in COLUMNS:
        origin = encode(Origin(Kind.TALLY, 0, None, column.detail))
        allowed = column.enforced == f.ALLOWED
        yield flow(Table.TALLY_SET, 10, tuple(column.terms()), goto(Table.DELIVER if allowed else Table.REJECT), origin)


# -- telling the sender ------------------------------------------------------------------------------


def silent_flow() -> Flow:
    """Return the flow that drops what is denied, or rejected and opens nothing, behind the tally."""
    return flow(Table.REJECT, Priority.LAST, (), goto(Table.NOTE))


def reject_flows(ofports: Iterable[int], *, observing: bool) -> Iterator[Flow]:
    """Yield the flows that show the controller which packet to answer, through two meters."""
    opens: tuple[Term, ...] = (Term(f.CT_STATE, f.CS_NEW | f.CS_TRK, f.CS_NEW | f.CS_TRK),)
    if observing:
        opens = (*opens, is_(f.REJECTING, 1))
    origin = encode(Origin(Kind.REJECT, 0))
    for ofport in ofports:
        limited: tuple[Act, ...] = (Meter(SWITCH_METER + ofport),)
        yield flow(Table.REJECT, 10, (*opens, exact(f.IN_PORT, ofport)), goto(Table.REJECT_SWITCH, *limited), origin)
    yield silent_flow()
    show = goto(Table.NOTE, Meter(SWITCH_METER), Output(CONTROLLER, REJECT_BYTES))
    yield flow(Table.REJECT_SWITCH, Priority.LAST, (), show, origin)

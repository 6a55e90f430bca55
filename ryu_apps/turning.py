"""How a change of any size takes effect in one small bundle: a bit that all packets get at one instant. Pure.

What must not be met before the instant is there as a copy that matches `TURNED=1` too, and what must not be met after
it is replaced by a copy that matches `TURNED=0`; each has the priority and the actions of what it stands for. A packet
gets the bit where it comes in, and anew where conntrack hands it back, from one flow on top of that table, its
*turnstile*. The instant is the bundle that replaces the turnstiles. Afterwards what the copies stand for takes their
place.

Three messages for one, and a modification takes six; but the switch forwards between all of them
(docs/adr/0022-large-changes-turn-by-a-bit.md).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence

from intent.compiler.cookie import PIPELINE
from intent.compiler.fields import ENTERED, IN_PORT, TURNED, Slice
from intent.compiler.flow import Ct, Flow, FlowBody, FlowKey, Load, Match, Resubmit, Term, make
from ryu_apps.reach import FIRST_TABLE
from ryu_apps.timers import Held
from ryu_apps.wire import Command
from topology.breathing import Breathe, go_on, paced

Change = tuple[Command, Flow]
TOP = 0xFFFF
"""Priority of turnstiles; nothing of a program has it."""
_BITS = Slice(ENTERED.field, ENTERED.offset, ENTERED.bits + TURNED.bits)
"""Both. What conntrack hands back has neither, so its recirculation ids are those that it always had."""


@dataclasses.dataclass(frozen=True, slots=True)
class Turn:
    """A flip, cut in three: what goes before the instant, what is the instant, and what goes after it."""

    before: Iterable[Change]
    instant: Sequence[Change]
    after: Iterable[Change]


def turn(flip: Iterable[Change], actual: Held, desired: Held, most: int, breathe: Breathe = go_on) -> Turn | None:
    """Return how a flip becomes an instant of `most` changes, and a few more; None if it cannot.

    It cannot while the switch holds turnstiles of a turn that was cut short.
    What goes before and after can be gone through once, in this order: copies are made as they are sent.
    `breathe` is called now and then.
    """
    if any(key[1] == TOP for key in paced(actual, breathe)):
        return None  # of any table: the first may have lost its own already
    plain, turned = _parted(paced(flip, breathe), actual, most)
    tracked, tracks = _tracking(actual, breathe), _tracking(desired, breathe)
    at_once = {flow.key for _, flow in plain}
    early = [flow for key, flow in tracks.items() if key not in tracked and key not in at_once]
    tables = {FIRST_TABLE, *(_handed_back(flow.body) for flow in (*tracked.values(), *tracks.values()))}
    closed, opened = ([_turnstile(table, value) for table in sorted(tables)] for value in (0, 1))
    gone = [Flow(flow.key, actual[flow.key]) for _, flow in paced(turned, breathe) if flow.key in actual]
    come = [flow for command, flow in paced(turned, breathe) if command is Command.ADD]
    copies: list[Flow] = []
    before = (
        _each(Command.ADD, closed),
        _each(Command.ADD, map(_clearing, (*tracked.values(), *early))),
        _each(Command.ADD, _kept(itertools.chain(_copies(gone, 0), _copies(come, 1)), copies)),
        _each(Command.DELETE_STRICT, gone),
    )
    after = (
        _each(Command.ADD, come),
        _each(Command.DELETE_STRICT, copies),
        _each(Command.DELETE_STRICT, opened),
        _each(Command.ADD, tracks.values()),
    )
    instant = [(command, _clearing(flow) if _handed_back(flow.body) else flow) for command, flow in plain]
    return Turn(itertools.chain(*before), [*instant, *_each(Command.ADD, opened)], itertools.chain(*after))


def _tracking(program: Held, breathe: Breathe) -> dict[FlowKey, Flow]:
    """Return what hands packets to conntrack: few flows, whatever the size of a program."""
    return {key: Flow(key, body) for key, body in paced(program.items(), breathe) if _handed_back(body)}


def serves(program: Held, breathe: Breathe = go_on) -> bool:
    """Return whether some port is let in: where none is, nobody minds how long a commit takes."""
    return any(
        key.table == FIRST_TABLE and key.match and key.match[0].field is IN_PORT for key in paced(program, breathe)
    )


def _parted(flip: Iterable[Change], actual: Held, most: int) -> tuple[list[Change], list[Change]]:
    """Return what is changed at the instant itself, and what turns by the bit.

    A timer is started once, and what hands packets to conntrack clears the bit, so they are changed themselves; as
    many modifications as may be, too, which would cost most, and lose what they counted.
    """
    plain: list[Change] = []
    modified: list[Change] = []
    turned: list[Change] = []
    for change in flip:
        command, (key, body) = change
        there = actual.get(key) if command is Command.ADD else None
        if _is_its_own(body) or (there is not None and _is_its_own(there)):
            plain.append(change)
        else:
            (turned if there is None else modified).append(change)
    room = max(0, most - len(plain))
    return [*plain, *modified[:room]], [*modified[room:], *turned]


def _is_its_own(body: FlowBody) -> bool:
    return bool(body.expires_at or _handed_back(body))


def _each(command: Command, flows: Iterable[Flow]) -> Iterator[Change]:
    return ((command, flow) for flow in flows)


def _kept(flows: Iterable[Flow], copies: list[Flow]) -> Iterator[Flow]:
    for flow in flows:
        copies.append(flow)
        yield flow


def _copies(flows: Iterable[Flow], value: int) -> Iterator[Flow]:
    for (table, priority, match), body in flows:
        yield make(Flow, (make(FlowKey, (table, priority, _and(match, value))), body))


def _and(match: Match, value: int) -> Match:
    """Return a match that wants `TURNED` to have a value, too."""
    field, bits = TURNED.field, value << TURNED.offset
    at = 0
    for before in match:
        if before[0].index >= field.index:
            break
        at += 1
    if at < len(match) and match[at].field is field:
        term = match[at]
        return (*match[:at], make(Term, (field, term.value | bits, term.mask | TURNED.mask)), *match[at + 1 :])
    return (*match[:at], make(Term, (field, bits, TURNED.mask)), *match[at:])


def _turnstile(table: int, value: int) -> Flow:
    key = FlowKey(table, TOP, (Term(ENTERED.field, 0, ENTERED.mask),))
    return Flow(key, FlowBody((Load(ENTERED, 1), Load(TURNED, value), Resubmit(table)), PIPELINE))


def _handed_back(body: FlowBody) -> int:
    """Return the table to which conntrack hands packets of a flow back, which is the last thing it does; 0 for none."""
    last = body.actions[-1] if body.actions else None
    return last.table or 0 if type(last) is Ct else 0


def _clearing(flow: Flow) -> Flow:
    """Return a flow that takes the bits off what conntrack hands back; nothing follows there."""
    *acts, last = flow.body.actions
    return Flow(flow.key, flow.body._replace(actions=(*acts, Load(_BITS, 0), last)))

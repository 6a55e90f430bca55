"""What a rule wants for what it allows, beside letting it pass: a queue at the receiver's port, a copy to a mirror.

The decision writes both into registers. DELIVER sees that, goes through MIRROR and QUEUE, and then delivers as ever.
Nothing is remembered with a connection: each of its packets is judged, so each knows its rule.
docs/adr/0020-queues-and-mirrors.md says why a meter holds the rate.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from intent.compiler import fields as f
from intent.compiler.cookie import Kind, Origin, encode
from intent.compiler.flow import Actions, Flow, Load, Meter, Output, Resubmit, SetQueue, Term
from intent.compiler.tables import Priority, Table
from intent.compiler.terms import flow, is_
from intent.compiler.verdict import QUEUE_METERS, reject_flows
from intent.model import Policy, Queue, Rule
from topology.model import MirrorPort

QUEUES = 32
"""Meters of one port: a queue's number is below."""
MAX_OFPORT = ((1 << 18) - QUEUE_METERS) // QUEUES - 1
"""Ports above have no queues: Open vSwitch has 2**18 meters (`MAX_METERS` in lib/dpif-netdev.c)."""
KILO = 1000
MAX_KBPS = (1 << 32) - 1

Numbering = Callable[[str, str], int]
"""What a key has in a space of the id map."""


class Shape(NamedTuple):
    """A queue in force, as a switch knows it."""

    number: int
    kbps: int


class Tended(NamedTuple):
    """A port that packets leave by, to an endpoint or to the world."""

    ofport: int
    uplink: int = 0
    """Attachment number of an uplink, 0 of an endpoint's port."""
    told: bool = True
    """Whether who sends from it is told of rejections: not where addresses are translated."""


@dataclasses.dataclass(frozen=True, slots=True)
class Care:
    """What each port of a switch has of its own, for what rules want."""

    rejecting: bool = False
    observing: bool = False
    shapes: tuple[Shape, ...] = ()

    @property
    def idle(self) -> bool:
        """Whether ports have nothing of the kind."""
        return not (self.rejecting or self.shapes)

    def flows(self, port: Tended) -> Iterator[Flow]:
        """Yield the flows of one port; `reject_flows` has those that all share."""
        if self.rejecting and port.told:
            first, *_ = reject_flows((port.ofport,), observing=self.observing)
            yield first
        yield from queue_flows(port, self.shapes)


def handles(rule: Rule) -> Iterator[tuple[str, str]]:
    """Yield what a rule names: space of the id map and name."""
    if rule.queue is not None:
        yield "queue", rule.queue
    if rule.mirror is not None:
        yield "mirror", rule.mirror


def named(policies: Iterable[Policy], space: str) -> list[str]:
    """Return the queues, or the mirrors, that rules of these policies name."""
    return sorted({name for p in policies for r in p.rules for kind, name in handles(r) if kind == space})


def marks(rule: Rule, number: Numbering) -> tuple[Load, ...]:
    """Return what a decision writes for DELIVER; that of the ingress, which comes later, goes before the egress's."""
    if rule.queue is None and rule.mirror is None:
        return ()
    registers = {"queue": f.QUEUE, "mirror": f.MIRROR}
    loads = tuple(Load(registers[space], number(space, name)) for space, name in handles(rule))
    return (*loads, Load(f.HANDLED, 1))


def delivery_flow() -> Flow:
    """Return the flow that takes what is to be handled through the two tables, once."""
    tables = (Table.MIRROR, Table.QUEUE, Table.DELIVER)
    actions: Actions = (Load(f.HANDLED, 0), *(Resubmit(int(table)) for table in tables))
    return flow(Table.DELIVER, Priority.HANDLED, (is_(f.HANDLED, 1),), actions)


def shapes(queues: Mapping[str, Queue], names: Iterable[str], number: Numbering) -> tuple[Shape, ...]:
    """Return the queues in force.

    Raises:
        KeyError: a rule names a queue that there is not.
    """
    return tuple(Shape(number("queue", name), min(-(-queues[name].max_rate // KILO), MAX_KBPS)) for name in names)


def queue_flows(port: Tended, queues: Iterable[Shape]) -> Iterator[Flow]:
    """Yield the flows of a port's queues. Each rate stands in the cookie: so a program says what its meters are."""
    if port.ofport > MAX_OFPORT:
        return
    for queue in queues:
        limited = (Meter(QUEUE_METERS + port.ofport * QUEUES + queue.number), SetQueue(queue.number))
        yield flow(Table.QUEUE, Priority.ADDRESS, _leaving(port, queue.number), limited,
                   encode(Origin(Kind.QUEUE, queue.kbps)))  # fmt: skip


def _leaving(port: Tended, queue: int) -> tuple[Term, ...]:
    if port.uplink:
        return is_(f.DST_ATT, port.uplink), is_(f.QUEUE, queue)
    value = port.ofport << f.OUT_PORT.offset | queue << f.QUEUE.offset
    return (Term(f.OUT_PORT.field, value, f.OUT_PORT.mask | f.QUEUE.mask),)


def mirror_flows(ports: Iterable[MirrorPort], names: Iterable[str], number: Numbering) -> Iterator[Flow]:
    """Yield the flows that copy to the mirrors of a switch; of what other switches sent they have made the copy."""
    used = set(names)
    for port in ports:
        if port.name in used:
            mirrored = number("mirror", port.name)
            terms = (is_(f.MIRROR, mirrored), is_(f.FROM_TUNNEL, 0))
            origin = encode(Origin(Kind.MIRROR, mirrored))
            yield flow(Table.MIRROR, Priority.ADDRESS, terms, (Output(port.location.ofport),), origin)

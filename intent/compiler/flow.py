"""Flows as values: the common word of compiler, diff, interpreter, text renderer and wire codec.

A flow is *semantic*: two flows are equal exactly when a switch treats packets alike, whatever
encoding they came in (OVS dumps a partial `set_field` as `load`; both are `Load` here).
"""

from __future__ import annotations

import dataclasses
import enum
import itertools
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from intent.compiler.fields import Field, Slice
from topology.model import IPAddress

IN_PORT = 0xFFFFFFF8
"""OFPP_IN_PORT (OpenFlow 1.4, 7.2.1)."""
CONTROLLER = 0xFFFFFFFD
"""OFPP_CONTROLLER."""


make = tuple.__new__
"""Makes a named tuple in half the time: `make(Term, (field, value, mask))`. For what is made by the million."""


class Term(NamedTuple):
    """`field & mask == value`; `value` has no bit outside `mask`, `mask` is never 0."""

    field: Field
    value: int
    mask: int


Match: TypeAlias = tuple[Term, ...]
"""Canonical: one term a field, sorted by `Field.index`."""


class Load(NamedTuple):
    """Write a constant into a slice (`set_field` when it covers the whole field)."""

    dst: Slice
    value: int


@dataclasses.dataclass(frozen=True, slots=True)
class Move:
    """Copy a slice; both have the same width."""

    src: Slice
    dst: Slice


@dataclasses.dataclass(frozen=True, slots=True)
class Resubmit:
    """Look up `table`, run what it says, come back (NXAST_RESUBMIT_TABLE)."""

    table: int


@dataclasses.dataclass(frozen=True, slots=True)
class Goto:
    """Go on in a later table, last of all (OFPIT_GOTO_TABLE)."""

    table: int


@dataclasses.dataclass(frozen=True, slots=True)
class Output:
    """Send to a port number, IN_PORT or CONTROLLER."""

    port: int
    max_len: int = 0
    """Bytes of the packet that CONTROLLER gets; 0 for other ports."""


@dataclasses.dataclass(frozen=True, slots=True)
class OutputReg:
    """Send to the port whose number a register slice holds (NXAST_OUTPUT_REG)."""

    src: Slice


class Side(enum.StrEnum):
    """Which end of a connection is translated."""

    SOURCE = "src"
    DESTINATION = "dst"


@dataclasses.dataclass(frozen=True, slots=True)
class Nat:
    """Translate as conntrack keeps it for the connection (NXAST_NAT); with a `side`, choose that for a new one."""

    side: Side | None = None
    address: IPAddress | None = None
    """What that end becomes; there with a side, and only then."""
    port: int | None = None
    """1..65535, None to leave it as it is if that is free."""


@dataclasses.dataclass(frozen=True, slots=True)
class Ct:
    """Connection tracking (NXAST_CT): look up, optionally commit, optionally go on in `table`."""

    zone: Slice | int
    commit: bool = False
    force: bool = False
    table: int | None = None
    exec: tuple[Load | Move, ...] = ()
    nat: Nat | None = None


class Conjunction(NamedTuple):
    """This flow satisfies `clause` (1-based) of `of` clauses of conjunction `id` (NXAST_CONJUNCTION)."""

    id: int
    clause: int
    of: int


@dataclasses.dataclass(frozen=True, slots=True)
class DecTtl:
    """Take 1 from TTL or hop limit (OFPAT_DEC_NW_TTL); the flow matches IP, and its packet has more than 1."""


@dataclasses.dataclass(frozen=True, slots=True)
class Meter:
    """Rate limit (OFPIT_METER); first if present."""

    id: int


@dataclasses.dataclass(frozen=True, slots=True)
class SetQueue:
    """Leave by this queue of whatever port it is output to (OFPAT_SET_QUEUE)."""

    id: int


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """Send by a group, which chooses the port (OFPAT_GROUP); `intent.compiler.fabric` says what it holds."""

    id: int


Act: TypeAlias = (
    Load | Move | Resubmit | Goto | Output | OutputReg | Ct | Conjunction | DecTtl | Meter | SetQueue | Group
)
Actions: TypeAlias = tuple[Act, ...]
"""In order; empty drops the packet. The conjunctions of one flow are sorted by (id, clause)."""


class FlowKey(NamedTuple):
    """What OpenFlow's strict matching compares: a table holds one flow a key."""

    table: int
    priority: int
    match: Match


class FlowBody(NamedTuple):
    """What a flow does."""

    actions: Actions
    cookie: int
    hard_timeout: int = 0
    """Seconds from when it is added, 0 for none; only flows on the wire have it."""
    expires_at: int = 0
    """When it ends by itself, in seconds since the epoch, 0 for never; only programs have it."""


class Flow(NamedTuple):
    """One entry of a flow table."""

    key: FlowKey
    body: FlowBody


Program: TypeAlias = dict[FlowKey, FlowBody]
"""Everything one switch holds."""


def match_of(terms: Iterable[Term]) -> Match:
    """Return the canonical match of terms in any order.

    Raises:
        ValueError: a field twice, a mask of 0, or a value outside its mask or field.
    """
    ordered = tuple(terms)
    last = -1
    for field, value, mask in ordered:
        if field.index <= last:
            return _sorted_match(ordered)
        last = field.index
        if not 0 < mask <= field.ones or value & ~mask:
            raise ValueError(f"{field.name}={value:#x}/{mask:#x} is no valid term")
    return ordered


def _sorted_match(terms: Match) -> Match:
    ordered = tuple(sorted(terms, key=lambda t: t.field.index))
    for before, term in itertools.pairwise(ordered):
        if before.field is term.field:
            raise ValueError(f"{term.field.name} is matched twice")
    return match_of(ordered)


def exact(field: Field, value: int) -> Term:
    """Match the whole field."""
    return make(Term, (field, value, field.ones))


def slice_is(where: Slice, value: int) -> Term:
    """Match a slice of a field; a field has one term, so merge slices with `merge_slices`."""
    return Term(where.field, value << where.offset, where.mask)

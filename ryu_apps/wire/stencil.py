"""Many flows of one shape as bytes at once: what they share is written once, what differs goes in by columns.

Flows have one shape when they match the same fields under the same masks and do the same kinds of things, so that
their bytes differ only in numbers at the same places. A large program has a few dozen shapes. Its numbers are taken
out of the flows column by column and laid into a block of copies of the first, which is several times faster than to
encode flow by flow. What has no shape, and whatever is wrong, is left to the encoder of one flow, which says what.
"""

from __future__ import annotations

import functools
import operator
import struct
import sys
from array import array
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from intent.compiler.flow import Act, Actions, Conjunction, Goto, Load, Match, Meter, Output
from ryu_apps.wire import actions as scalar
from ryu_apps.wire import oxm
from ryu_apps.wire.errors import WireError

if TYPE_CHECKING:
    from intent.compiler.fields import Field

FEWEST = 24
"""Flows of one shape that are worth a block."""
Numbers: TypeAlias = Sequence[int]
Shape: TypeAlias = tuple[object, ...]
_Column: TypeAlias = "tuple[Sequence[Field], Numbers, Numbers]"
"""Fields, values and masks of the terms at one place in the matches."""

_ITEMS: Final = {1: ("B", 1), 2: ("H", 2), 3: ("I", 4), 4: ("I", 4), 6: ("Q", 8), 8: ("Q", 8)}
"""By bytes of a number: code and size of the machine's smallest that holds it (`array`)."""
_WHOLE_BITS = frozenset((8, 16, 32, 64, 128))
"""Where a number too large does not fit its bytes either."""
_MATCH, _APPLY = struct.Struct("!HH"), struct.Struct("!HH4x")
_GOTO = struct.pack("!HH", scalar.GOTO_TABLE, 8)
_OUTPUT = struct.pack("!HH", scalar.OUTPUT, 16)


class MixedError(Exception):
    """These flows have not one shape, or one that the encoder of one flow has to look at."""


class Stencil:
    """A block of messages of one size: a pattern, and columns of numbers that differ."""

    def __init__(self, count: int, start: int) -> None:
        """Begin `count` messages with so many bytes that are laid in later."""
        self.count = count
        self.pattern = bytearray(start)
        self._columns: list[tuple[int, int, int, bytes]] = []
        """Place, bytes of a number, bytes of an item, items from the most significant byte on."""

    def add(self, data: bytes) -> None:
        """Go on with bytes that all messages share."""
        self.pattern += data

    def add_column(self, numbers: Numbers, size: int) -> None:
        """Go on with a number of each message, in `size` bytes.

        Raises:
            OverflowError: one does not fit.
        """
        at = len(self.pattern)
        self.pattern += bytes(size)
        self.lay((at,), numbers, size)

    def lay(self, places: Sequence[int], numbers: Numbers, size: int) -> None:
        """Put a number of each message at each of the places.

        Raises:
            OverflowError: one does not fit.
        """
        if numbers[0] == numbers[-1] and numbers.count(numbers[0]) == self.count:
            for at in places:
                self.pattern[at : at + size] = numbers[0].to_bytes(size)
            return
        item, data = _packed(numbers, size)
        self._columns += [(at, size, item, data) for at in places]

    def block(self) -> bytearray:
        """Return the messages, one behind the other."""
        step, block = len(self.pattern), self.pattern * self.count
        for at, size, item, data in self._columns:
            for place in range(size):
                block[at + place :: step] = data[item - size + place :: item]
        return block


def _packed(numbers: Numbers, size: int) -> tuple[int, bytes]:
    """Return the bytes of an item and the items."""
    if size not in _ITEMS:
        return size, b"".join([number.to_bytes(size) for number in numbers])
    code, item = _ITEMS[size]
    data = array(code, numbers)
    if sys.byteorder == "little":
        data.byteswap()
    return item, data.tobytes()


def shape(match: Match, actions: Actions) -> Shape:
    """Return what the flows of one shape agree in."""
    return (*[(field, mask) for field, _, mask in match], *[_kind(act) for act in actions])


def _kind(act: Act) -> object:
    if isinstance(act, Load):
        return act.dst
    if isinstance(act, Conjunction):
        return act.clause, act.of
    return type(act) if isinstance(act, Output | Goto) else act


def lay_matches(stencil: Stencil, matches: Sequence[Match], rank: Mapping[Field, int] | None = None) -> None:
    """Go on with an `ofp_match` of each message; its fields in the order of `rank`, if that is said.

    Raises:
        MixedError, OverflowError: encode flow by flow.
    """
    at = len(stencil.pattern)
    terms: list[_Column] = [tuple(zip(*column, strict=True)) for column in zip(*matches, strict=True)]  # type: ignore[misc]
    if rank:
        terms.sort(key=lambda term: rank[term[0][0]])
    stencil.add(bytes(_MATCH.size))
    for term in terms:
        _lay_term(stencil, *term)
    size = len(stencil.pattern) - at
    _MATCH.pack_into(stencil.pattern, at, 1, size)
    stencil.add(bytes(-size & 7))


def _lay_term(stencil: Stencil, fields: Sequence[Field], values: Numbers, masks: Numbers) -> None:
    field, mask = fields[0], masks[0]
    if fields.count(field) != stencil.count or masks.count(mask) != stencil.count:
        raise MixedError
    plain, masked, size, ones = oxm.layout(field)
    if mask == ones:
        if (field.bits not in _WHOLE_BITS and max(values) > ones) or (oxm.never_zero(field) and 0 in values):
            raise MixedError
        stencil.add(plain)
        stencil.add_column(values, size)
        return
    if not 0 < mask < ones or functools.reduce(operator.or_, values) & ~mask or oxm.exact_only(field):
        raise MixedError
    stencil.add(masked)
    stencil.add_column(values, size)
    stencil.add(mask.to_bytes(size))


def lay_instructions(stencil: Stencil, lists: Sequence[Actions]) -> None:
    """Go on with the instructions of each message.

    Raises:
        MixedError, OverflowError, WireError: encode flow by flow.
    """
    width = len(lists[0])
    flat = list(chain.from_iterable(lists))
    columns = [flat[n::width] for n in range(width)]
    kinds = [_one_kind(column) for column in columns]
    if Meter in kinds or (Conjunction in kinds and {*kinds} != {Conjunction}):
        raise MixedError
    gotos = columns.pop() if kinds and kinds[-1] is Goto else None
    if columns:
        at = len(stencil.pattern)
        stencil.add(bytes(_APPLY.size))
        for kind, column in zip(kinds, columns, strict=False):
            _LAYERS.get(kind, _lay_same)(stencil, column)
        size = len(stencil.pattern) - at
        if size > scalar.MAX_INSTRUCTIONS:
            raise MixedError
        _APPLY.pack_into(stencil.pattern, at, scalar.APPLY_ACTIONS, size)
    if gotos:
        _lay_goto(stencil, cast("list[Goto]", gotos))


def _one_kind(column: Sequence[Act]) -> type[Act]:
    kinds = {*map(type, column)}
    if len(kinds) > 1:
        raise MixedError
    return kinds.pop()


def _lay_goto(stencil: Stencil, column: Sequence[Goto]) -> None:
    tables = [act.table for act in column]
    if max(tables) >= scalar.NO_TABLE:
        raise MixedError
    stencil.add(_GOTO)
    stencil.add_column(tables, 1)
    stencil.add(bytes(3))


def _lay_load(stencil: Stencil, column: Sequence[Load]) -> None:
    slices, values = [act.dst for act in column], [act.value for act in column]
    dst = slices[0]
    before, size, after = scalar.load_form(dst)
    told = dst.bits == 8 * size and dst.bits in _WHOLE_BITS
    if slices.count(dst) != stencil.count or (not told and max(values) >> dst.bits):
        raise MixedError
    stencil.add(before)
    stencil.add_column(values, size)
    stencil.add(after)


def _lay_output(stencil: Stencil, column: Sequence[Output]) -> None:
    if any(act.max_len for act in column):
        raise MixedError
    stencil.add(_OUTPUT)
    stencil.add_column([act.port for act in column], 4)
    stencil.add(bytes(8))


def _lay_clause(stencil: Stencil, column: Sequence[Conjunction]) -> None:
    first = column[0]
    clauses, of = [act.clause for act in column], [act.of for act in column]
    if clauses.count(first.clause) != stencil.count or of.count(first.of) != stencil.count:
        raise MixedError
    stencil.add(scalar.clause_form(first))
    stencil.add_column([act.id for act in column], 4)


def _lay_same(stencil: Stencil, column: Sequence[Act]) -> None:
    if column.count(column[0]) != stencil.count:
        raise MixedError
    stencil.add(scalar.encode_actions((column[0],)))


_LAYERS: Final[dict[type[Act], Callable[[Stencil, Any], None]]] = {
    Load: _lay_load,
    Output: _lay_output,
    Conjunction: _lay_clause,
}
REFUSALS: Final = (MixedError, OverflowError, WireError, struct.error)
"""After which flows are encoded one by one."""

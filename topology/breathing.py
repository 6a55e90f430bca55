"""How a long computation lets others run: whoever starts it gives a `breathe`, which is called now and then. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias, TypeVar

PIECE = 200
"""Things between two breaths: two milliseconds of the slowest work, a fraction of one of most."""
T = TypeVar("T")
Breathe: TypeAlias = Callable[[], None]


def go_on() -> None:
    """Breathe where nobody else wants to run."""


def paced(things: Iterable[T], breathe: Breathe, piece: int = PIECE) -> Iterable[T]:
    """Return things to be gone through once, with a breath after each `piece` of them; costs 20 ns each."""
    return things if breathe is go_on else _pieces(things, breathe, piece)


def _pieces(things: Iterable[T], breathe: Breathe, piece: int) -> Iterator[T]:
    rest = iter(things)
    while some := list(itertools.islice(rest, piece)):
        yield from some
        if len(some) == piece:
            breathe()

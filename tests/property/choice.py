"""Where random values come from: a seed, or hypothesis, which shrinks what it chose."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import cache
from typing import Protocol, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


@cache
def _up_to(most: int) -> st.SearchStrategy[int]:
    """Making a strategy takes longer than drawing from it."""
    return st.integers(0, most)


class Choice(Protocol):
    """Makes choices; the first of a sequence, 0 and False count as the simplest."""

    def pick(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        ...

    def chance(self, percent: int) -> bool:
        """Return True in about that many of a hundred cases."""
        ...


class Seeded:
    """Choices that follow from a seed, fast."""

    def __init__(self, seed: int | str) -> None:
        self._random = random.Random(seed)

    def pick(self, options: Sequence[T]) -> T:
        return options[int(self._random.random() * len(options))]

    def chance(self, percent: int) -> bool:
        return self._random.random() * 100 < percent


class Drawn:
    """Choices that hypothesis makes, remembers and shrinks."""

    def __init__(self, draw: Callable[[st.SearchStrategy[int]], int]) -> None:
        self._draw = draw

    def pick(self, options: Sequence[T]) -> T:
        return options[self._draw(_up_to(len(options) - 1))]

    def chance(self, percent: int) -> bool:
        return self._draw(_up_to(99)) >= 100 - percent


def many(choice: Choice, least: int, most: int, make: Callable[[], T]) -> tuple[T, ...]:
    """Return `least` to `most` values; each extra one is a choice of its own, so shrinking can leave it out."""
    made: list[T] = []
    while len(made) < least or (len(made) < most and choice.chance(75)):
        made.append(make())
    return tuple(made)


def subset(choice: Choice, options: Sequence[T], percent: int = 50) -> tuple[T, ...]:
    """Return some of the options, in their order."""
    return tuple(option for option in options if choice.chance(percent))

"""Who wants what: candidates by the things that they want, mostly one for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from intent.inventory.parts import Source
from intent.inventory.values import ClaimKey

Tie: TypeAlias = ClaimKey | str
"""What ties candidates together: a thing that both want, or (a string) an attachment that both are."""


class Ties:
    """An index that is told who comes and goes."""

    def __init__(self) -> None:
        self._first: dict[Tie, Source] = {}
        self._others: dict[Tie, dict[Source, None]] = {}
        """Those beside the first, for the few things that several want."""

    def put(self, source: Source, ties: Iterable[Tie]) -> bool:
        """Note what a candidate wants; return whether nobody else wants any of it."""
        first, is_alone = self._first, True
        for tie in ties:
            there = first.setdefault(tie, source)
            if there is not source and there != source:
                self._others.setdefault(tie, {})[source] = None
                is_alone = False
        return is_alone

    def drop(self, source: Source, ties: Iterable[Tie]) -> None:
        """Forget what a candidate wanted."""
        for tie in ties:
            others = self._others.get(tie, {})
            if source in others:
                del others[source]
            elif self._first.get(tie) == source:
                del self._first[tie]
                if others:
                    self._first[tie] = heir = next(iter(others))
                    del others[heir]
            if not others:
                self._others.pop(tie, None)

    def those(self, tie: Tie) -> Iterator[Source]:
        """Yield who wants something."""
        first = self._first.get(tie)
        if first is not None:
            yield first
            yield from self._others.get(tie, ())

    def is_shared(self, tie: Tie) -> bool:
        """Whether more than one wants it."""
        return tie in self._others

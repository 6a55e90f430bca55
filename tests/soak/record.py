"""What became of every message: the notes of `traffic.py`, and questions to them. Pure but for `read`."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Flow:
    """One direction of one stream."""

    sent: list[float]
    """Instants, by number of the message."""
    got: list[tuple[int, float]]
    """Number and instant of each message that arrived."""

    def lost(self, begin: float = -math.inf, end: float = math.inf) -> list[float]:
        """Return when those messages were sent that never arrived."""
        arrived = {number for number, _ in self.got}
        return [at for number, at in enumerate(self.sent) if begin <= at < end and number not in arrived]

    def arrived(self, begin: float = -math.inf, end: float = math.inf) -> list[float]:
        """Return when messages arrived."""
        return [at for _, at in self.got if begin <= at < end]

    def slowest_s(self) -> float:
        """Return the longest time a message took; 0 with none."""
        return max((at - self.sent[number] for number, at in self.got), default=0.0)


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """Everything that one traffic process noted."""

    flows: dict[int, list[Flow]]
    """By stream: its directions, those that sent anything."""
    ends: dict[int, list[tuple[str, float]]]
    """By stream: resets, refusals and ends."""
    retransmits: dict[int, int]
    caught: list[tuple[float, str, str, int, int, int]]
    """Frames that reached a guarded interface: instant, source, destination, protocol, ports."""

    @classmethod
    def read(cls, path: Path) -> Record:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        streams = {int(ident): notes for ident, notes in raw["streams"].items()}
        return cls(
            {
                ident: [
                    Flow(sent, [(number, at) for number, at in notes["got"][direction]])
                    for direction, sent in notes["sent"].items()
                    if sent
                ]
                for ident, notes in streams.items()
            },
            {ident: [(why, at) for why, at in notes["ends"]] for ident, notes in streams.items()},
            {ident: notes["retransmits"] for ident, notes in streams.items()},
            [tuple(one) for one in raw["caught"]],
        )

    def of(self, idents: Iterable[int]) -> list[Flow]:
        """Return all directions of some streams."""
        return [flow for ident in idents for flow in self.flows[ident]]

    def lost(self, idents: Iterable[int]) -> int:
        return sum(len(flow.lost()) for flow in self.of(idents))

    def sent(self, idents: Iterable[int]) -> int:
        return sum(len(flow.sent) for flow in self.of(idents))

    def delivered(self, idents: Iterable[int]) -> int:
        return sum(len(flow.got) for flow in self.of(idents))

    def broken(self, idents: Iterable[int]) -> dict[int, list[tuple[str, float]]]:
        """Return the streams that were reset, refused or ended."""
        return {ident: self.ends[ident] for ident in idents if self.ends[ident]}


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of all values does not exceed; 0 for none.

    >>> percentile([3, 1, 2, 4], 0.5)
    2
    """
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

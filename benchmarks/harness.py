"""Rows of a benchmark: ours and a peer, in turns, in one run.

A result is one JSON line: row, work, ours, peer, peer_name, ratio, unit (and the spread of both).
Smaller is better; ratio is ours / peer.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Callable, Sequence

REPEATS = 5

Measure = Callable[[], float]
"""Does the work once from a fresh state and returns seconds."""


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One comparison. Without a peer the row only reports."""

    name: str
    work: str
    ours: Measure
    peer: Measure | None = None
    peer_name: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Figures:
    """Seconds of each repeat."""

    ours: tuple[float, ...]
    peer: tuple[float, ...]


def measure(row: Row, repeats: int = REPEATS) -> Figures:
    """Run ours and the peer in turns, so that what else the machine does falls on both."""
    ours: list[float] = []
    peer: list[float] = []
    for _ in range(repeats):
        ours.append(row.ours())
        if row.peer is not None:
            peer.append(row.peer())
    return Figures(tuple(ours), tuple(peer))


def result(row: Row, figures: Figures) -> dict[str, object]:
    """Return what is reported: medians, their ratio, and the extremes."""
    ours = statistics.median(figures.ours)
    peer = statistics.median(figures.peer) if figures.peer else None
    return {
        "row": row.name,
        "work": row.work,
        "ours": round(ours, 6),
        "peer": None if peer is None else round(peer, 6),
        "peer_name": row.peer_name,
        "ratio": None if peer is None else round(ours / peer, 3),
        "unit": "s",
        "ours_range": _range(figures.ours),
        "peer_range": _range(figures.peer),
    }


def run(rows: Sequence[Row]) -> None:
    """Measure each row and print its line."""
    for row in rows:
        print(json.dumps(result(row, measure(row))), flush=True)


def _range(values: Sequence[float]) -> list[float]:
    return [round(f(values), 6) for f in (min, max)] if values else []

"""What every row shares: turns, quantiles, bounds, and one JSON line a result.

A result is `{"row","work","ours","peer","peer_name","ratio","unit"}` and what is needed to believe it: p99 of both
sides, how often each was measured, memory, how many sampled verdicts agreed, and the load of the machine.
`ratio` is ours / peer. `ours` and `peer` are medians.
"""

from __future__ import annotations

import dataclasses
import gc
import json
import math
import os
import platform
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal

REPEATS = int(os.environ.get("BENCH_REPEATS", "5"))
"""Turns of each side. Fewer only for a first look, and the result says how many."""
VERDICTS = int(os.environ.get("BENCH_VERDICTS", "10000"))
"""Sampled verdicts that must agree before a row counts."""

IS_WHOLE = REPEATS >= 5 and VERDICTS >= 10_000  # noqa: PLR2004 - what the rows promise
"""A first look is printed and not kept."""


@dataclasses.dataclass(frozen=True, slots=True)
class Bound:
    """What the target says: `Bound("ratio", "<=", 0.05)`, `Bound("p99", "<=", 4)`."""

    of: Literal["ratio", "ours", "p99"]
    sign: Literal["<=", ">=", "=="]
    value: float

    def kept(self, result: Result) -> bool:
        """Say whether a result keeps it; one that has no such figure does not."""
        found = {"ratio": result.ratio, "ours": result.ours, "p99": result.ours_p99}[self.of]
        if found is None:
            return False
        return {"<=": found <= self.value, ">=": found >= self.value, "==": found == self.value}[self.sign]

    def __str__(self) -> str:
        return f"{self.of} {self.sign} {self.value:g}"


@dataclasses.dataclass(slots=True)
class Result:
    """One figure of a row beside one peer."""

    row: str
    work: str
    unit: str
    ours_values: Sequence[float]
    peer_values: Sequence[float] = ()
    peer_name: str | None = None
    bounds: Sequence[Bound] = ()
    memory_mb: float | None = None
    """Largest resident memory of our programs."""
    peer_memory_mb: float | None = None
    agreed: int | None = None
    """Sampled verdicts that agreed with the semantics; all of them, or the row fails."""
    note: str = ""

    @property
    def ours(self) -> float:
        """Median."""
        return statistics.median(self.ours_values)

    @property
    def peer(self) -> float | None:
        """Median."""
        return statistics.median(self.peer_values) if self.peer_values else None

    @property
    def ours_p99(self) -> float:
        """The value that 99 in 100 do not pass."""
        return quantile(self.ours_values, 0.99)

    @property
    def ratio(self) -> float | None:
        """Ours / peer."""
        return self.ours / self.peer if self.peer else None

    def line(self) -> dict[str, Any]:
        """Return the JSON line."""
        return {
            "row": self.row,
            "work": self.work,
            "ours": rounded(self.ours),
            "peer": rounded(self.peer),
            "peer_name": self.peer_name,
            "ratio": rounded(self.ratio),
            "unit": self.unit,
            "ours_p99": rounded(self.ours_p99),
            "peer_p99": rounded(quantile(self.peer_values, 0.99)) if self.peer_values else None,
            "ours_count": len(self.ours_values),
            "peer_count": len(self.peer_values),
            "bounds": [{"bound": str(b), "kept": b.kept(self)} for b in self.bounds],
            "memory_mb": rounded(self.memory_mb),
            "peer_memory_mb": rounded(self.peer_memory_mb),
            "agreed": self.agreed,
            "note": self.note,
            "load": [round(x, 2) for x in os.getloadavg()],
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}",
        }


def rounded(value: float | None, digits: int = 4) -> float | None:
    """Return a value with so many significant digits."""
    if value is None or not value or not math.isfinite(value):
        return value
    return round(value, digits - 1 - math.floor(math.log10(abs(value))))


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of all values does not exceed; 0 for none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def alternate(first: Callable[[], None], second: Callable[[], None]) -> None:
    """Give both sides turns, so that what else the machine does falls on both; who begins changes with each."""
    for turn in range(REPEATS):
        for side in (first, second) if turn % 2 == 0 else (second, first):
            side()
            gc.collect()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep Python's garbage collector out of a measurement, as `timeit` does."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def emit(result: Result) -> dict[str, Any]:
    """Print a result's line, and return it."""
    line = result.line()
    print(json.dumps(line), flush=True)
    return line

"""How compiling grows with endpoints and switches."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.harness import REPEATS, Bound, Result
from mininet_scenarios import shell
from mininet_scenarios.janitor import Janitor

SIZES = (1_000, 10_000, 50_000, 100_000)
LARGEST = 100_000
TIMEOUT_S = 240.0
ROOT = Path(__file__).parent.parent.parent


def scale() -> Iterator[Result]:
    """Measure compile time, memory and a single change at each size, each in a process of its own."""
    smallest = 0.0
    with Janitor() as janitor:
        for size in SIZES:
            runs = [_run(janitor, size) for _ in range(REPEATS)]
            first = runs[0]
            peak = max(run["peak_mb"] for run in runs)
            work = f"{size} endpoints on {-(-size // 1000)} switches, 10,000 policies"
            note = f"{first['flows']} flows in all"
            bounds = [Bound("ours", "<=", 10)] if size == LARGEST else []
            times = [run["compiled_s"] for run in runs]
            yield Result("scale", f"{work}: compile", "s", times, bounds=bounds, memory_mb=peak, note=note)
            bounds = [Bound("ours", "<=", 2000)] if size == LARGEST else []
            memory = [run["peak_mb"] for run in runs]
            yield Result("scale", f"{work}: memory", "MB", memory, bounds=bounds, note="Python, documents and all")
            changes = [run["change_ms"] for run in runs]
            smallest = smallest or min(changes)
            bounds = [Bound("ours", "<=", 2 * smallest)] if size == LARGEST else []
            yield Result("scale", f"{work}: a single join in memory", "ms", changes, bounds=bounds)


def _run(janitor: Janitor, size: int) -> dict[str, Any]:
    where = janitor.surroundings(env={"PYTHONPATH": str(ROOT)})
    said = shell.run([sys.executable, "-m", "benchmarks.scaling", str(size)], where=where, timeout_s=TIMEOUT_S)
    found: dict[str, Any] = json.loads(said)
    return found

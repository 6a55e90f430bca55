"""Refuse a pure package whose branches the quick tests (unit, golden, a slice of property) do not cover to 95 %.

Reads `.coverage` as `coverage run` left it. The gate counts branches alone: the usual percentage
mixes in lines, which hides untested decisions.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
GATE = 95.0
PACKAGES = ("topology", "intent")
WORST = 8
"""How many files to name when the gate closes."""


def report() -> Mapping[str, Any]:
    """Return what coverage knows, by file (`coverage json`, format 3)."""
    command = [sys.executable, "-m", "coverage", "json", "-q", "-o", "-"]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    files: Mapping[str, Any] = json.loads(output)["files"]
    return files


def branches(files: Mapping[str, Any], package: str) -> Iterator[tuple[str, int, int]]:
    """Yield (file, branches covered, branches) of a package."""
    for name, data in sorted(files.items()):
        if name.startswith(f"{package}/"):
            yield name, data["summary"]["covered_branches"], data["summary"]["num_branches"]


def judge(files: Mapping[str, Any], package: str) -> tuple[bool, str]:
    """Return whether a package passes, and a line or more that say so."""
    rows = list(branches(files, package))
    if not rows:
        return False, f"{package}: no file was measured"
    covered, total = sum(r[1] for r in rows), sum(r[2] for r in rows)
    percent = 100.0 * covered / total if total else 100.0
    line = f"{package}: {covered}/{total} branches covered, {percent:.1f} % (gate {GATE:.0f} %)"
    if percent >= GATE:
        return True, line
    worst = sorted((r for r in rows if r[1] < r[2]), key=lambda r: r[1] - r[2])[:WORST]
    return False, "\n".join([line, *(f"  {name}: {all_ - hit} of {all_} not taken" for name, hit, all_ in worst)])


def main() -> int:
    """Judge each pure package; return 1 when one fails."""
    files = report()
    judged = [judge(files, package) for package in PACKAGES]
    print("\n".join(text for _, text in judged), flush=True)
    return int(not all(passed for passed, _ in judged))


if __name__ == "__main__":
    sys.exit(main())

"""Run the rows named, or all: `python -m benchmarks [ROW ...]`."""

from __future__ import annotations

import sys

from benchmarks.harness import run
from benchmarks.rows import ROWS


def main(names: list[str]) -> int:
    """Measure and print one JSON line a row."""
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        print(f"no such row: {', '.join(unknown)}; there are: {', '.join(ROWS)}", file=sys.stderr)
        return 2
    for name in names or ROWS:
        with ROWS[name]() as row:
            run([row])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

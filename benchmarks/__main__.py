"""Run the rows named, or all: `python -m benchmarks [ROW ...]`.

One JSON line a result goes to standard output; whole runs also rewrite docs/performance.md.
"""

from __future__ import annotations

import sys

from benchmarks import page
from benchmarks.harness import IS_WHOLE, emit
from benchmarks.rows import ROWS

LONGEST = 2000
"""Characters of an error that are shown."""


def main(names: list[str]) -> int:
    """Measure, print one JSON line a result, and rewrite the page; return 1 if a row did not count."""
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        print(f"no such row: {', '.join(unknown)}; there are: {', '.join(ROWS)}", file=sys.stderr)
        return 2
    failed = False
    for name in names or ROWS:
        try:
            lines = [emit(result) for result in ROWS[name]()]
            if IS_WHOLE:
                page.keep(name, lines)
                page.write()
        except (AssertionError, OSError, RuntimeError) as error:
            print(f"{name}: does not count: {type(error).__name__}: {_short(str(error))}", file=sys.stderr)
            failed = True
    return int(failed)


def _short(text: str) -> str:
    """Return both ends of a long text: what was tried, and what came of it."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

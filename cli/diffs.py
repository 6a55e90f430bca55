"""Documents before and after, as the lines that differ."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from cli.terminal import GREEN, RED, paint, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.answer import Answer

STYLES = {"+": GREEN, "-": RED}


def diff(change: Answer) -> Iterator[str]:
    """Yield the lines of one document that a change puts or takes, with those around them."""
    before, after = (_lines(change, when) for when in ("before", "after"))
    for line in list(difflib.unified_diff(before, after, lineterm=""))[2:]:
        if line.startswith("@@"):
            continue
        yield paint(printable(line), *((STYLES[line[0]],) if line[0] in STYLES else ()))


def _lines(change: Answer, when: str) -> list[str]:
    import yaml

    if not change.has(when):
        return []
    return yaml.safe_dump(change.part(when).value, sort_keys=False, width=100).splitlines()

"""Words on a terminal: colours only where they show, nothing that steers it, tables no wider than it is."""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

    from cli.answer import Json
    from cli.exits import Failure

GREEN, RED, YELLOW, BOLD, DIM = "32", "31", "33", "1", "2"
MIN_WIDTH = 40
MIN_COLUMN = 8
"""A column is not cut below this."""
GAP = "  "
PLAIN = str.maketrans("─│├└…", "-||`.")
"""The lines of pictures, for terminals without them."""
BEND_TEXT = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")
"""Characters that turn the direction of text or break lines: what is shown would not be what is there."""


def is_coloured(stream: TextIO) -> bool:
    """Say whether colours belong on a stream: a terminal, and nobody asked for none (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, *styles: str, stream: TextIO | None = None) -> str:
    """Return the text in colours, where they belong."""
    if not styles or not is_coloured(stream or sys.stdout):
        return text
    return f"\x1b[{';'.join(styles)}m{text}\x1b[0m"


def printable(text: str) -> str:
    """Return the text with whatever could steer a terminal made visible."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(c) for c in text)


def _visible(char: str) -> str:
    if char.isprintable() and char not in BEND_TEXT:
        return char
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


def width() -> int | None:
    """Return the columns of the terminal, None if the output is none."""
    return max(MIN_WIDTH, shutil.get_terminal_size().columns) if sys.stdout.isatty() else None


def say(text: str = "") -> None:
    """Print a line of output, in what its reader can show."""
    print(encodable(text, sys.stdout))


def encodable(text: str, stream: TextIO) -> str:
    """Return the text as a stream can encode it: at worst with the lines of pictures in ASCII and the rest escaped."""
    encoding = getattr(stream, "encoding", None) or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(PLAIN).encode(encoding, "backslashreplace").decode(encoding)
    return text


def note(text: str) -> None:
    """Print a line that is no output: progress, a warning."""
    print(text, file=sys.stderr)


def emit_json(value: Json) -> None:
    """Print a value as JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=not _speaks_unicode()))


def _speaks_unicode() -> bool:
    return (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"


def explain(failure: Failure, *, as_json: bool) -> None:
    """Print why a command failed and what to do about it, to standard error."""
    if as_json:
        problems: list[Json] = [dict(p._asdict()) for p in failure.problems]
        document: Json = {
            "code": int(failure.code),
            "message": failure.message,
            "remedy": failure.remedy,
            "errors": problems,
        }
        note(json.dumps(document, indent=2))
        return
    note(f"{paint('ringfence:', RED, stream=sys.stderr)} {printable(failure.message)}")
    for problem in failure.problems:
        where = f"{printable(problem.path)}: " if problem.path else ""
        remedy = f" ({printable(problem.remedy)})" if problem.remedy else ""
        note(f"  {paint(where, BOLD, stream=sys.stderr)}{printable(problem.message)}{remedy}")
    if failure.remedy:
        note(f"  {printable(failure.remedy)}")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, limit: int | None = None) -> Iterator[str]:
    """Yield the lines of a table, cut to `limit` columns (default: the terminal's).

    Cells may hold anything; they are made printable. A `painted` cell has a colour.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = _fit([max(map(len, column)) for column in zip(heads, *cells, strict=True)], limit or width())
    yield paint(_line(heads, widths), BOLD)
    for row, plain in zip(rows, cells, strict=True):
        yield _line(plain, widths, [getattr(cell, "style", "") for cell in row])


class Painted(str):
    """A cell of a table with a colour."""

    __slots__ = ("style",)
    style: str


def painted(text: str, style: str) -> Painted:
    """Return a cell that shows in a style."""
    cell = Painted(text)
    cell.style = style
    return cell


def _line(cells: Sequence[str], widths: Sequence[int], styles: Sequence[str] = ()) -> str:
    shown = [cut(cell, room).ljust(room) for cell, room in zip(cells, widths, strict=True)]
    if styles:
        shown = [paint(cell, style) if style else cell for cell, style in zip(shown, styles, strict=True)]
    else:
        shown[-1] = shown[-1].rstrip()
    return GAP.join(shown).rstrip()


def cut(text: str, room: int | None) -> str:
    """Return the text in at most `room` columns, None for any; what was cut ends in `~`."""
    if room is None or len(text) <= room:
        return text
    return text[: room - 1] + "~" if room > 0 else ""


def _fit(widths: list[int], limit: int | None) -> list[int]:
    """Take columns from the widest until the line fits, or none can give."""
    while limit and sum(widths) + len(GAP) * (len(widths) - 1) > limit:
        widest = max(range(len(widths)), key=lambda n: widths[n])
        if widths[widest] <= MIN_COLUMN:
            break
        widths[widest] -= 1
    return widths

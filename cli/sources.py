"""The documents that `-f` names, as one body, and the way back from its lines to the files."""

from __future__ import annotations

import bisect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cli.exits import Exit, Failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_BYTES = 256 << 20
"""Most bytes that are read in all; the controller's own limit is lower."""
SUFFIXES = frozenset({".yaml", ".yml", ".json"})
STANDARD_INPUT = "-"
BETWEEN = b"\n...\n---\n"
"""Ends one file's last document and begins the next; valid whatever either file holds."""


class Sources(NamedTuple):
    """Files read one after the other."""

    body: bytes
    names: tuple[str, ...]
    first_lines: tuple[int, ...]
    """Line of `body`, from 1, at which each file begins."""

    def place(self, line: int) -> str:
        """Return `file:line` for a line of the body."""
        n = max(0, bisect.bisect_right(self.first_lines, line) - 1)
        return f"{self.names[n]}:{line - self.first_lines[n] + 1}"


def read(files: Sequence[str]) -> Sources:
    """Read files, directories and standard input (`-`).

    Raises:
        Failure: one cannot be read, there is nothing to read, or it is too much.
    """
    names = [name for file in files for name in _expand(file)]
    if names.count(STANDARD_INPUT) > 1:
        raise Failure(Exit.USAGE, "standard input is named twice", "give -f - once")
    texts: list[bytes] = []
    left = MAX_BYTES
    for name in names:
        texts.append(_text(name, left))
        left -= len(texts[-1])
    return _join(names, texts)


def _join(names: list[str], texts: list[bytes]) -> Sources:
    firsts, line = [], 1
    for text in texts:
        firsts.append(line)
        line += text.count(b"\n") + BETWEEN.count(b"\n")
    shown = tuple("standard input" if name == STANDARD_INPUT else name for name in names)
    return Sources(BETWEEN.join(texts), shown, tuple(firsts))


def _expand(file: str) -> Iterator[str]:
    path = Path(file)
    if file == STANDARD_INPUT or not path.is_dir():
        yield file
        return
    found = sorted(str(entry) for entry in path.iterdir() if entry.suffix in SUFFIXES and entry.is_file())
    if not found:
        raise Failure(Exit.USAGE, f"{file}: no .yaml, .yml or .json file in it", "name a directory that holds some")
    yield from found


def _text(name: str, limit: int) -> bytes:
    try:
        if name == STANDARD_INPUT:
            raw = sys.stdin.buffer.read(limit + 1)
        else:
            with Path(name).open("rb") as file:
                raw = file.read(limit + 1)
    except OSError as error:
        raise Failure(Exit.USAGE, f"{name}: {error.strerror or error}", "name a file that can be read") from error
    if len(raw) > limit:
        raise Failure(Exit.USAGE, f"{name}: more than {MAX_BYTES} bytes in all", "apply it in parts")
    return raw.removeprefix(b"\xef\xbb\xbf")

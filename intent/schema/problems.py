"""What is wrong with a document: where, what, and how to put it right."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable

MAX_PROBLEMS = 100
"""Problems one answer lists; a client that sent more gets these first."""
_MAX_ECHO = 64
_MAX_CANDIDATES = 200
_MAX_LENGTH_DIFFERENCE = 3
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Place = tuple[str | int, ...]
"""Where in a document: field names and list indices, from the top."""


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """One thing a person has to put right."""

    path: str
    """`Policy/web-to-app.rules[0].from[1].cidr`; `documents[2]` where the document has no usable name."""
    message: str
    remedy: str
    source: str = ""
    """The file or body it was read from."""
    line: int | None = None
    """1-based, where the text is YAML."""

    def __str__(self) -> str:
        where = f"{self.source}:{self.line}: " if self.line is not None else ""
        return f"{where}{self.path}: {self.message} ({self.remedy})"


class DocumentError(ValueError):
    """Documents were refused. Holds every problem found, at most `MAX_PROBLEMS`."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)[:MAX_PROBLEMS]
        super().__init__("\n".join(str(problem) for problem in self.problems))


class SyntaxRefusedError(DocumentError):
    """The text is no YAML or JSON that Ringfence reads: it was not looked at further."""


def echo(value: object) -> str:
    """Return a value as it may be shown: escaped and cut short."""
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = repr(value[: _MAX_ECHO + 1] if isinstance(value, str) else value)
    return text if len(text) <= _MAX_ECHO else text[:_MAX_ECHO] + "…"


def path_of(top: str, place: Place) -> str:
    """Write a place in a document as text: `top.rules[0].labels["app.io/x"]`."""
    parts = [top]
    for step in place:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        elif _PLAIN_KEY.fullmatch(step):
            parts.append(f".{step}")
        else:
            parts.append(f"[{echo(step)}]".replace("'", '"'))
    return "".join(parts)


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str:
    """Return a remedy that names the known word most like `word`, or `otherwise`."""
    near = (k for k in sorted(known) if abs(len(k) - len(word)) <= _MAX_LENGTH_DIFFERENCE)
    candidates = [k for k, _ in zip(near, range(_MAX_CANDIDATES), strict=False)]
    close = difflib.get_close_matches(word, candidates, n=1)
    return f"did you mean `{close[0]}`?" if close else otherwise

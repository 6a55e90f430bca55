"""Exit codes that scripts can rely on, and the one exception that ends a command."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Exit(IntEnum):
    """How a command ended; `MEANING` says it in words."""

    OK = 0
    NEGATIVE = 1
    USAGE = 2
    REFUSED = 3
    UNREACHABLE = 4
    UNAUTHORISED = 5
    NOT_FOUND = 6
    BROKEN = 7
    INTERRUPTED = 130
    PIPE_CLOSED = 141


MEANING = {
    Exit.OK: "done; the verdict is allow; everything is realized",
    Exit.NEGATIVE: "the answer is no: the verdict is deny or reject, or something is not realized (in time)",
    Exit.USAGE: "the command line is wrong",
    Exit.REFUSED: "the input was refused: a document is wrong, or it conflicts with what the controller has",
    Exit.UNREACHABLE: "the controller cannot be reached, or does not answer in time",
    Exit.UNAUTHORISED: "the token is missing or wrong",
    Exit.NOT_FOUND: "there is no such thing",
    Exit.BROKEN: "the controller failed, or its answer makes no sense",
    Exit.INTERRUPTED: "interrupted with Ctrl-C",
    Exit.PIPE_CLOSED: "whoever read the output went away",
}


class Problem(NamedTuple):
    """One thing wrong with what was sent: where, what, and what to do."""

    path: str
    message: str
    remedy: str
    line: int | None = None
    """Of the body that was sent, from 1."""


class Failure(Exception):
    """Ends the command with `code`, after saying what is wrong and what to do about it."""

    def __init__(self, code: Exit, message: str, remedy: str = "", problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy
        self.problems = problems

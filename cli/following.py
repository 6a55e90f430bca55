"""`ringfence events`: what happens, line by line, until somebody ends it; a lost connection is resumed."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from cli.answer import Answer, decode
from cli.exits import Exit, Failure
from cli.terminal import DIM, GREEN, RED, YELLOW, note, paint, printable, say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from cli.client import Client

PATH = "/v1/events"
MAX_DIGITS = 18
PAUSE_S = 1.0
"""Between two attempts to connect anew."""
GOOD = frozenset({"connected", "up", "came", "realized", "settled"})
BAD = frozenset({"disconnected", "down", "left", "raised"})


def events(client: Client, args: argparse.Namespace) -> Exit:
    """Print events as they come."""
    left, after = args.limit, args.after or ""
    newest = -1
    if args.once:
        newest, after = _number(client.get("/v1/topology").text("event")), after or "oldest"
        if newest <= (0 if after == "oldest" else _number(after)):
            return Exit.OK
    for mark, event in _follow(client, after):
        if args.json:
            print(json.dumps(event.value))
        else:
            say(line(event))
        sys.stdout.flush()
        if left is not None:
            left -= 1
            if not left:
                break
        if args.once and _number(mark) >= newest:
            break
    return Exit.OK


def _number(mark: str) -> int:
    """Return the number in an event's id, `GENERATION-NUMBER`; ids of another form come before all."""
    digits = mark.rpartition("-")[2]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS else -1


def _follow(client: Client, after: str) -> Iterator[tuple[str, Answer]]:
    """Yield events for ever, each with its id. Only the first connection must succeed; later ones are tried again."""
    query = {"after": after} if after else {}
    last, begun = "", False
    while True:
        try:
            for field, value in _fields(client.lines(PATH, query, last)):
                begun = True
                if field == "id":
                    last, query = value, {}
                elif field == "data":
                    yield last, decode(value.encode(), PATH)
        except Failure as failure:
            if not begun or failure.code is not Exit.UNREACHABLE:
                raise
            note(f"ringfence: {printable(failure.message)}; trying again")
        time.sleep(PAUSE_S)


def _fields(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Yield the fields of a stream of events (HTML standard, section 9.2.6); comments are no fields."""
    for text in lines:
        field, _, value = text.partition(":")
        if field:
            yield field, value.removeprefix(" ")


def line(event: Answer) -> str:
    """Return an event as one line for people."""
    kind = event.text("kind")
    change = kind.rpartition(".")[2]
    style = GREEN if change in GOOD else RED if change in BAD else YELLOW
    told = {"reset": "events were missed: look at `ringfence topology`", "dropped": "too slow: connecting anew"}
    details = event.part("details")
    words = [f"{key}={_word(value)}" for key, value in details.fields() if value.value not in {"", None}]
    text = told.get(kind) or " ".join((event.text("subject"), *words))
    return f"{paint(printable(event.text('at')), DIM)}  {paint(printable(kind), style)}  {printable(text)}"


def _word(value: Answer) -> str:
    text = str(value.value)[:200]
    return f'"{text}"' if " " in text else text

"""`ringfence top`: who sends what to whom, and what does not pass, as it happens."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import sys
import time
from typing import TYPE_CHECKING

from cli.columns import SORTS, Row, View, lines
from cli.exits import Exit, Failure
from cli.terminal import BOLD, DIM, RED, cut, emit_json, paint, printable, say
from cli.views import in_network

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from cli.answer import Answer, Json
    from cli.client import Client

HELP = "q ends, s sorts by the next, r turns the order, d shows only who drops"
HEAD_LINES = 2
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
"""The terminal's other screen, without its cursor; and back."""
HOME, END_OF_LINE, REST = "\x1b[H", "\x1b[K", "\x1b[J"
FEW_LINES = 3


def top(client: Client, args: argparse.Namespace) -> Exit:
    """Show the traffic of endpoints, once or until it is enough."""
    view = View(args.sort, args.reverse, args.match or "", args.dropping, args.limit or 0)
    if args.once:
        _print(_items(client, args), view, as_json=args.json)
        return Exit.OK
    if args.json or not sys.stdout.isatty():
        _stream(client, args, view)
    with _screen() as keys:
        _live(client, args, view, keys)
    return Exit.OK


def _items(client: Client, args: argparse.Namespace) -> list[Answer]:
    """Ask for every endpoint, page by page."""
    found: list[Answer] = []
    query = in_network(args)
    while True:
        answer = client.get("/v1/live/counters", query)
        items = answer.items("items")
        found += items
        if not answer.has("after") or not items:
            return found
        query = {**query, "after": answer.text("after")}


def _print(items: list[Answer], view: View, *, as_json: bool, compact: bool = False) -> None:
    if as_json:
        values: Json = {"items": [item.value for item in items]}
        if compact:
            say(json.dumps(values, separators=(",", ":")))
        else:
            emit_json(values)
        return
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in lines([Row.of(item) for item in items], view, (columns, None)):
        say(line)


def _stream(client: Client, args: argparse.Namespace, view: View) -> None:
    """Print one picture after the other, until interrupted: what reads it is a program."""
    while True:
        began_at = time.monotonic()
        _print(_items(client, args), view, as_json=args.json, compact=True)
        if not args.json:
            say()
        sys.stdout.flush()
        time.sleep(max(args.interval - (time.monotonic() - began_at), 0))


# -- on a terminal -----------------------------------------------------------------------------


def _live(client: Client, args: argparse.Namespace, view: View, keys: Keys) -> None:
    rows, trouble = [Row.of(item) for item in _items(client, args)], ""
    asked_at = time.monotonic()
    while True:
        _draw(rows, view, args, trouble)
        key = keys.wait(asked_at + args.interval - time.monotonic())
        if key == "q":
            return
        view = changed(view, key)
        if time.monotonic() >= asked_at + args.interval:
            asked_at = time.monotonic()
            try:
                rows, trouble = [Row.of(item) for item in _items(client, args)], ""
            except Failure as failure:
                trouble = failure.message  # it may be about to start: what was known stays in sight


def changed(view: View, key: str) -> View:
    """Return the view after a key."""
    if key == "s":
        names = list(SORTS)
        return dataclasses.replace(view, sort=names[(names.index(view.sort) + 1) % len(names)])
    if key == "r":
        return dataclasses.replace(view, reverse=not view.reverse)
    if key == "d":
        return dataclasses.replace(view, dropping=not view.dropping)
    return view


def _draw(rows: list[Row], view: View, args: argparse.Namespace, trouble: str) -> None:
    size = shutil.get_terminal_size()
    picture = list(screen(rows, view, args.interval, trouble, (size.columns, size.lines)))
    sys.stdout.write(HOME + "".join(f"{line}{END_OF_LINE}\r\n" for line in picture[:-1]))
    sys.stdout.write((picture[-1] + END_OF_LINE if picture else "") + REST)
    sys.stdout.flush()


def screen(rows: list[Row], view: View, interval_s: float, trouble: str, size: tuple[int, int]) -> Iterator[str]:
    """Yield what fills a screen of so many columns and lines, never more."""
    columns, height = size
    if height < FEW_LINES:
        yield from list(lines(rows, view, (columns, max(height, 1))))[:height]
        return
    order = f"by {view.sort}{' upwards' if view.reverse else ''}{', only drops' if view.dropping else ''}"
    said = f"{len(rows)} endpoints {order}, every {interval_s:g} s"
    if trouble:
        yield paint(cut(printable(trouble), columns), RED)
    else:
        yield paint(cut(f"{time.strftime('%H:%M:%S')}  {said}", columns), BOLD)
    yield paint(cut(HELP, columns), DIM)
    yield from list(lines(rows, view, (columns, height - HEAD_LINES)))[: height - HEAD_LINES]


class Keys:
    """Keys that are pressed; none where the input is no terminal."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def wait(self, timeout_s: float) -> str:
        """Return the key that is pressed in time, or nothing."""
        import os
        import select

        if self._descriptor is None:
            time.sleep(max(timeout_s, 0))
            return ""
        if not select.select([self._descriptor], [], [], max(timeout_s, 0))[0]:
            return ""
        pressed = os.read(self._descriptor, 32)
        if not pressed:  # the terminal is gone
            self._descriptor = None
            return "q"
        return chr(pressed[0]).lower() if len(pressed) == 1 else ""


@contextlib.contextmanager
def _screen() -> Iterator[Keys]:
    """Take the terminal, and give it back as it was."""
    import signal
    import termios
    import tty

    descriptor = sys.stdin.fileno() if sys.stdin.isatty() else None
    before = None if descriptor is None else termios.tcgetattr(descriptor)
    handled = signal.signal(signal.SIGTERM, _leave)
    try:
        if descriptor is not None:
            tty.setcbreak(descriptor)
        sys.stdout.write(ENTER)
        yield Keys(descriptor)
    finally:
        sys.stdout.write(LEAVE)
        sys.stdout.flush()
        if descriptor is not None and before is not None:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        signal.signal(signal.SIGTERM, handled)


def _leave(number: int, _frame: object) -> None:
    """End as a signal ends a program for a shell, but through everything that gives the terminal back."""
    raise SystemExit(128 + number)

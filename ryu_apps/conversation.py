"""Questions to a switch and their answers, matched by transaction id."""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Callable
from typing import Self

from ryu_apps.link import Link

FIRST_XID = 0x4000_0000
LAST_XID = 0x7FFF_FFFF
"""Our transaction ids; Ryu counts from 0 in its handshake."""
MAX_ANSWER_BYTES = 512 << 20
"""A switch that answers with more is lying: a million flows fit."""


class SessionError(Exception):
    """The switch did not do what it was asked; the message says what and why."""


class Disconnected(SessionError):
    """The connection ended first: what was under way may or may not have happened."""


class Exchange:
    """All conversations with one switch."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.changed = threading.Condition()
        self.closed = False
        self._xid = FIRST_XID
        self._talks: list[Conversation] = []

    def take_xids(self, count: int = 1) -> int:
        """Return the first of `count` transaction ids that follow each other."""
        with self.changed:
            if self._xid + count > LAST_XID:
                self._xid = FIRST_XID
            first = self._xid
            self._xid += count
            return first

    def answer(self, frame: bytes) -> bool:
        """Give a message to the conversation it answers; return whether there is one. Never blocks."""
        xid = int.from_bytes(frame[4:8], "big")
        with self.changed:
            talk = next((t for t in self._talks if xid in t.xids), None)
            if talk is None:
                return False
            talk.answers.append(frame)
            talk.size += len(frame)
            if talk.reflex is None or not talk.reflex(frame):
                self.changed.notify_all()
        if talk.size > MAX_ANSWER_BYTES:
            self.link.shut(f"more than {MAX_ANSWER_BYTES} bytes in one answer")
        return True

    def join(self, talk: Conversation) -> None:
        """Let a conversation hear its answers."""
        with self.changed:
            self._talks.append(talk)

    def leave(self, talk: Conversation) -> None:
        """Answers that still come are nobody's."""
        with self.changed:
            self._talks.remove(talk)

    def close(self) -> None:
        """Wake whoever waits: the connection is gone."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()


class Conversation:
    """A question (or several) under way, whose transaction ids are `first`.. `first + count - 1`; a context manager."""

    def __init__(self, exchange: Exchange, first: int, count: int = 1) -> None:
        self.xids = range(first, first + count)
        self.answers: collections.deque[bytes] = collections.deque()
        self.size = 0
        self.reflex: Callable[[bytes], bool] | None = None
        """Acts on an answer at the instant it comes; returns whether that was all there is to do. Never blocks."""
        self.at_once_s = 0.0
        """For how long it may keep others from running while it waits for answers, where nobody could run anyway."""
        self._exchange = exchange

    def __enter__(self) -> Self:
        self._exchange.join(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._exchange.leave(self)

    def say(self, data: bytes | bytearray) -> None:
        """Send messages.

        Raises:
            Disconnected: the connection is closed.
        """
        if self._exchange.closed or not self._exchange.link.write(bytes(data)):
            raise Disconnected("the connection is closed")

    def next(self, give_up_at: float, what: str) -> bytes:
        """Return the next answer; `give_up_at` is a time of the monotonic clock.

        Raises:
            Disconnected: the connection closed first.
            SessionError: none came in time; the connection is closed, because the answer may still come.
        """
        exchange = self._exchange
        if self.at_once_s and not self.answers:
            self._listen()
        with exchange.changed:
            exchange.changed.wait_for(lambda: self.answers or exchange.closed, max(give_up_at - time.monotonic(), 0))
            if self.answers:
                return self.answers.popleft()
            closed = exchange.closed
        if closed:
            raise Disconnected(f"{what}: the connection ended before the answer")
        exchange.link.shut(f"no answer to the {what}")
        raise SessionError(f"{what}: no answer in time; the connection is closed")

    def _listen(self) -> None:
        begun_at, link = time.monotonic(), self._exchange.link
        left_s = self.at_once_s
        while left_s > 0 and not self.answers and link.listen(left_s):
            left_s = begun_at + self.at_once_s - time.monotonic()
        self.at_once_s = max(0.0, begun_at + self.at_once_s - time.monotonic())

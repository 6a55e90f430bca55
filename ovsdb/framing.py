"""Cut a byte stream into JSON objects (RFC 7047 puts nothing between them), within bounds.

The scan is linear however the bytes are cut and whatever they are: it steps over strings and counts
brackets, and leaves the reading to the standard library's json once an object is whole.
"""

from __future__ import annotations

import enum
import itertools
import json
import re
from collections.abc import Iterator
from typing import NoReturn

from ovsdb.errors import ProtocolError

MAX_DEPTH = 32
"""Brackets inside brackets; OVSDB needs about 10."""

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*+"|[{}\[\]"]', re.DOTALL)
"""A whole string, a bracket, or the opening quote of a string whose end has not come."""
_STRING_END = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*+"', re.DOTALL)
_STRING_PART = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*+', re.DOTALL)
_NO_SPACE = re.compile(rb"[^ \t\r\n]")
_OPENING, _CLOSING, _QUOTE = b"{[", b"}]", b'"'
_STEPS = {**dict.fromkeys(_OPENING, 1), **dict.fromkeys(_CLOSING, -1)}
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in _STEPS)


class _Skimmed(enum.Enum):
    """What came is a part of an object, or with what was before a whole one."""

    PART = enum.auto()
    WHOLE = enum.auto()


class Splitter:
    """Feed it what was received; it yields each whole object, decoded."""

    def __init__(self, max_bytes: int) -> None:
        self._max = max_bytes
        self._buffer = bytearray()
        self._at = 0
        """First byte not scanned yet."""
        self._depth = 0
        self._in_string = False

    @property
    def idle(self) -> bool:
        """Nothing is left of what was received."""
        return not self._buffer

    def feed(self, data: bytes) -> Iterator[dict[str, object]]:
        """Yield the objects that `data` completes.

        Raises:
            ProtocolError: not JSON objects, nested too deeply, or one larger than the bound.
        """
        self._buffer += data
        skimmed = self._skim()
        if skimmed is not None:
            self._check_size(len(self._buffer))
            if skimmed is _Skimmed.WHOLE:
                text = bytes(self._buffer)
                self._buffer.clear()
                self._at = self._depth = 0
                yield _decode(text)
            return
        while (end := self._scan()) is not None:
            text = bytes(self._buffer[:end])
            del self._buffer[:end]
            self._at = 0
            yield _decode(text)
        self._check_size(len(self._buffer))

    def _skim(self) -> _Skimmed | None:
        """Step over all that has come, if no object ends in it, or one with its last byte; None: it is to be scanned.

        The work is done by a few calls over the whole piece; `_scan` gives the same, token by token.
        """
        self._begin()
        if self._in_string and not self._close_string():
            return _Skimmed.PART
        unescaped = self._buffer[self._at :].replace(b"\\\\", b"").replace(b'\\"', b"")
        parts = unescaped.split(_QUOTE)  # outside and inside of strings in turn
        brackets = b"".join(parts[::2]).translate(None, _NOT_BRACKETS)
        depths = list(itertools.accumulate(map(_STEPS.__getitem__, brackets), initial=self._depth))
        if min(depths[1:-1], default=self._depth or 1) <= 0 or max(depths) > MAX_DEPTH:
            return None
        if len(depths) > 1 and not depths[-1]:
            return _Skimmed.WHOLE if self._buffer[-1] in _CLOSING else None
        self._depth = depths[-1]
        self._in_string = len(parts) % 2 == 0
        self._at = len(self._buffer) - (self._in_string and parts[-1].endswith(b"\\"))
        return _Skimmed.PART

    def _scan(self) -> int | None:
        """Scan on; return where the first object ends, None if it is not whole yet."""
        self._begin()
        if self._in_string and not self._close_string():
            return None
        depth = self._depth
        for token in _TOKEN.finditer(self._buffer, self._at):
            text = token.group()
            if text in _OPENING:
                depth += 1
                _check_depth(depth)
            elif text in _CLOSING:
                depth -= 1
                if not depth:
                    self._depth = 0
                    self._check_size(token.end())
                    return token.end()
            elif text == _QUOTE:
                self._leave_in_string(depth, token.end())
                return None
        self._depth = depth
        self._at = len(self._buffer)
        return None

    def _leave_in_string(self, depth: int, start: int) -> None:
        self._depth = depth
        self._in_string = True
        self._at = start
        self._close_string()

    def _begin(self) -> None:
        """Between objects, step over space to where the next must begin."""
        if self._depth:
            return
        start = _NO_SPACE.search(self._buffer)
        del self._buffer[: start.start() if start else len(self._buffer)]
        self._at = 0
        if self._buffer and self._buffer[0] != ord("{"):
            raise ProtocolError(f"not a JSON-RPC object: {bytes(self._buffer[:40])!r}")

    def _close_string(self) -> bool:
        """Step over the string we are in; False if its end has not come yet."""
        closed = _STRING_END.match(self._buffer, self._at)
        if closed:
            self._at = closed.end()
            self._in_string = False
            return True
        part = _STRING_PART.match(self._buffer, self._at)
        if part:
            self._at = part.end()  # at most a lone backslash stays, for the next byte to complete
        return False

    def _check_size(self, size: int) -> None:
        if size > self._max:
            raise ProtocolError(f"a message of over {self._max} bytes")


def _check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ProtocolError(f"JSON nested over {MAX_DEPTH} deep")


def encode(message: dict[str, object]) -> bytes:
    """Return a message as compact JSON, in ASCII: an echo may hold surrogates that UTF-8 cannot."""
    return json.dumps(message, separators=(",", ":"), allow_nan=False).encode()


def _decode(text: bytes) -> dict[str, object]:
    try:
        message = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"broken JSON: {error}") from error
    if not isinstance(message, dict):
        raise ProtocolError("a JSON-RPC message must be an object")
    return message


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")

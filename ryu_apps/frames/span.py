"""A stretch of bytes that is read within its bounds, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

ALIGN = 8
_HEADER = 4


class BadFrame(ValueError):
    """A frame no honest switch sends. Says what is wrong with it; the remedy is to close the connection."""


class Span:
    """`raw[at:end]` of a frame. Every read is inside it; everything else raises `BadFrame`."""

    __slots__ = ("at", "end", "raw", "what")

    def __init__(self, raw: bytes, at: int, end: int, what: str) -> None:
        self.raw, self.at, self.end, self.what = raw, at, end, what

    def __len__(self) -> int:
        return self.end - self.at

    def bad(self, why: str) -> BadFrame:
        """Return the error that names this part and its place."""
        return BadFrame(f"{self.what} at byte {self.at}: {why}")

    def at_least(self, size: int) -> Self:
        """Make sure there are `size` bytes."""
        if self.end - self.at < size:
            raise self.bad(f"{self.end - self.at} bytes, at least {size} needed")
        return self

    def exactly(self, size: int) -> Self:
        """Make sure there are `size` bytes and no more."""
        if self.end - self.at != size:
            raise self.bad(f"{self.end - self.at} bytes instead of {size}")
        return self

    def at_most(self, size: int) -> Self:
        """Make sure there are no more than `size` bytes."""
        if self.end - self.at > size:
            raise self.bad(f"{self.end - self.at} bytes, at most {size} make sense")
        return self

    def multiple_of(self, size: int) -> Self:
        """Make sure the length is a multiple of `size`."""
        if (self.end - self.at) % size:
            raise self.bad(f"{self.end - self.at} bytes are no multiple of {size}")
        return self

    def u8(self, offset: int) -> int:
        """Read one byte."""
        self.at_least(offset + 1)
        return self.raw[self.at + offset]

    def u16(self, offset: int) -> int:
        """Read two bytes."""
        self.at_least(offset + 2)
        at = self.at + offset
        return self.raw[at] << 8 | self.raw[at + 1]

    def u32(self, offset: int) -> int:
        """Read four bytes."""
        return self.u16(offset) << 16 | self.u16(offset + 2)

    def rest(self, offset: int, what: str) -> Span:
        """Return what is left after `offset` bytes."""
        self.at_least(offset)
        return Span(self.raw, self.at + offset, self.end, what)

    def parts(self, what: str, *, length_at: int, minimum: int, limit: int) -> Iterator[Span]:
        """Yield consecutive parts that each hold their own length, a multiple of 8, up to the very end."""
        at = self.at
        for _ in range(limit):
            if at == self.end:
                return
            part = Span(self.raw, at, self.end, what)
            size = part.u16(length_at)
            if size < minimum or size % ALIGN:
                raise part.bad(f"length {size}; at least {minimum} and a multiple of {ALIGN}")
            part.at_least(size)
            part.end = at + size
            yield part
            at += size
        if at != self.end:
            raise self.bad(f"more than {limit} of {what}")

    def padded(self, what: str, *, minimum: int, limit: int) -> Iterator[tuple[int, Span]]:
        """Yield the type and the span of each property: type, length without padding, then padding to 8."""
        at = self.at
        for _ in range(limit):
            if at == self.end:
                return
            part = Span(self.raw, at, self.end, what)
            kind, size = part.u16(0), part.u16(2)
            if size < max(minimum, _HEADER):
                raise part.bad(f"length {size}, at least {max(minimum, _HEADER)} needed")
            following = size + (-size % ALIGN)
            part.at_least(following)
            part.end = at + size
            yield kind, part
            at += following
        if at != self.end:
            raise self.bad(f"more than {limit} of {what}")

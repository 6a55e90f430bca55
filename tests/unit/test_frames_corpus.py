"""One honest frame of every kind that a switch sends, with the places of all its length fields.

The other tests of `ryu_apps.frames` bend these.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import pytest

from ryu_apps import frames
from ryu_apps.wire import Kind, Multipart
from ryu_apps.wire.messages import message

ONF, NICIRA = 0x4F4E4600, 0x2320


class Piece(NamedTuple):
    """Bytes, and where in them lengths stand: (offset, bytes of the length)."""

    raw: bytes
    lengths: tuple[tuple[int, int], ...] = ()


def join(*pieces: Piece | bytes) -> Piece:
    raw, lengths = b"", []
    for piece in (p if isinstance(p, Piece) else Piece(p) for p in pieces):
        lengths += [(len(raw) + at, size) for at, size in piece.lengths]
        raw += piece.raw
    return Piece(raw, tuple(lengths))


def sized(head: bytes, length_at: int, *pieces: Piece | bytes, pad: bool = True) -> Piece:
    """A part whose length (two bytes at `length_at`) covers all, padded to 8 behind that if asked."""
    whole = join(head, *pieces)
    size = len(whole.raw)
    raw = whole.raw[:length_at] + size.to_bytes(2, "big") + whole.raw[length_at + 2 :]
    return Piece(raw + bytes(-size % 8 if pad else 0), ((length_at, 2), *whole.lengths))


def part(kind: int, body: Piece | bytes = b"") -> Piece:
    """A type, a length and a body, padded to 8 bytes: property, element, action."""
    return sized(struct.pack("!HH", kind, 0), 2, body)


def oxm(class_: int, field: int, value: bytes, mask: bytes = b"") -> Piece:
    size = len(value + mask)
    return Piece(struct.pack("!HBB", class_, field << 1 | bool(mask), size) + value + mask, ((3, 1),))


def match(*terms: Piece) -> Piece:
    return part(1, join(*terms))


IN_PORT = oxm(0x8000, 0, bytes([0, 0, 0, 3]))
MATCH = match(IN_PORT, oxm(0x8000, 5, b"\x08\x00"), oxm(0x8000, 11, bytes(4), b"\xff\xff\xff\x00"), oxm(1, 0, bytes(4)))
TCP_FLAGS = oxm(0xFFFF, 42, struct.pack("!IHH", ONF, 2, 2), b"")


def _aligned(kind: int, body: Piece | bytes) -> Piece:
    """An action: its padding counts."""
    whole = join(struct.pack("!HH", kind, 0), body)
    padded = join(whole, bytes(-len(whole.raw) % 8))
    return sized(padded.raw[:4], 2, Piece(padded.raw[4:], tuple((at - 4, size) for at, size in padded.lengths)))


def nicira(subtype: int, body: Piece | bytes) -> Piece:
    return _aligned(0xFFFF, join(struct.pack("!IH", NICIRA, subtype), body))


_LOAD = nicira(7, struct.pack("!HIQ", 31, 0x00010004, 5))
_PROPERTIES = join(
    part(0, struct.pack("!H2x", 128)), part(1, struct.pack("!H2x", 3)), part(3, b"12345"), part(4), part(5, bytes(4))
)
ACTIONS = join(
    part(0, struct.pack("!IH6x", 7, 128)),
    _aligned(25, oxm(0x8000, 3, bytes(6))),
    _LOAD,
    nicira(6, struct.pack("!HHHII", 32, 0, 0, 0x00010004, 0x00010204)),
    nicira(14, struct.pack("!HB3x", 0xFFF8, 5)),
    nicira(34, struct.pack("!BBI", 0, 2, 7)),
    nicira(35, join(struct.pack("!HIHB3xH", 1, 0, 7, 255, 0), _LOAD, _aligned(25, oxm(1, 107, bytes(4))))),
    nicira(16, bytes(22)),
    nicira(21, struct.pack("!H4xH4x", 1, 7)),
    nicira(37, join(bytes(6), _PROPERTIES)),
    part(22, bytes(4)),
    part(11, bytes(4)),
    _aligned(0xFFFF, struct.pack("!II", 0x1234, 0)),
)
INSTRUCTIONS = join(part(6, bytes(4)), part(4, join(bytes(4), ACTIONS)), part(2, bytes(20)), part(1, b"\x05\0\0\0"))
PORT = sized(
    struct.pack("!IH2x6s2x16sII", 3, 0, bytes(6), b"web0", 0, 4),
    4,
    join(part(0, bytes(28)), part(1, bytes(36)), part(0xFFFF, bytes(12)), part(9, b"?")),
)
BUCKET = sized(struct.pack("!HHII4x", 0, 1, 0, 0), 0, part(0, bytes(12)))
BANDS = join(part(1, bytes(12)), part(2, bytes(12)))
TABLE = sized(struct.pack("!HBxI", 0, 3, 0), 0, join(part(2, bytes(4)), part(3, bytes(4))))
FLOW = sized(struct.pack("!HBxIIHHHHH2xQQQ", 0, 3, 1, 2, 100, 0, 0, 0, 0, 9, 1, 1), 0, MATCH, INSTRUCTIONS)
_ID_LIST = Piece(struct.pack("!HHHH", 4, 4, 6, 4), ((2, 2), (6, 2)))
_OXM_IDS = struct.pack("!IIII", 0x80000004, 0xFFFF5406, ONF, 0x80000A02)
FEATURES = sized(
    struct.pack("!HB5x32sQQII", 0, 3, b"guard", 0, 0, 0, 100),
    0,
    join(part(0, _ID_LIST), part(2, b"\1\2\3"), part(4, _ID_LIST), part(8, _OXM_IDS), part(0xFFFF, bytes(8))),
)


def whole(kind: Kind, *body: Piece | bytes) -> Piece:
    joined = join(*body)
    return Piece(message(kind, 7, joined.raw), ((2, 2), *((at + 8, size) for at, size in joined.lengths)))


def multipart(kind: Multipart, *body: Piece | bytes) -> Piece:
    return whole(Kind.MULTIPART_REPLY, struct.pack("!HH4x", kind, 0), *body)


def hello(version: int, *body: Piece | bytes) -> Piece:
    piece = whole(Kind.HELLO, *body)
    return Piece(bytes([version]) + piece.raw[1:], piece.lengths)


def _forwarded(kind: Kind, *body: Piece | bytes) -> Piece:
    return whole(Kind.REQUESTFORWARD, whole(kind, *body))


HONEST: dict[str, Piece] = {
    "hello": hello(5, part(1, struct.pack("!I", 0x20))),
    "hello of 1.0": hello(1),
    "hello of 1.5 with an unknown element": hello(6, part(1, struct.pack("!I", 0x7E)), part(9, bytes(4))),
    "error": whole(Kind.ERROR, struct.pack("!HH", 4, 6), bytes(64)),
    "error of an experimenter": whole(Kind.ERROR, struct.pack("!HHI", 0xFFFF, 6, ONF), bytes(64)),
    "hello failed": whole(Kind.ERROR, struct.pack("!HH", 0, 0), b"no version in common"),
    "echo request": whole(Kind.ECHO_REQUEST, b"tick"),
    "echo reply": whole(Kind.ECHO_REPLY, b"tick"),
    "experimenter": whole(Kind.EXPERIMENTER, struct.pack("!II", NICIRA, 11), b"x"),
    "features reply": whole(Kind.FEATURES_REPLY, struct.pack("!QIBB2xII", 5, 0, 254, 0, 0x4F, 0)),
    "config reply": whole(Kind.GET_CONFIG_REPLY, struct.pack("!HH", 0, 128)),
    "packet in": whole(Kind.PACKET_IN, struct.pack("!IHBBQ", 0xFFFFFFFF, 60, 0, 3, 9), MATCH, bytes(2 + 60)),
    "packet in with ONF's tcp_flags": whole(
        Kind.PACKET_IN, struct.pack("!IHBBQ", 0, 60, 0, 3, 9), match(IN_PORT, TCP_FLAGS), bytes(2 + 60)
    ),
    "flow removed": whole(Kind.FLOW_REMOVED, struct.pack("!QHBBIIHHQQ", 9, 100, 1, 3, 5, 6, 0, 7, 1, 2), MATCH),
    "port status": whole(Kind.PORT_STATUS, struct.pack("!B7x", 2), PORT),
    "barrier reply": whole(Kind.BARRIER_REPLY),
    "role reply": whole(Kind.ROLE_REPLY, struct.pack("!I4xQ", 2, 5)),
    "async reply": whole(Kind.GET_ASYNC_REPLY, *(part(kind, bytes(4)) for kind in range(6)), part(0xFFFE, bytes(8))),
    "role status": whole(Kind.ROLE_STATUS, struct.pack("!IB3xQ", 3, 0, 5), part(0xFFFF, bytes(8))),
    "table status": whole(Kind.TABLE_STATUS, struct.pack("!B7x", 3), TABLE),
    "forwarded group": _forwarded(Kind.GROUP_MOD, struct.pack("!HBxI", 0, 1, 5), BUCKET, BUCKET),
    "forwarded meter": _forwarded(Kind.METER_MOD, struct.pack("!HHI", 0, 1, 5), BANDS),
    "bundle reply": whole(Kind.BUNDLE_CONTROL, struct.pack("!IHH", 1, 5, 3), part(0xFFFF, bytes(8))),
    "desc": multipart(Multipart.DESC, bytes(1056)),
    "flow stats": multipart(Multipart.FLOW, FLOW, FLOW),
    "aggregate": multipart(Multipart.AGGREGATE, bytes(24)),
    "table stats": multipart(Multipart.TABLE, bytes(48)),
    "port stats": multipart(Multipart.PORT_STATS, sized(bytes(80), 0, part(0, bytes(36)), part(1, bytes(40)))),
    "queue stats": multipart(Multipart.QUEUE_STATS, sized(bytes(48), 0, part(0xFFFF, bytes(8)))),
    "group stats": multipart(Multipart.GROUP, sized(bytes(40), 0, bytes(32))),
    "groups": multipart(Multipart.GROUP_DESC, sized(bytes(8), 0, BUCKET, BUCKET)),
    "group features": multipart(Multipart.GROUP_FEATURES, bytes(40)),
    "meter stats": multipart(Multipart.METER, sized(bytes(40), 4, bytes(16))),
    "meters": multipart(Multipart.METER_CONFIG, sized(struct.pack("!HHI", 0, 2, 5), 0, BANDS)),
    "meter features": multipart(Multipart.METER_FEATURES, bytes(16)),
    "table features": multipart(Multipart.TABLE_FEATURES, FEATURES, FEATURES),
    "ports": multipart(Multipart.PORT_DESC, PORT, PORT),
    "tables": multipart(Multipart.TABLE_DESC, TABLE, TABLE),
    "queues": multipart(Multipart.QUEUE_DESC, sized(bytes(16), 8, part(1, bytes(4)), part(2, bytes(4)))),
    "flow monitor": multipart(
        Multipart.FLOW_MONITOR,
        sized(struct.pack("!HHBBHHH4xQ", 0, 1, 3, 0, 0, 0, 100, 9), 0, MATCH, INSTRUCTIONS),
        sized(struct.pack("!HHI", 0, 4, 77), 0),
        sized(struct.pack("!HHI", 0, 5, 0), 0),
    ),
    "experimenter statistics": multipart(Multipart.EXPERIMENTER, struct.pack("!II", NICIRA, 2), bytes(8)),
}


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_frame_passes(name) -> None:
    frames.check(HONEST[name].raw)

"""Frames that no honest switch sends are refused, each for its fault; a stream is cut into its frames."""

from __future__ import annotations

import struct

import pytest

from ryu_apps import frames
from ryu_apps.frames import BadFrame
from ryu_apps.wire import Kind, Multipart
from tests.unit import test_frames_corpus as corpus
from tests.unit.test_frames_corpus import HONEST, part


def with_size(frame: bytes) -> bytes:
    return frame[:2] + len(frame).to_bytes(2, "big") + frame[4:]


_HELLO = struct.pack("!BBHI", 5, 0, 16, 1)
_MULTI = Multipart
CRAFTED: dict[str, bytes] = {
    "the Hello of 16 bytes that hangs Ryu": _HELLO + struct.pack("!HHI", 1, 0, 0),
    "Hello with an unknown element of length 0": _HELLO + struct.pack("!HHI", 9, 0, 0),
    "Hello whose padding Ryu reads as an element": corpus.hello(5, struct.pack("!HHII4x", 1, 12, 0x20, 0)).raw,
    "Hello with half an element": corpus.hello(5, b"\0\1\0").raw,
    "Hello of version 0": b"\0" + HONEST["hello"].raw[1:],
    "Hello of 1.1, which Ryu has no parser for": b"\2" + HONEST["hello"].raw[1:],
    "Hello of version 7": b"\7" + HONEST["hello"].raw[1:],
    "Hello of 60,000 bytes": corpus.hello(5, part(1, bytes(59_996))).raw,
    "Hello with 40 elements": corpus.hello(5, *[part(1, bytes(4))] * 40).raw,
    "nothing": b"",
    "half a header": b"\5\0\0\x10",
    "a header that promises more": struct.pack("!BBHI", 5, 2, 9, 0),
    "a header that promises less": struct.pack("!BBHI", 5, 2, 8, 0) + b"x",
    "a name for the incompatibility that is not ASCII": corpus.whole(Kind.ERROR, struct.pack("!HH", 0, 0), b"\xff").raw,
    "packet-in longer than the packet": corpus.whole(
        Kind.PACKET_IN, struct.pack("!IHBBQ", 0, 10, 0, 3, 9), corpus.MATCH, bytes(2 + 60)
    ).raw,
    "packet-in without padding": corpus.whole(Kind.PACKET_IN, struct.pack("!IHBBQ", 0, 0, 0, 3, 9), corpus.MATCH).raw,
    "packet-in with a standard match": corpus.whole(
        Kind.PACKET_IN, struct.pack("!IHBBQ", 0, 60, 0, 3, 9), struct.pack("!HH84x", 0, 88), bytes(62)
    ).raw,
    "flow removed with rubbish behind": with_size(HONEST["flow removed"].raw + bytes(8)),
    "port status with a second port": with_size(HONEST["port status"].raw + corpus.PORT.raw),
    "table status with rubbish behind": with_size(HONEST["table status"].raw + bytes(8)),
    "barrier reply with a body": with_size(HONEST["barrier reply"].raw + bytes(8)),
    "features of 31 bytes": with_size(HONEST["features reply"].raw[:31]),
    "features of 40 bytes": with_size(HONEST["features reply"].raw + bytes(8)),
    "bundle request": corpus.whole(Kind.BUNDLE_CONTROL, struct.pack("!IHH", 1, 4, 3)).raw,
    "bundle step 9": corpus.whole(Kind.BUNDLE_CONTROL, struct.pack("!IHH", 1, 9, 3)).raw,
    "forwarded flow-mod": corpus._forwarded(Kind.FLOW_MOD, bytes(48)).raw,
    "forwarded request in a forwarded request": corpus.whole(
        Kind.REQUESTFORWARD, corpus._forwarded(Kind.REQUESTFORWARD, HONEST["forwarded group"].raw[8:])
    ).raw,
    "forwarded nothing": corpus.whole(Kind.REQUESTFORWARD).raw,
    "multipart of an unknown kind": corpus.whole(Kind.MULTIPART_REPLY, struct.pack("!HH4x", 77, 0)).raw,
    "multipart without header": corpus.whole(Kind.MULTIPART_REPLY).raw,
    "description of nothing": corpus.multipart(_MULTI.DESC).raw,
    "aggregate twice": corpus.multipart(_MULTI.AGGREGATE, bytes(48)).raw,
    "table stats and a half": corpus.multipart(_MULTI.TABLE, bytes(36)).raw,
    "experimenter statistics of 60,000 bytes": corpus.multipart(_MULTI.EXPERIMENTER, bytes(60_000)).raw,
    "flow stats of 60,000 zeros": corpus.multipart(_MULTI.FLOW, bytes(60_000)).raw,
    "ports of 60,000 zeros": corpus.multipart(_MULTI.PORT_DESC, bytes(60_000)).raw,
    "6,000 properties of an unknown kind, each of which Ryu keeps with all that follow": corpus.whole(
        Kind.PORT_STATUS, bytes(8), corpus.sized(corpus.PORT.raw[:40], 4, *[part(9, bytes(4))] * 6000)
    ).raw,
    "one property of 60,000 bytes": corpus.whole(
        Kind.ROLE_STATUS, bytes(16), part(0xFFFF, bytes(60_000))
    ).raw,
    "8,000 instructions": corpus.multipart(
        _MULTI.FLOW, corpus.sized(bytes(48), 0, corpus.MATCH, *[part(1, bytes(4))] * 7000)
    ).raw,
    "a ct in a ct in a ct": corpus.multipart(
        _MULTI.GROUP_DESC,
        corpus.sized(
            bytes(8), 0, corpus.sized(bytes(16), 0, corpus.nicira(35, bytes(14) + corpus.nicira(35, bytes(14)).raw))
        ),
    ).raw,
    "userdata of a controller action that is empty, so that Ryu and OpenFlow step apart": corpus.multipart(
        _MULTI.GROUP_DESC,
        corpus.sized(bytes(8), 0, corpus.sized(bytes(16), 0, corpus.nicira(37, bytes(6) + part(3).raw))),
    ).raw,
    "an unknown property of a controller action, inside which Ryu finds one of length 0": corpus.multipart(
        _MULTI.GROUP_DESC,
        corpus.sized(
            bytes(8), 0, corpus.sized(bytes(16), 0, corpus.nicira(37, bytes(6) + part(9, bytes(4) + b"\0\3\0\0").raw))
        ),
    ).raw,
}  # fmt: skip
SENT_BY_CONTROLLERS = [kind for kind in range(256) if kind != Kind.HELLO and kind not in frames._CHECKERS]


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_frame_is_refused(name) -> None:
    with pytest.raises(BadFrame):
        frames.check(CRAFTED[name])


@pytest.mark.parametrize("kind", SENT_BY_CONTROLLERS)
def test_what_a_switch_has_no_business_to_send_is_refused(kind) -> None:
    with pytest.raises(BadFrame, match="not for a switch"):
        frames.check(struct.pack("!BBHI", 5, kind, 16, 1) + bytes(8))


@pytest.mark.parametrize("version", [version for version in range(256) if version != 5])
def test_another_version_is_refused(version) -> None:
    for name in ("error", "barrier reply"):
        with pytest.raises(BadFrame, match="version"):
            frames.check(bytes([version]) + HONEST[name].raw[1:])


def test_the_reason_names_part_place_and_fault() -> None:
    with pytest.raises(BadFrame, match="Hello element at byte 8: length 0; at least 8 and a multiple of 8"):
        frames.check(CRAFTED["the Hello of 16 bytes that hangs Ryu"])


# -- the stream -------------------------------------------------------------------------------------


def test_a_stream_cut_anywhere_gives_the_same_frames() -> None:
    wanted = [piece.raw for piece in HONEST.values()]
    stream = b"".join(wanted)
    for step in (1, 7, 64, 1000, len(stream)):
        buffer, found = bytearray(), []
        for at in range(0, len(stream), step):
            buffer += stream[at : at + step]
            found += frames.split(buffer)
        assert found == wanted
        assert not buffer


def test_no_more_frames_than_asked_for_are_taken() -> None:
    buffer = bytearray(HONEST["barrier reply"].raw * 5)
    assert len(frames.split(buffer, limit=2)) == 2
    assert len(buffer) == 3 * 8


@pytest.mark.parametrize("size", range(8))
def test_a_length_below_the_header_is_refused(size) -> None:
    with pytest.raises(BadFrame, match="length"):
        frames.split(bytearray(struct.pack("!BBHI", 5, 0, size, 1)))


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01", bytes(8)])
def test_what_is_no_openflow_is_refused_at_its_first_header(start) -> None:
    with pytest.raises(BadFrame, match="no OpenFlow"):
        frames.split(bytearray(start))

"""Frames that no honest switch sends are refused, and those that pass do no harm to Ryu's parser."""

from __future__ import annotations

import logging
import random
import signal
import struct
import time
import tracemalloc
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from ryu_apps import eventlet_hook, frames
from ryu_apps.frames import BadFrame
from ryu_apps.wire import Kind, Multipart
from tests.unit import test_frames_corpus as corpus
from tests.unit.test_frames_corpus import HONEST, part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE_S = 2.0
"""A frame of 64 KiB takes Ryu some milliseconds; one that hangs it takes for ever."""
MUTATIONS = 10_000


def _with_size(frame: bytes) -> bytes:
    return frame[:2] + len(frame).to_bytes(2, "big") + frame[4:]


def _bent_lengths() -> Iterator[tuple[str, bytes]]:
    """Every length field of every honest frame, each with values it cannot have."""
    for name, (raw, lengths) in HONEST.items():
        for at, size in lengths:
            true = int.from_bytes(raw[at : at + size], "big")
            top = (1 << 8 * size) - 1
            for value in {0, 1, 3, true + 1, true + 8, top} - {true}:
                yield (
                    f"{name}: length {value} at {at}",
                    raw[:at] + min(value, top).to_bytes(size, "big") + raw[at + size :],
                )


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
    "flow removed with rubbish behind": _with_size(HONEST["flow removed"].raw + bytes(8)),
    "port status with a second port": _with_size(HONEST["port status"].raw + corpus.PORT.raw),
    "table status with rubbish behind": _with_size(HONEST["table status"].raw + bytes(8)),
    "barrier reply with a body": _with_size(HONEST["barrier reply"].raw + bytes(8)),
    "features of 31 bytes": _with_size(HONEST["features reply"].raw[:31]),
    "features of 40 bytes": _with_size(HONEST["features reply"].raw + bytes(8)),
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


def test_a_false_length_is_refused_unless_the_frame_is_sound_with_it_too(ryu_parses) -> None:
    """A part may swallow its padding or its neighbour and still be a part; Ryu must then agree."""
    bent = dict(_bent_lengths())
    passed = [frame for frame in bent.values() if _passes(frame)]
    assert len(bent) > 1300
    assert len(passed) <= 20
    for frame in passed:
        ryu_parses(frame)


def test_every_truncation_is_refused_or_is_itself_a_sound_frame(ryu_parses) -> None:
    for raw, _ in HONEST.values():
        for size in range(8, len(raw)):
            frame = _with_size(raw[:size])
            if _passes(frame):
                ryu_parses(frame)


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


# -- Ryu behind the gate ------------------------------------------------------------------------------


def _passes(frame: bytes) -> bool:
    try:
        frames.check(frame)
    except BadFrame:
        return False
    return True


@pytest.fixture(scope="module")
def ryu_parses() -> Callable[[bytes], float]:
    """A function that lets Ryu parse a frame and returns the seconds it took; fails the test if it hangs."""
    eventlet_hook.install()
    from ryu.ofproto import ofproto_parser, ofproto_protocol  # noqa: PLC0415 - only these tests need it

    datapaths = {version: ofproto_protocol.ProtocolDesc(version) for version in frames.HELLO_VERSIONS}
    logging.getLogger("ryu.ofproto.ofproto_parser").setLevel(logging.CRITICAL)

    def parse(frame: bytes, patience_s: float = PATIENCE_S) -> float:
        hung: list[bytes] = []
        version, kind, size, xid = struct.unpack_from("!BBHI", frame)
        started = time.perf_counter()
        with suppress(TimeoutError), _alarm(patience_s, lambda: hung.append(frame)):
            message = ofproto_parser.msg(datapaths[version], version, kind, size, xid, bytearray(frame))
            if kind == Kind.ERROR and message is not None:
                _as_ryus_error_handler(message)
        assert hung == []  # Ryu swallows whatever its parser raises, the alarm's exception too
        return time.perf_counter() - started

    return parse


def _as_ryus_error_handler(message: object) -> None:
    ofp = message.datapath.ofproto
    ofp.ofp_error_type_to_str(message.type)
    if message.type != ofp.OFPET_EXPERIMENTER:
        ofp.ofp_error_code_to_str(message.type, message.code)
    if message.type == ofp.OFPET_HELLO_FAILED:
        message.data.decode("ascii")


@contextmanager
def _alarm(patience_s: float, note: Callable[[], None]) -> Iterator[None]:
    """Ring after so long, and again and again: an exception is lost if it falls into a finalizer or a gc callback.

    A hanging parser fills its memory at 40 MB/s, so one lost ring would be the end of the machine.
    """

    def ring(*_: object) -> None:
        note()
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, patience_s, 0.1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_the_watchdog_notices_the_hang_that_the_gate_is_for(ryu_parses) -> None:
    with pytest.raises(AssertionError):
        ryu_parses(CRAFTED["the Hello of 16 bytes that hangs Ryu"], 0.2)


def test_ryu_understands_every_honest_frame_quickly(ryu_parses) -> None:
    slow = {name: took for name, (raw, _) in HONEST.items() if (took := ryu_parses(raw)) > 0.5}
    assert slow == {}


def test_mutations_that_pass_do_not_hang_ryu(ryu_parses) -> None:
    chance = random.Random(20_240_601)  # repeatable
    honest = [piece.raw for piece in HONEST.values()]
    parsed = 0
    for _ in range(MUTATIONS):
        frame = _mutated(chance, chance.choice(honest))
        if _passes(frame):
            parsed += 1
            assert ryu_parses(frame) < PATIENCE_S
    assert parsed > MUTATIONS // 20


def _mutated(chance: random.Random, frame: bytes) -> bytes:
    changed = bytearray(frame)
    for _ in range(chance.choice((1, 1, 1, 2, 4, 16))):
        at = chance.randrange(8, len(changed)) if len(changed) > 8 else 1
        changed += bytes(max(0, 9 - len(changed)))
        kind = chance.randrange(5)
        if kind == 0:
            changed[at] = chance.randrange(256)
        elif kind == 1:
            changed[at] = chance.choice((0, 1, 4, 8, 0x7F, 0x80, 0xFF))
        elif kind == 2:
            changed[at : at + 2] = chance.choice((0, 1, 4, 8, 16, 24, 32, 0xFFFF)).to_bytes(2, "big")
        elif kind == 3:
            del changed[at : at + chance.choice((1, 2, 4, 8))]
        else:
            changed[at:at] = bytes(chance.choice((1, 4, 8))) if chance.random() < 0.5 else changed[at : at + 8]
    return _with_size(bytes(changed[:0xFFFF].ljust(8, b"\0")))


_LEARN = corpus.nicira(16, bytes(22) + struct.pack("!H", 1 << 13) * 900)
_LARGE = {
    "flow stats full of actions": corpus.multipart(
        _MULTI.FLOW,
        *[corpus.sized(bytes(48), 0, corpus.MATCH, part(4, corpus.join(bytes(4), *[part(11, bytes(4))] * 4000)))] * 2,
    ),
    "learns": corpus.multipart(
        _MULTI.FLOW,
        *[corpus.sized(bytes(48), 0, corpus.MATCH, part(4, corpus.join(bytes(4), _LEARN)))] * 30,
    ),
    "ports full of unknown properties": corpus.multipart(
        _MULTI.PORT_DESC, *[corpus.sized(corpus.PORT.raw[:40], 4, *[part(9, bytes(4))] * 32)] * 200
    ),
    "table features": corpus.multipart(
        _MULTI.TABLE_FEATURES,
        *[corpus.sized(bytes(64), 0, *[part(8, bytes(2044))] * 31)],
    ),
    "experimenter properties": corpus.multipart(
        _MULTI.PORT_DESC, *[corpus.sized(corpus.PORT.raw[:40], 4, *[part(0xFFFF, bytes(2040))] * 31)]
    ),
    "meters": corpus.multipart(_MULTI.METER_CONFIG, *[corpus.sized(bytes(8), 0)] * 8000),
}  # fmt: skip


@pytest.mark.parametrize("name", _LARGE)
def test_the_largest_frames_that_pass_cost_ryu_little_time_and_memory(ryu_parses, name) -> None:
    frame = _LARGE[name].raw
    assert len(frame) > 20_000
    frames.check(frame)
    tracemalloc.start()
    try:
        took = ryu_parses(frame)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert took < 1.5
    assert peak < 32 << 20


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

"""The gate before Ryu's parser: what passes, of thousands of bent frames, does Ryu no harm."""

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
from tests.unit.test_frames import CRAFTED, with_size
from tests.unit.test_frames_corpus import HONEST, part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE_S = 2.0
"""CPU time. A frame of 64 KiB takes Ryu some milliseconds; one that hangs it takes for ever."""
MUTATIONS = 10_000
_MULTI = Multipart


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
            frame = with_size(raw[:size])
            if _passes(frame):
                ryu_parses(frame)


def _passes(frame: bytes) -> bool:
    try:
        frames.check(frame)
    except BadFrame:
        return False
    return True


@pytest.fixture(scope="module")
def ryu_parses() -> Callable[[bytes], float]:
    """A function that lets Ryu parse a frame and returns the CPU seconds it took; fails the test if it hangs."""
    eventlet_hook.install()
    from ryu.ofproto import ofproto_parser, ofproto_protocol  # noqa: PLC0415 - only these tests need it

    datapaths = {version: ofproto_protocol.ProtocolDesc(version) for version in frames.HELLO_VERSIONS}
    logging.getLogger("ryu.ofproto.ofproto_parser").setLevel(logging.CRITICAL)

    def parse(frame: bytes, patience_s: float = PATIENCE_S) -> float:
        hung: list[bytes] = []
        version, kind, size, xid = struct.unpack_from("!BBHI", frame)
        started = time.process_time()
        with suppress(TimeoutError), _alarm(patience_s, lambda: hung.append(frame)):
            message = ofproto_parser.msg(datapaths[version], version, kind, size, xid, bytearray(frame))
            if kind == Kind.ERROR and message is not None:
                _as_ryus_error_handler(message)
        assert hung == []  # Ryu swallows whatever its parser raises, the alarm's exception too
        return time.process_time() - started

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

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, patience_s, 0.1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


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
    return with_size(bytes(changed[:0xFFFF].ljust(8, b"\0")))


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

"""What a rejected sender is told: well-formed, from the right address, never to a reset or to rubbish."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from ryu_apps.refusal import QUOTE_V4, QUOTE_V6, answer, checksum

A, B = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
V4 = (bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
V6 = (bytes.fromhex("fd" + "00" * 14 + "01"), bytes.fromhex("fd" + "00" * 14 + "02"))


def ipv4(protocol: int, payload: bytes) -> bytes:
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 7, 0, 64, protocol, 0, *V4)
    return B + A + b"\x08\x00" + head + payload


def ipv6(protocol: int, payload: bytes) -> bytes:
    return B + A + b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + V6[0] + V6[1] + payload


def tcp(flags: int, seq: int = 1000, ack: int = 0, data: bytes = b"") -> bytes:
    return struct.pack("!HHIIBBHHH", 40000, 80, seq, ack, 0x50, flags, 100, 0, 0) + data


def pseudo(frame: bytes, protocol: int, body: bytes) -> bytes:
    if frame[12:14] == b"\x08\x00":
        return frame[26:34] + struct.pack("!HH", protocol, len(body)) + body
    return frame[22:54] + struct.pack("!II", len(body), protocol) + body


def test_a_syn_is_reset_as_if_by_the_server() -> None:
    for frame, at in ((ipv4(6, tcp(2)), 34), (ipv6(6, tcp(2)), 54)):
        reply = answer(frame)
        assert reply is not None
        assert reply[:12] == A + B
        sport, dport, seq, ack, _, flags = struct.unpack_from("!HHIIBB", reply, at)
        assert (sport, dport, seq, ack, flags) == (80, 40000, 0, 1001, 4 | 16)
        assert checksum(pseudo(reply, 6, reply[at:])) == 0
    assert checksum(answer(ipv4(6, tcp(2)))[14:34]) == 0
    assert answer(ipv4(6, tcp(2)))[26:34] == V4[1] + V4[0]


def test_what_carries_an_ack_is_reset_at_the_number_the_sender_expects() -> None:
    reply = answer(ipv4(6, tcp(16, ack=77, data=b"abc")))
    assert struct.unpack_from("!II", reply, 38) == (77, 0)
    assert reply[47] == 4


def test_anything_else_is_told_that_it_is_prohibited_and_what_was() -> None:
    packet = ipv4(17, b"\x9c\x40\x00\x35" + bytes(1000))
    reply = answer(packet)
    assert reply[34:36] == bytes([3, 13])
    assert reply[42:] == packet[14 : 14 + QUOTE_V4]
    assert checksum(reply[34:]) == 0
    packet = ipv6(17, b"\x9c\x40\x00\x35" + bytes(1400))
    reply = answer(packet)
    assert reply[54:56] == bytes([1, 1])
    assert reply[62:] == packet[14 : 14 + QUOTE_V6]
    assert checksum(pseudo(reply, 58, reply[54:])) == 0


def test_a_reset_is_never_answered_and_neither_is_a_group() -> None:
    assert answer(ipv4(6, tcp(4))) is None
    assert answer(ipv6(6, tcp(4 | 16))) is None
    assert answer(b"\xff" * 6 + ipv4(6, tcp(2))[6:]) is None
    assert answer(B + b"\x01" + ipv4(6, tcp(2))[7:]) is None


def test_extension_headers_are_looked_behind() -> None:
    options = bytes([6, 0]) + bytes(6)
    reply = answer(ipv6(60, options + tcp(2)))
    assert reply[20] == 6
    assert reply[67] == 4 | 16


@given(st.binary(max_size=120))
def test_rubbish_is_answered_with_nothing_or_a_frame_and_never_raises(data: bytes) -> None:
    for frame in (data, ipv4(6, data), ipv6(0, data), ipv4(17, data), B + A + b"\x08\x00" + data):
        reply = answer(frame)
        assert reply is None or len(reply) >= 54


@given(st.binary(min_size=1, max_size=80), st.integers(0, 200))
def test_a_truncated_or_mutated_frame_never_raises(noise: bytes, at: int) -> None:
    for frame in (ipv4(6, tcp(2)), ipv6(6, tcp(2)), ipv6(43, bytes([6, 255]) + tcp(2))):
        place = at % len(frame)
        answer(frame[:place])
        answer(frame[:place] + noise + frame[place + len(noise) :])

"""The question to a switch's conntrack is a well-formed SCTP INIT, and the answer is understood."""

from __future__ import annotations

import struct

from intent.compiler import fields as f
from intent.compiler.flow import Term, exact
from ryu_apps.probing import CLIENT, SERVER, crc32c, heard, init
from ryu_apps.refusal import checksum
from ryu_apps.wire import PacketIn


class Asked:
    """As much of a session as an answer needs."""

    def __init__(self) -> None:
        self.portless = None
        self.told = 0
        self.listener = self

    def learned(self, session: object) -> None:
        assert session is self
        self.told += 1


def answer(*terms: Term) -> Asked:
    asked = Asked()
    heard(asked, PacketIn(1, 110, 1, 0, terms, b""))
    return asked


def test_the_checksum_is_the_one_of_the_standard() -> None:
    assert crc32c(b"123456789") == 0xE3069283


def test_the_packet_is_a_whole_init_from_one_port_to_another() -> None:
    frame = init((CLIENT, 4000), (SERVER, 2))
    assert checksum(frame[14:34]) == 0
    assert struct.unpack_from("!HH", frame, 34) == (4000, 2)
    assert len(frame) - 14 == struct.unpack_from("!H", frame, 16)[0]
    plain = frame[34:42] + bytes(4) + frame[46:]
    assert struct.pack("<I", crc32c(plain)) == frame[42:46]


def test_new_means_that_ports_are_kept_and_established_that_they_are_not() -> None:
    assert answer(exact(f.CT_STATE, f.CS_NEW | f.CS_TRK)).portless == frozenset()
    assert answer(exact(f.CT_STATE, f.CS_EST | f.CS_RPL | f.CS_TRK)).portless == frozenset({132})
    silent = answer()
    assert silent.portless is None
    assert silent.told == 0

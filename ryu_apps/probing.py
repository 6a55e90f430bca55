"""Does a switch's conntrack keep the ports of SCTP? Asked with packets that the controller sends itself.

The first opens an association in a zone that nothing else uses. The second comes back, but from another port: a
conntrack that keeps ports takes it for new, one that does not for the reply. The answer comes as
a packet-in with the flow cookie of kind PROBE.
"""

from __future__ import annotations

import struct

from intent.compiler import fields as f
from intent.compiler.flow import Ct
from intent.compiler.tables import Table
from ryu_apps.session import Session
from ryu_apps.wire import PacketIn
from topology.packet import SCTP

CLIENT, SERVER = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])
"""Addresses for documentation (RFC 5737); the packets never leave the switch."""
_CASTAGNOLI = 0x82F63B78
_INIT = struct.pack("!BBHIIHHI", 1, 0, 20, 1, 65535, 1, 1, 1)


def ask(session: Session) -> None:
    """Send the packets; `heard` gets the answer. Does not wait.

    The ports are those of no earlier question, as an answer of an earlier one may still be remembered.
    """
    sport = 1024 + session.exchange.take_xids() % 60_000
    session.send_packet((Ct(zone=f.PROBE_ZONE, commit=True),), init((CLIENT, sport), (SERVER, 1)))
    session.send_packet((Ct(zone=f.PROBE_ZONE, table=int(Table.PROBE)),), init((SERVER, 2), (CLIENT, sport)))


def heard(session: Session, packet: PacketIn) -> None:
    """Note what conntrack said of the last packet."""
    states = [term.value for term in packet.metadata if term.field is f.CT_STATE]
    if states:
        session.portless = frozenset() if states[0] & f.CS_NEW else frozenset({SCTP})
        session.listener.learned(session)


def init(source: tuple[bytes, int], destination: tuple[bytes, int]) -> bytes:
    """Return an Ethernet frame with an SCTP INIT chunk (RFC 9260, section 3.3.2), between addresses and ports."""
    (src, sport), (dst, dport) = source, destination
    common = struct.pack("!HHI", sport, dport, 0)
    checksum = struct.pack("<I", crc32c(common + bytes(4) + _INIT))
    segment = common + checksum + _INIT
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(segment), 0, 0x4000, 64, SCTP, 0, src, dst)
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    head = head[:10] + struct.pack("!H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF) + head[12:]
    return bytes.fromhex("02000000fffe02000000ffff0800") + head + segment


def crc32c(data: bytes) -> int:
    """Return the CRC32c of RFC 9260, appendix A."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_CASTAGNOLI if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF

"""The answer that a rejected sender gets: a TCP reset, or an ICMP error "administratively prohibited".

It comes from the address the packet was for (RFC 9293 section 3.10.7.1 for resets, RFC 1812 section 5.2.7.1 and
RFC 4443 section 3.1 for errors). Pure: bytes in, bytes out; the packet is hostile.
"""

from __future__ import annotations

import struct

ETHERNET = 14
IPV4, IPV6 = 0x0800, 0x86DD
TCP, ICMP, ICMPV6 = 6, 1, 58
FIN, SYN, RST, ACK = 1, 2, 4, 16
UNREACHABLE_V4, PROHIBITED_V4 = 3, 13
UNREACHABLE_V6, PROHIBITED_V6 = 1, 1
TTL = 64
QUOTE_V4 = 576 - 20 - 8
"""Bytes of the refused packet in an ICMP error (RFC 1812 section 4.3.2.3)."""
QUOTE_V6 = 1280 - 40 - 8
EXTENSIONS = frozenset({0, 43, 60})
"""IPv6 extension headers that are skipped: hop-by-hop, routing, destination options (RFC 8200)."""
MAX_EXTENSIONS = 8


def answer(frame: bytes) -> bytes | None:
    """Return the Ethernet frame that tells the sender of a refused one; None where no answer is due.

    Never answered: resets, what is cut short, what is neither IPv4 nor IPv6, what has no single sender.
    """
    try:
        (kind,) = struct.unpack_from("!H", frame, 12)
        packet = frame[ETHERNET:]
        if frame[0] & 1 or frame[6] & 1:
            return None
        reply = {IPV4: _answer_v4, IPV6: _answer_v6}[kind](packet)
    except (struct.error, IndexError, KeyError):
        return None
    return None if reply is None else frame[6:12] + frame[0:6] + frame[12:14] + reply


def _answer_v4(packet: bytes) -> bytes | None:
    header, total = (packet[0] & 15) * 4, struct.unpack_from("!H", packet, 2)[0]
    if packet[0] >> 4 != 4 or header < 20 or total < header or struct.unpack_from("!H", packet, 6)[0] & 0x1FFF:  # noqa: PLR2004 - RFC 791
        return None
    src, dst = packet[12:16], packet[16:20]
    if packet[9] == TCP:
        body = _reset(packet[header:], total - header, dst, src)
    else:
        body = _error(UNREACHABLE_V4, PROHIBITED_V4, packet[: min(total, QUOTE_V4)])
    if body is None:
        return None
    protocol = TCP if packet[9] == TCP else ICMP
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0x4000, TTL, protocol, 0, dst, src)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def _answer_v6(packet: bytes) -> bytes | None:
    (length,) = struct.unpack_from("!H", packet, 4)
    src, dst = packet[8:24], packet[24:40]
    if packet[0] >> 4 != 6 or len(dst) != 16 or not any(src):  # noqa: PLR2004 - RFC 8200
        return None
    protocol, at = _upper_layer(packet)
    if protocol == TCP:
        body = _reset(packet[at:], 40 + length - at, dst, src)
        next_header = TCP
    else:
        quoted = packet[: min(40 + length, QUOTE_V6)]
        plain = _error(UNREACHABLE_V6, PROHIBITED_V6, quoted, dst + src + struct.pack("!II", len(quoted) + 8, ICMPV6))
        body, next_header = plain, ICMPV6
    if body is None:
        return None
    return struct.pack("!IHBB", 6 << 28, len(body), next_header, TTL) + dst + src + body


def _upper_layer(packet: bytes) -> tuple[int, int]:
    """Return the protocol behind the extension headers, and where it begins."""
    protocol, at = packet[6], 40
    for _ in range(MAX_EXTENSIONS):
        if protocol not in EXTENSIONS:
            break
        protocol, at = packet[at], at + (packet[at + 1] + 1) * 8
    return protocol, at


def _reset(segment: bytes, size: int, src: bytes, dst: bytes) -> bytes | None:
    """Return the reset of a segment of `size` bytes, which may be cut short after its header."""
    sport, dport, seq, ack, offset, flags = struct.unpack_from("!HHIIBB", segment)
    header = (offset >> 4) * 4
    if flags & RST or header < 20 or size < header:  # noqa: PLR2004 - RFC 9293
        return None
    if flags & ACK:
        fields = (dport, sport, ack, 0, 0x50, RST)
    else:
        after = seq + size - header + bool(flags & SYN) + bool(flags & FIN)
        fields = (dport, sport, 0, after & 0xFFFFFFFF, 0x50, RST | ACK)
    head = struct.pack("!HHIIBBHHH", *fields, 0, 0, 0)
    length = struct.pack("!HH", TCP, 20) if len(src) == 4 else struct.pack("!II", 20, TCP)  # noqa: PLR2004 - IPv4
    return head[:16] + struct.pack("!H", checksum(src + dst + length + head)) + head[18:]


def _error(kind: int, code: int, quoted: bytes, pseudo: bytes = b"") -> bytes:
    plain = struct.pack("!BBHI", kind, code, 0, 0) + quoted
    return plain[:2] + struct.pack("!H", checksum(pseudo + plain)) + plain[4:]


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    padded = data + bytes(len(data) & 1)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF

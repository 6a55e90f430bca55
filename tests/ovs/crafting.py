"""Frames as bytes, honest or not: each part of a header can be made to lie."""

from __future__ import annotations

import itertools
import struct
import zlib
from ipaddress import IPv4Address, IPv6Address, ip_address

TCP, UDP, SCTP, ICMP, ICMPV6, GRE, ESP, AH = 6, 17, 132, 1, 58, 47, 50, 51
HOPOPTS, ROUTING, FRAGMENT, DSTOPTS, NO_NEXT = 0, 43, 44, 60, 59
IPV4, IPV6, ARP = 0x0800, 0x86DD, 0x0806
SYN, ACK, FIN, RST, PSH, URG = 0x02, 0x10, 0x01, 0x04, 0x08, 0x20
MORE = 0x2000
FIRST_BYTES = 1480
"""Of the payload of an IPv4 packet, in its first fragment at an MTU of 1500."""


def checksum(data: bytes) -> int:
    """RFC 1071."""
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def ether(src: str, dst: str, kind: int, payload: bytes, tags: tuple[tuple[int, int], ...] = ()) -> bytes:
    """`tags` are (TPID, TCI) from the outside in."""
    tagging = b"".join(struct.pack("!HH", *tag) for tag in tags)
    return mac(dst) + mac(src) + tagging + struct.pack("!H", kind) + payload


# -- layer 4 ----------------------------------------------------------------------------------------


def pseudo(src: str, dst: str, protocol: int, size: int) -> bytes:
    a, b = ip_address(src), ip_address(dst)
    tail = struct.pack("!BBH", 0, protocol, size) if a.version == 4 else struct.pack("!IHBB", size, 0, 0, protocol)
    return a.packed + b.packed + tail


def _summed(src: str, dst: str, protocol: int, data: bytes, at: int) -> bytes:
    value = checksum(pseudo(src, dst, protocol, len(data)) + data)
    return data[:at] + struct.pack("!H", value) + data[at + 2 :]


def tcp(
    src: str, dst: str, sport: int, dport: int, flags: int = SYN, payload: bytes = b"", *, seq: int = 1000, ack: int = 0
) -> bytes:
    head = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 5 << 4, flags, 8192, 0, 0)
    return _summed(src, dst, TCP, head + payload, 16)


def udp(src: str, dst: str, sport: int, dport: int, payload: bytes = b"", *, summed: bool = True) -> bytes:
    data = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload
    return _summed(src, dst, UDP, data, 6) if summed else data


def sctp(sport: int, dport: int, payload: bytes) -> bytes:
    """Nobody on the way looks at the checksum (CRC32c)."""
    return struct.pack("!HHII", sport, dport, 1, 0) + payload


def icmp(kind: int, code: int, body: bytes, *, word: int = 0x77) -> bytes:
    """`word` is the identifier and sequence, or whatever the type has there."""
    data = struct.pack("!BBHI", kind, code, 0, word << 16) + body
    return data[:2] + struct.pack("!H", checksum(data)) + data[4:]


def icmp6(src: str, dst: str, kind: int, code: int, body: bytes, *, word: int = 0x77) -> bytes:
    data = struct.pack("!BBHI", kind, code, 0, word << 16) + body
    return _summed(src, dst, ICMPV6, data, 2)


# -- layer 3 ----------------------------------------------------------------------------------------


def ip4(
    src: str, dst: str, protocol: int, payload: bytes, *, ttl: int = 64, options: bytes = b"",
    total: int | None = None, ident: int | None = None, offset: int = 0, sum_error: int = 0,
) -> bytes:  # fmt: skip
    """`offset` is the whole fragment word: flags and offset in units of 8; `total` a lie about the length."""
    size = 20 + len(options)
    ident = zlib.crc32(payload) & 0xFFFF if ident is None else ident
    head = struct.pack("!BBHHHBBH", 4 << 4 | size // 4, 0, size + len(payload) if total is None else total,
                       ident, offset, ttl, protocol, 0)  # fmt: skip
    head += IPv4Address(src).packed + IPv4Address(dst).packed + options
    return head[:10] + struct.pack("!H", checksum(head) ^ sum_error) + head[12:] + payload


def ip6(src: str, dst: str, following: int, payload: bytes, *, hops: int = 64, size: int | None = None) -> bytes:
    """`size` is a lie about the length of the payload."""
    head = struct.pack("!IHBB", 6 << 28, len(payload) if size is None else size, following, hops)
    return head + IPv6Address(src).packed + IPv6Address(dst).packed + payload


def extension(following: int, body: bytes = b"\x01\x04\0\0\0\0") -> bytes:
    """A hop-by-hop, destination-options or routing header; the body fills 8n-2 bytes (default: PadN)."""
    return struct.pack("!BB", following, (len(body) + 2) // 8 - 1) + body


def padding(size: int) -> bytes:
    """Options of an IPv6 header that say nothing (PadN)."""
    most = 257
    sizes = [most] * (size // most) + ([size % most] if size % most else [])
    return b"".join(b"\x01" + bytes([n - 2]) + b"\0" * (n - 2) if n > 1 else b"\0" for n in sizes)


def authentication(following: int) -> bytes:
    """AH with a 12-byte value (RFC 4302)."""
    return struct.pack("!BBHII", following, 4, 0, 0x100, 1) + b"\0" * 12


def fragment(following: int, offset: int, payload: bytes, *, more: bool, ident: int, reserved: int = 0) -> bytes:
    """An IPv6 fragment header (offset in bytes) and its part of the payload."""
    return struct.pack("!BBHI", following, 0, offset | reserved << 1 | more, ident) + payload


def pieces4(
    src: str, dst: str, protocol: int, payload: bytes, cuts: tuple[int, ...] = (FIRST_BYTES,), ident: int | None = None
) -> list[bytes]:
    """An IPv4 packet cut at payload offsets (multiples of 8)."""
    ident = zlib.crc32(payload) & 0xFFFF if ident is None else ident
    edges = (0, *cuts, len(payload))
    return [
        ip4(src, dst, protocol, payload[a:b], ident=ident, offset=a // 8 | (MORE if b < len(payload) else 0))
        for a, b in itertools.pairwise(edges)
    ]


def pieces6(
    src: str, dst: str, following: int, payload: bytes, cuts: tuple[int, ...] = (FIRST_BYTES - 48,)
) -> list[bytes]:
    """An IPv6 packet cut at payload offsets (multiples of 8)."""
    ident, edges = zlib.crc32(payload), (0, *cuts, len(payload))
    return [
        ip6(src, dst, FRAGMENT, fragment(following, a, payload[a:b], more=b < len(payload), ident=ident))
        for a, b in itertools.pairwise(edges)
    ]


# -- neighbours -------------------------------------------------------------------------------------


def arp(op: int, sha: str, spa: str, tha: str, tpa: str) -> bytes:
    ends = mac(sha) + IPv4Address(spa).packed + mac(tha) + IPv4Address(tpa).packed
    return struct.pack("!HHBBH", 1, IPV4, 6, 4, op) + ends


def neighbour(src: str, dst: str, kind: int, target: str, option: int, hardware: str, tail: bytes = b"") -> bytes:
    """A solicitation (135, option 1) or advertisement (136, option 2); `tail` are further options, 8n bytes."""
    body = IPv6Address(target).packed + struct.pack("!BB", option, 1) + mac(hardware) + tail
    return ip6(src, dst, ICMPV6, icmp6(src, dst, kind, 0, body, word=0), hops=255)

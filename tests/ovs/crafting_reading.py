"""Reads a frame in the semantics' words; None for what it has none for (fragments, errors, broken headers)."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address, IPv6Address

from tests.ovs.crafting import ACK, ARP, ICMP, ICMPV6, IPV4, IPV6, PSH, SCTP, SYN, TCP, UDP, checksum, pseudo
from tests.property.cases import DPID
from topology.packet import Frame

TPIDS = (0x8100, 0x88A8)
CHAIN = (0, 43, 44, 60, 51)
ERRORS = {ICMP: (3, 4, 5, 11, 12), ICMPV6: (1, 2, 3, 4)}
SOLICITATION, ADVERTISEMENT = 135, 136
PLAIN_FLAGS = (SYN, ACK, PSH | ACK)
FOR_IPV4 = bytes.fromhex("000108000604")
"""How an ARP packet for IPv4 on Ethernet begins."""
LEAST_ETHERTYPE = 0x600
HEADER_BYTES = {TCP: 20, UDP: 8, SCTP: 12, ICMP: 8, ICMPV6: 8}


def read(data: bytes, ofport: int) -> Frame | None:
    kind = int.from_bytes(data[12:14])
    vlan, body = None, data[14:]
    if kind < LEAST_ETHERTYPE:
        return None  # a length: what it carries says LLC
    if kind in TPIDS:
        vlan, kind, body = int.from_bytes(data[14:16]) & 0xFFF, int.from_bytes(data[16:18]), data[18:]
    frame = Frame(DPID, ofport, data[6:12].hex(":"), data[:6].hex(":"), kind, vlan)
    readers = {ARP: _arp, IPV4: _ip4, IPV6: _ip6}
    if vlan is not None or kind not in readers:
        return frame
    return readers[kind](frame, body)


def _arp(frame: Frame, body: bytes) -> Frame | None:
    if body[:6] != FOR_IPV4 or body[6]:
        return None
    return dataclasses.replace(
        frame,
        arp_op=int.from_bytes(body[6:8]),
        arp_sha=body[8:14].hex(":"),
        arp_spa=IPv4Address(body[14:18]),
        arp_tpa=IPv4Address(body[24:28]),
    )


def _ip4(frame: Frame, body: bytes) -> Frame | None:
    size = (body[0] & 15) * 4
    whole = int.from_bytes(body[2:4])
    if int.from_bytes(body[6:8]) & 0x3FFF or whole > len(body) or whole < size or checksum(body[:size]):
        return None
    ends = {"src": IPv4Address(body[12:16]), "dst": IPv4Address(body[16:20])}
    return _transport(dataclasses.replace(frame, **ends), body[9], body[size:whole])


def _ip6(frame: Frame, body: bytes) -> Frame | None:
    size = int.from_bytes(body[4:6])
    if body[6] in CHAIN or size > len(body) - 40:
        return None
    ends = {"src": IPv6Address(body[8:24]), "dst": IPv6Address(body[24:40])}
    return _transport(dataclasses.replace(frame, **ends), body[6], body[40 : 40 + size])


def _transport(frame: Frame, protocol: int, body: bytes) -> Frame | None:
    frame = dataclasses.replace(frame, protocol=protocol)
    if len(body) < HEADER_BYTES.get(protocol, 0) or not _is_sound(frame, protocol, body):
        return None
    if protocol in {TCP, UDP, SCTP}:
        return dataclasses.replace(frame, sport=int.from_bytes(body[:2]), dport=int.from_bytes(body[2:4]))
    if protocol not in ERRORS:
        return frame
    if body[0] in ERRORS[protocol]:
        return None  # its fate is that of the connection it quotes
    frame = dataclasses.replace(frame, icmp_type=body[0], icmp_code=body[1])
    if frame.eth_type != IPV6 or protocol != ICMPV6 or body[0] not in {SOLICITATION, ADVERTISEMENT}:
        return frame
    own = body[26:32].hex(":") if body[24:25] == b"\x01" else None
    return dataclasses.replace(frame, nd_target=IPv6Address(body[8:24]), nd_sll=own)


def _is_sound(frame: Frame, protocol: int, body: bytes) -> bool:
    """Whether conntrack has no more to say than what `Frame` holds."""
    if protocol == TCP and body[13] not in PLAIN_FLAGS:
        return False
    if protocol != UDP:
        return True
    if int.from_bytes(body[4:6]) != len(body):
        return False
    return not checksum(pseudo(str(frame.src), str(frame.dst), UDP, len(body)) + body)

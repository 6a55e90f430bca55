"""What a packet-in says about who uses an address: ARP, neighbour discovery, DHCP. Pure; bytes are hostile.

RFC 826 (ARP), RFC 4861 (neighbour discovery), RFC 2131 (DHCP).
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from topology.model import IPAddress
from topology.packet import ETH_ARP, ETH_IPV4, ETH_IPV6, ICMPV6, UDP

ETHERNET, ARP, IPV4, IPV6_HEADER, UDP_HEADER = 14, 28, 20, 40, 8
SOLICITATION, ADVERTISEMENT = 135, 136
BOOTREPLY, DHCP_SERVER, DHCP_CLIENT = 2, 67, 68
DHCP_MAGIC = b"\x63\x82\x53\x63"
DHCP_FIXED = 236
MESSAGE_TYPE, ACK, PAD, END = 53, 5, 0, 255
ARP_HEAD = b"\x00\x01\x08\x00\x06\x04"
"""Ethernet and IPv4."""


class Seen(NamedTuple):
    """An address and the MAC that the packet ties it to; by DHCP the MAC is the client's, not the sender's."""

    source: str
    """`arp`, `nd` or `dhcp`."""
    mac: str
    address: IPAddress


def read(packet: bytes) -> Seen | None:
    """Return what an Ethernet frame says, None if it says nothing of the kind or is cut off."""
    try:
        kind = int.from_bytes(packet[12:14], "big")
        if kind == ETH_ARP:
            return _arp(packet[ETHERNET:], packet[6:12])
        if kind == ETH_IPV6:
            return _nd(packet[ETHERNET:], packet[6:12])
        return _dhcp(packet[ETHERNET:]) if kind == ETH_IPV4 else None
    except (struct.error, IndexError, ValueError):
        return None


def _arp(body: bytes, sender: bytes) -> Seen | None:
    hardware, address = body[8:14], body[14:18]
    if len(body) < ARP or body[:6] != ARP_HEAD or hardware != sender or not any(address):
        return None
    return Seen("arp", hardware.hex(":"), IPv4Address(address))


def _nd(body: bytes, sender: bytes) -> Seen | None:
    message = body[IPV6_HEADER:]
    source, hops, protocol = body[8:24], body[7], body[6]
    if protocol != ICMPV6 or hops != 255 or len(message) < 24:  # noqa: PLR2004 - RFC 4861, 7.1
        return None
    if message[0] == ADVERTISEMENT:
        return Seen("nd", sender.hex(":"), IPv6Address(message[8:24]))
    if message[0] == SOLICITATION and any(source):
        return Seen("nd", sender.hex(":"), IPv6Address(source))
    return None


def _dhcp(body: bytes) -> Seen | None:
    header = (body[0] & 15) * 4
    ports = struct.unpack_from("!HH", body, header)
    if header < IPV4 or body[9] != UDP or ports != (DHCP_SERVER, DHCP_CLIENT):
        return None
    message = body[header + UDP_HEADER :]
    options = message[DHCP_FIXED + len(DHCP_MAGIC) :]
    ethernet = message[1:3] == b"\x01\x06"
    if message[0] != BOOTREPLY or not ethernet or message[DHCP_FIXED:][: len(DHCP_MAGIC)] != DHCP_MAGIC:
        return None
    address = IPv4Address(message[16:20])
    if _message_type(options) != ACK or address.is_unspecified:
        return None
    return Seen("dhcp", message[28:34].hex(":"), address)


def _message_type(options: bytes) -> int | None:
    at = 0
    while options[at] != END:
        if options[at] == PAD:
            at += 1
            continue
        if options[at] == MESSAGE_TYPE:
            return options[at + 2]
        at += 2 + options[at + 1]
    return None

"""Words about frames: what kind they are of."""

from __future__ import annotations

from ipaddress import IPv4Address

from topology.model import IPAddress
from topology.packet import ETH_IPV4, ETH_IPV6, ICMP, ICMPV6, Frame

SOLICITATION = 135
_ECHO_REQUEST = {ICMP: 8, ICMPV6: 128}
_BROADCAST_V4 = IPv4Address(2**32 - 1)
_GROUP_BIT = 1
"""Of the first octet of an Ethernet address: multicast or broadcast."""


def is_icmp(frame: Frame, *types: int) -> bool:
    """Say whether a frame is ICMP of one of these types, over IPv4."""
    return (frame.eth_type, frame.protocol) == (ETH_IPV4, ICMP) and frame.icmp_type in types


def is_icmpv6(frame: Frame, *types: int) -> bool:
    """Say whether a frame is ICMPv6 of one of these types, over IPv6."""
    return (frame.eth_type, frame.protocol) == (ETH_IPV6, ICMPV6) and frame.icmp_type in types


def is_echo(frame: Frame) -> bool:
    """Say whether a frame is a ping."""
    own = {ETH_IPV4: ICMP, ETH_IPV6: ICMPV6}.get(frame.eth_type)
    return frame.protocol == own and frame.icmp_type == _ECHO_REQUEST.get(own or 0) and not frame.icmp_code


def is_solicitation(frame: Frame) -> bool:
    """Say whether a frame is a neighbour solicitation; with a code other than 0 it is none (RFC 4861, 7.1.1)."""
    return is_icmpv6(frame, SOLICITATION) and not frame.icmp_code


def is_group_mac(mac: str) -> bool:
    """Say whether an Ethernet address is that of many."""
    return bool(int(mac.partition(":")[0], 16) & _GROUP_BIT)


def is_group(address: IPAddress | None) -> bool:
    """Say whether an address is that of many."""
    return address is not None and (address.is_multicast or address == _BROADCAST_V4)

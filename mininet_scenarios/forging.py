"""Raw frames that claim to be somebody else's, and what the semantics say of them.

One description (`topology.packet.Frame`) serves both: `to_bytes` writes it for the wire, `evaluate`
judges it. Each frame carries a number of its own, by which it is found again wherever it arrives.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import struct
from collections.abc import Iterator

from mininet_scenarios.agent import checksum
from mininet_scenarios.expectation import World
from mininet_scenarios.scenario import Forge, Workload
from topology.packet import ETH_ARP, ETH_IPV4, ETH_IPV6, ICMP, ICMPV6, TCP, UDP, Frame

NEEDLE_BYTES = 8
SPORT = 40_000
ND_TYPES = {"ns": 135, "na": 136, "na-all": 136, "ra": 134}
ARP_OPS = {"arp-request": 1, "arp-reply": 2, "arp-announce": 2}
DATAGRAMS = frozenset({"udp", "broadcast", "tagged"})
VLAN = 7
ETH_VLAN, ETH_EXPERIMENTAL = 0x8100, 0x88B5
"""IEEE 802.1Q; IEEE 802 local experimental."""
SOLICITED_OVERRIDE = 0x60000000
"""Flags of an advertisement that wants to be believed (RFC 4861, 4.4)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Forged:
    """One raw frame: who sends it, what it is, and the number by which to find it."""

    sender: str
    title: str
    frame: Frame
    number: int

    @property
    def needle(self) -> bytes:
        """Bytes that occur in this frame and in no other."""
        return b"\xf0rge" + struct.pack("!I", self.number)

    def to_bytes(self) -> bytes:
        """Return the frame as it goes to the wire."""
        frame = self.frame
        tag = b"" if frame.vlan is None else struct.pack("!HH", ETH_VLAN, frame.vlan)
        head = _mac(frame.eth_dst) + _mac(frame.eth_src) + tag + struct.pack("!H", frame.eth_type)
        if frame.eth_type == ETH_EXPERIMENTAL:
            return head + self.needle.ljust(46, b"\0")
        if frame.eth_type == ETH_ARP:
            return head + _arp(frame) + self.needle.ljust(18, b"\0")
        return head + _ip(frame, _transport(frame, self.needle))


def forgeries(world: World, forge: Forge) -> Iterator[Forged]:
    """Yield every frame that a scenario's `forge` describes."""
    number = 0
    for sender in forge.senders:
        for target in forge.targets:
            for victim in forge.victims:
                for forgery in forge.forgeries:
                    for kind in forge.kinds:
                        roles = (world.workloads[sender], world.workloads[target], world.workloads[victim])
                        for title, frame in _variants(world, forge.port, roles, (kind, forgery)):
                            number += 1
                            yield Forged(sender, title, frame, number)


def _variants(
    world: World, port: int, roles: tuple[Workload, Workload, Workload], what: tuple[str, str]
) -> Iterator[tuple[str, Frame]]:
    """Yield the frame of each address family that sender, target and victim share."""
    sender, target, victim = roles
    kind, forgery = what
    mac = victim.mac if forgery in {"mac", "both"} else sender.mac
    for version in (4, 6):
        if version not in _versions(kind):
            continue
        own, far, claimed = (_first(w, version) for w in (sender, target, victim))
        if own is None or far is None or claimed is None:
            continue
        base = Frame(
            dpid=world.location(sender.name).dpid,
            in_port=world.location(sender.name).ofport,
            eth_src=mac,
            eth_dst=target.mac,
            eth_type=ETH_IPV4 if version == 4 else ETH_IPV6,  # noqa: PLR2004 - IP version
            src=claimed if forgery in {"address", "both"} else own,
            dst=far,
        )
        title = f"{kind}/IPv{version} from {sender.name} to {target.name}, {forgery} of {victim.name}"
        yield title, _dressed(base, kind, port)


def _dressed(base: Frame, kind: str, port: int) -> Frame:
    """Return the frame with the fields of its kind."""
    replace = dataclasses.replace
    if kind in DATAGRAMS:
        frame = replace(base, protocol=UDP, sport=SPORT, dport=port)
        if kind == "broadcast":
            return _to_all(frame)
        return replace(frame, vlan=VLAN) if kind == "tagged" else frame
    if kind == "tcp":
        return replace(base, protocol=TCP, sport=SPORT, dport=port)
    if kind == "icmp":
        protocol, request = (ICMP, 8) if base.eth_type == ETH_IPV4 else (ICMPV6, 128)
        return replace(base, protocol=protocol, icmp_type=request, icmp_code=0)
    if kind == "foreign":
        return replace(base, eth_type=ETH_EXPERIMENTAL, src=None, dst=None)
    return _arp_frame(base, kind) if kind in ARP_OPS else _nd_frame(base, kind)


def _to_all(frame: Frame) -> Frame:
    if frame.eth_type == ETH_IPV4:
        return dataclasses.replace(frame, eth_dst="ff:ff:ff:ff:ff:ff", dst=ipaddress.IPv4Address("255.255.255.255"))
    return dataclasses.replace(frame, eth_dst="33:33:00:00:00:01", dst=ipaddress.IPv6Address("ff02::1"))


def _arp_frame(base: Frame, kind: str) -> Frame:
    if not isinstance(base.src, ipaddress.IPv4Address) or not isinstance(base.dst, ipaddress.IPv4Address):
        raise TypeError("ARP is for IPv4")
    announces = kind == "arp-announce"
    return Frame(
        dpid=base.dpid,
        in_port=base.in_port,
        eth_src=base.eth_src,
        eth_dst="ff:ff:ff:ff:ff:ff" if announces else base.eth_dst,
        eth_type=ETH_ARP,
        arp_op=ARP_OPS[kind],
        arp_sha=base.eth_src,
        arp_spa=base.src,
        arp_tpa=base.src if announces else base.dst,
    )


def _nd_frame(base: Frame, kind: str) -> Frame:
    frame = dataclasses.replace(base, protocol=ICMPV6, icmp_type=ND_TYPES[kind], icmp_code=0)
    if kind == "ns":
        return dataclasses.replace(frame, nd_target=base.dst, nd_sll=base.eth_src)
    if kind == "ra":
        return frame
    told = dataclasses.replace(frame, nd_target=base.src)
    return _to_all(told) if kind == "na-all" else told


def _versions(kind: str) -> set[int]:
    if kind in ARP_OPS:
        return {4}
    return {6} if kind in ND_TYPES else {4, 6}


def _first(workload: Workload, version: int) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    parsed = (ipaddress.ip_address(text) for text in workload.addresses)
    return next((address for address in parsed if address.version == version), None)


# -- bytes ------------------------------------------------------------------------------------


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _arp(frame: Frame) -> bytes:
    if frame.arp_spa is None or frame.arp_tpa is None or frame.arp_sha is None:
        raise ValueError("an ARP frame needs arp_spa, arp_tpa and arp_sha")
    head = struct.pack("!HHBBH", 1, ETH_IPV4, 6, 4, frame.arp_op)
    return head + _mac(frame.arp_sha) + frame.arp_spa.packed + bytes(6) + frame.arp_tpa.packed


def _ip(frame: Frame, payload: bytes) -> bytes:
    if frame.src is None or frame.dst is None:
        raise ValueError("an IP frame needs src and dst")
    addresses = frame.src.packed + frame.dst.packed
    if frame.eth_type == ETH_IPV6:
        # Neighbour discovery is believed only with hop limit 255 (RFC 4861, 7.1).
        return struct.pack("!IHBB", 6 << 28, len(payload), frame.protocol, 255) + addresses + payload
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, frame.protocol, 0)
    return head[:10] + struct.pack("!H", checksum(head + addresses)) + addresses + payload


def _transport(frame: Frame, needle: bytes) -> bytes:
    """Return the transport header and `needle`, with the right checksum."""
    if frame.protocol == UDP:
        head, at = struct.pack("!HHHH", frame.sport, frame.dport, 8 + len(needle), 0), 6
    elif frame.protocol == TCP:
        head, at = struct.pack("!HHIIBBHHH", frame.sport, frame.dport, 1, 0, 0x50, 2, 65535, 0, 0), 16
    elif frame.icmp_type in ND_TYPES.values():
        head, at, needle = struct.pack("!BBH", frame.icmp_type, 0, 0) + _nd(frame), 2, _nonce(needle)
    else:
        head, at = struct.pack("!BBHHH", frame.icmp_type, 0, 0, 1, 1), 2
    covered = head + needle if frame.protocol == ICMP else _pseudo(frame, len(head + needle)) + head + needle
    return head[:at] + struct.pack("!H", checksum(covered)) + head[at + 2 :] + needle


def _pseudo(frame: Frame, length: int) -> bytes:
    """Return the pseudo header that TCP, UDP and ICMPv6 cover with their checksum (RFC 8200, 8.1)."""
    if frame.src is None or frame.dst is None:
        raise ValueError("an IP frame needs src and dst")
    return frame.src.packed + frame.dst.packed + struct.pack("!IHBB", length, 0, 0, frame.protocol)


def _nd(frame: Frame) -> bytes:
    """Return what follows the ICMPv6 header: flags, target and link-layer address (RFC 4861, 4.2 to 4.4)."""
    if frame.icmp_type == ND_TYPES["ra"]:
        return struct.pack("!BBHII", 64, 0, 1800, 0, 0)
    if frame.nd_target is None:
        raise ValueError("a solicitation or advertisement needs nd_target")
    is_solicitation = frame.icmp_type == ND_TYPES["ns"]
    flags = 0 if is_solicitation else SOLICITED_OVERRIDE
    option = struct.pack("!BB", 1 if is_solicitation else 2, 1) + _mac(frame.eth_src)
    return struct.pack("!I", flags) + frame.nd_target.packed + option


def _nonce(needle: bytes) -> bytes:
    """Return the needle as an option that receivers ignore or take (nonce, RFC 3971, 5.3.2)."""
    return (struct.pack("!BB", 14, 2) + needle).ljust(16, b"\0")

"""Every match field, register slice and conntrack bit that a flow may use, each with its name.

Field numbers: OpenFlow 1.4 section 7.2.3.7 (OXM, class 0x8000) and ovs-fields(7) (NXM, class 1).
"""

from __future__ import annotations

import dataclasses
from functools import cache

OXM_BASIC = 0x8000
NXM_1 = 0x0001
ERICSSON = 0x1000
"""Class of the two ND extension fields (OVS 2.11)."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One field of the flow key. Compared by identity: each exists once, in `FIELDS`."""

    name: str
    """As ovs-ofctl writes it."""
    oxm_class: int
    oxm_field: int
    bits: int
    index: int
    """Canonical order inside a match: prerequisites before what needs them."""
    nxm_name: str
    """As ovs-ofctl writes it in `move` and `load`."""
    ones: int = dataclasses.field(init=False)
    """The mask of an exact match."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "ones", (1 << self.bits) - 1)

    def __repr__(self) -> str:
        return self.name

    def __lt__(self, other: Field) -> bool:
        return self.index < other.index


@dataclasses.dataclass(frozen=True, slots=True)
class Slice:
    """`bits` bits of a field from bit `offset` up; `field[offset..offset+bits-1]`."""

    field: Field
    offset: int
    bits: int
    mask: int = dataclasses.field(init=False, repr=False, compare=False)
    """The field's mask that covers the slice."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "mask", ((1 << self.bits) - 1) << self.offset)


IN_PORT = Field("in_port", OXM_BASIC, 0, 32, 0, "NXM_OF_IN_PORT")
REG = tuple(Field(f"reg{n}", NXM_1, n, 32, 1 + n, f"NXM_NX_REG{n}") for n in range(16))
CONJ_ID = Field("conj_id", NXM_1, 37, 32, 17, "NXM_NX_CONJ_ID")
CT_STATE = Field("ct_state", NXM_1, 105, 32, 18, "NXM_NX_CT_STATE")
CT_ZONE = Field("ct_zone", NXM_1, 106, 16, 19, "NXM_NX_CT_ZONE")
CT_MARK = Field("ct_mark", NXM_1, 107, 32, 20, "NXM_NX_CT_MARK")
CT_LABEL = Field("ct_label", NXM_1, 108, 128, 21, "NXM_NX_CT_LABEL")
TUN_ID = Field("tun_id", OXM_BASIC, 38, 64, 22, "NXM_NX_TUN_ID")
TUN_SRC = Field("tun_src", NXM_1, 31, 32, 23, "NXM_NX_TUN_IPV4_SRC")
TUN_DST = Field("tun_dst", NXM_1, 32, 32, 63, "NXM_NX_TUN_IPV4_DST")
TUN_OPTION = Field("tun_metadata0", NXM_1, 40, 64, 64, "NXM_NX_TUN_METADATA0")
"""The Geneve option that the switch is told to keep there (`intent.compiler.tunnels`)."""
ETH_DST = Field("eth_dst", OXM_BASIC, 3, 48, 24, "NXM_OF_ETH_DST")
ETH_SRC = Field("eth_src", OXM_BASIC, 4, 48, 25, "NXM_OF_ETH_SRC")
ETH_TYPE = Field("eth_type", OXM_BASIC, 5, 16, 26, "NXM_OF_ETH_TYPE")
VLAN_VID = Field("vlan_vid", OXM_BASIC, 6, 13, 27, "OXM_OF_VLAN_VID")
IP_PROTO = Field("ip_proto", OXM_BASIC, 10, 8, 28, "NXM_OF_IP_PROTO")
IP_FRAG = Field("ip_frag", NXM_1, 26, 8, 29, "NXM_NX_IP_FRAG")
IP_TTL = Field("ip_ttl", NXM_1, 29, 8, 30, "NXM_NX_IP_TTL")
IPV4_SRC = Field("ipv4_src", OXM_BASIC, 11, 32, 31, "NXM_OF_IP_SRC")
IPV4_DST = Field("ipv4_dst", OXM_BASIC, 12, 32, 32, "NXM_OF_IP_DST")
IPV6_SRC = Field("ipv6_src", OXM_BASIC, 26, 128, 33, "NXM_NX_IPV6_SRC")
IPV6_DST = Field("ipv6_dst", OXM_BASIC, 27, 128, 34, "NXM_NX_IPV6_DST")
CT_NW_PROTO = Field("ct_nw_proto", NXM_1, 119, 8, 35, "NXM_NX_CT_NW_PROTO")
CT_NW_SRC = Field("ct_nw_src", NXM_1, 120, 32, 36, "NXM_NX_CT_NW_SRC")
CT_NW_DST = Field("ct_nw_dst", NXM_1, 121, 32, 37, "NXM_NX_CT_NW_DST")
CT_IPV6_SRC = Field("ct_ipv6_src", NXM_1, 122, 128, 38, "NXM_NX_CT_IPV6_SRC")
CT_IPV6_DST = Field("ct_ipv6_dst", NXM_1, 123, 128, 39, "NXM_NX_CT_IPV6_DST")
CT_TP_SRC = Field("ct_tp_src", NXM_1, 124, 16, 40, "NXM_NX_CT_TP_SRC")
CT_TP_DST = Field("ct_tp_dst", NXM_1, 125, 16, 41, "NXM_NX_CT_TP_DST")
TCP_SRC = Field("tcp_src", OXM_BASIC, 13, 16, 42, "NXM_OF_TCP_SRC")
TCP_DST = Field("tcp_dst", OXM_BASIC, 14, 16, 43, "NXM_OF_TCP_DST")
TCP_FLAGS = Field("tcp_flags", NXM_1, 34, 12, 44, "NXM_NX_TCP_FLAGS")
UDP_SRC = Field("udp_src", OXM_BASIC, 15, 16, 45, "NXM_OF_UDP_SRC")
UDP_DST = Field("udp_dst", OXM_BASIC, 16, 16, 46, "NXM_OF_UDP_DST")
SCTP_SRC = Field("sctp_src", OXM_BASIC, 17, 16, 47, "OXM_OF_SCTP_SRC")
SCTP_DST = Field("sctp_dst", OXM_BASIC, 18, 16, 48, "OXM_OF_SCTP_DST")
ICMPV4_TYPE = Field("icmpv4_type", OXM_BASIC, 19, 8, 49, "NXM_OF_ICMP_TYPE")
ICMPV4_CODE = Field("icmpv4_code", OXM_BASIC, 20, 8, 50, "NXM_OF_ICMP_CODE")
ICMPV6_TYPE = Field("icmpv6_type", OXM_BASIC, 29, 8, 51, "NXM_NX_ICMPV6_TYPE")
ICMPV6_CODE = Field("icmpv6_code", OXM_BASIC, 30, 8, 52, "NXM_NX_ICMPV6_CODE")
ARP_OP = Field("arp_op", OXM_BASIC, 21, 16, 53, "NXM_OF_ARP_OP")
ARP_SPA = Field("arp_spa", OXM_BASIC, 22, 32, 54, "NXM_OF_ARP_SPA")
ARP_TPA = Field("arp_tpa", OXM_BASIC, 23, 32, 55, "NXM_OF_ARP_TPA")
ARP_SHA = Field("arp_sha", OXM_BASIC, 24, 48, 56, "NXM_NX_ARP_SHA")
ARP_THA = Field("arp_tha", OXM_BASIC, 25, 48, 57, "NXM_NX_ARP_THA")
ND_TARGET = Field("nd_target", OXM_BASIC, 31, 128, 58, "NXM_NX_ND_TARGET")
ND_SLL = Field("nd_sll", OXM_BASIC, 32, 48, 59, "NXM_NX_ND_SLL")
ND_TLL = Field("nd_tll", OXM_BASIC, 33, 48, 60, "NXM_NX_ND_TLL")
ND_RESERVED = Field("nd_reserved", ERICSSON, 1, 32, 61, "ERICOXM_OF_ICMPV6_ND_RESERVED")
ND_OPTIONS_TYPE = Field("nd_options_type", ERICSSON, 2, 8, 62, "ERICOXM_OF_ICMPV6_ND_OPTIONS_TYPE")

FIELDS: tuple[Field, ...] = (
    *REG,
    IN_PORT,
    CONJ_ID,
    CT_STATE,
    CT_ZONE,
    CT_MARK,
    CT_LABEL,
    TUN_ID,
    TUN_SRC,
    ETH_DST,
    ETH_SRC,
    ETH_TYPE,
    VLAN_VID,
    IP_PROTO,
    IP_FRAG,
    IP_TTL,
    IPV4_SRC,
    IPV4_DST,
    IPV6_SRC,
    IPV6_DST,
    CT_NW_PROTO,
    CT_NW_SRC,
    CT_NW_DST,
    CT_IPV6_SRC,
    CT_IPV6_DST,
    CT_TP_SRC,
    CT_TP_DST,
    TCP_SRC,
    TCP_DST,
    TCP_FLAGS,
    UDP_SRC,
    UDP_DST,
    SCTP_SRC,
    SCTP_DST,
    ICMPV4_TYPE,
    ICMPV4_CODE,
    ICMPV6_TYPE,
    ICMPV6_CODE,
    ARP_OP,
    ARP_SPA,
    ARP_TPA,
    ARP_SHA,
    ARP_THA,
    ND_TARGET,
    ND_SLL,
    ND_TLL,
    ND_RESERVED,
    ND_OPTIONS_TYPE,
    TUN_DST,
    TUN_OPTION,
)


# -- registers: what each bit means between tables ---------------------------------------------

SRC_ID = Slice(REG[0], 0, 32)
"""Identity of the frame's source address."""
SRC_ATT = Slice(REG[1], 0, 32)
"""Attachment number of the frame's source address."""
NETWORK = Slice(REG[2], 0, 16)
"""Number of the routing domain: of a network, or of the router that joins it to others; also the conntrack zone.

Of a neighbour query always that of the network (or uplink) it was asked in."""
LINK = Slice(REG[2], 16, 16)
"""Of a packet in a router's domain: number of the network it was sent in, 0 if it came by an uplink."""
PLACE = Slice(REG[2], 0, 32)
"""NETWORK and LINK."""
DST_ID = Slice(REG[3], 0, 32)
"""Identity of the frame's destination address."""
DST_ATT = Slice(REG[4], 0, 32)
"""Attachment number of the frame's destination address."""
OUT_PORT = Slice(REG[5], 0, 16)
"""OpenFlow port of the destination."""
CLIENT_ID = Slice(REG[6], 0, 32)
"""Identity of the side that opened the connection."""
SERVER_ID = Slice(REG[7], 0, 32)
"""Identity of the other side."""
CLIENT_WORLD = Slice(REG[6], 31, 1)
"""Identities of world addresses have the top bit."""
SERVER_WORLD = Slice(REG[7], 31, 1)
"""Likewise."""
SRC_WORLD = Slice(REG[0], 31, 1)
"""Likewise."""
CLIENT_ATT = Slice(REG[8], 0, 32)
"""Attachment number of the side that opened the connection."""
SERVER_ATT = Slice(REG[9], 0, 32)
"""Attachment number of the other side."""
DIRECTION = Slice(REG[10], 0, 2)
"""0: with the opening, 1: reply, 2: an ICMP error about the connection."""
COMMIT = Slice(REG[10], 2, 1)
"""1: the connection is new or has changed hands, so write its label."""
SAME = Slice(REG[10], 3, 2)
"""Shift register: one 1 for each comparison that held."""
SAME_FIRST = Slice(REG[10], 3, 1)
"""The comparison that held last."""
SAME_SECOND = Slice(REG[10], 4, 1)
"""The one that held before it."""
COMPARE_A = Slice(REG[11], 0, 32)
"""One of the two attachment numbers that SAME compares."""
COMPARE_B = Slice(REG[12], 0, 32)
"""The other one."""
FOUND_ID = Slice(REG[13], 0, 32)
"""Identity of the attachment that was compared last and found."""
CANDIDATE = Slice(REG[10], 5, 2)
"""What the candidate set says: ALLOWED or DENIED; 0 while nothing is observed."""
VERDICT = Slice(REG[10], 7, 2)
"""What the enforced policies say, for the tally."""
REJECTING = Slice(REG[10], 9, 1)
"""1: the sender is to be told."""
CANDIDATE_RULE = Slice(REG[14], 0, 32)
"""Number of the rule that decided in the candidate set, 0 if isolation or a posture did."""
BY_TUPLE = Slice(REG[10], 10, 1)
"""1: a fragment or an ICMP error, which shows no ports: judged by those that conntrack keeps of the opening."""
RELEASED = Slice(REG[10], 11, 1)
"""1: a fragment all of whose datagram was let through."""
FROM_TUNNEL = Slice(REG[10], 12, 1)
"""1: came from another host, so it goes to none."""
COPY = Slice(REG[10], 15, 1)
"""1: a copy of what was sent to a multicast group; of SERVER_ID, for whoever is at TARGET."""
SENT = Slice(REG[10], 16, 1)
"""1: a copy went to TARGET already."""
HELD = Slice(REG[10], 17, 1)
"""1: some copy was denied, as NOTE is to be told when all are out."""
TARGET = Slice(REG[4], 0, 32)
"""Where a copy goes: 0 here, or another switch by its tunnel's address or number in the fabric. It has no DST_ATT."""
HELD_REASON = Slice(REG[13], 0, 32)
"""The REASON of that; nothing of a copy was looked for in SAME, so it has no FOUND_ID."""
VIA = Slice(REG[10], 13, 2)
"""Where it goes or comes from: 0 a port here, TO_FABRIC or FROM_FABRIC another switch that is wired to this."""
EDGE = Slice(REG[15], 0, 24)
"""Number of the switch that it goes to."""
HANDLED = Slice(REG[10], 18, 1)
"""1: the rule that allows it names a queue or a mirror."""
ASKED_AGAIN = Slice(REG[10], 19, 1)
"""1: behind conntrack, and SOURCE was asked again who sends it."""
ENTERED = Slice(REG[10], 30, 1)
"""1: TURNED holds for this way through the tables. Only while a large change is under way; no program has it."""
TURNED = Slice(REG[10], 31, 1)
"""1: the large change under way has taken effect. No program has it, only what leads from one to the other."""
QUEUE = Slice(REG[5], 16, 8)
"""Number of the queue it leaves by, 0 for none."""
MIRROR = Slice(REG[5], 24, 8)
"""Number of the mirror that gets a copy, 0 for none."""
SCRATCH = Slice(REG[11], 0, 32)
"""For swapping addresses in ARP replies; those frames never reach a comparison."""
REASON = Slice(REG[15], 0, 32)
"""Why a packet was dropped, or that it opened a connection, for NOTE: `cookie.reason`. Nothing has an EDGE then."""
REASON_KIND = Slice(REG[15], 28, 4)
"""The kind in it."""

LABEL_CLIENT = Slice(CT_LABEL, 0, 32)
"""Attachment number of the side that opened the connection."""
LABEL_SERVER = Slice(CT_LABEL, 32, 32)
"""Attachment number of the other side."""

OPTION_ID = Slice(TUN_OPTION, 0, 32)
"""Identity of the sender, as the host that sent it knows it; nobody believes it."""
OPTION_ATT = Slice(TUN_OPTION, 32, 32)
"""Attachment number of the sender's address."""

TO_FABRIC, FROM_FABRIC = 1, 2
"""Values of VIA."""

FORWARD, REPLY, RELATED = 0, 1, 2
"""Values of DIRECTION."""

ALLOWED, DENIED = 1, 2
"""Values of CANDIDATE and VERDICT."""

WORLD_BIT = 1 << 31

PROBE_ZONE = 0xFFFE
"""Conntrack zone of the packets by which the controller learns what a switch can do."""
PIECES_ZONE = 0xFFFF
"""Conntrack zone in which fragments that were let through wait for each other; no connection is kept there."""

# -- conntrack state bits (ovs-fields(7), ct_state) ------------------------------------------------

CS_NEW, CS_EST, CS_REL, CS_RPL, CS_INV, CS_TRK, CS_SNAT, CS_DNAT = (1 << bit for bit in range(8))


@cache
def whole(field: Field) -> Slice:
    """Return the slice that is the whole field."""
    return Slice(field, 0, field.bits)

"""Small words for building flows: matches, guards and gotos."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address

from intent.compiler import cookie
from intent.compiler import fields as f
from intent.compiler.cookie import Guard, Kind, Origin
from intent.compiler.flow import Act, Actions, Flow, FlowBody, FlowKey, Goto, Load, Term, exact, make, match_of
from intent.compiler.tables import Table
from topology.model import IPAddress
from topology.packet import ETH_ARP, ETH_IPV4, ETH_IPV6, ICMP, ICMPV6, SCTP, TCP, UDP

IPV4 = exact(f.ETH_TYPE, ETH_IPV4)
IPV6 = exact(f.ETH_TYPE, ETH_IPV6)
ARP = exact(f.ETH_TYPE, ETH_ARP)
ETHERTYPE = {4: IPV4, 6: IPV6}

SRC_PORT = {TCP: f.TCP_SRC, UDP: f.UDP_SRC, SCTP: f.SCTP_SRC}
DST_PORT = {TCP: f.TCP_DST, UDP: f.UDP_DST, SCTP: f.SCTP_DST}
ICMP_TYPE = {ICMP: f.ICMPV4_TYPE, ICMPV6: f.ICMPV6_TYPE}
ICMP_CODE = {ICMP: f.ICMPV4_CODE, ICMPV6: f.ICMPV6_CODE}
ICMP_FAMILY = {ICMP: IPV4, ICMPV6: IPV6}


def protocol(number: int) -> Term:
    """Match the IP protocol (last next-header of IPv6)."""
    return exact(f.IP_PROTO, number)


def src_address(address: IPAddress) -> Term:
    """Match the source address; wants the EtherType too."""
    return exact(f.IPV4_SRC if isinstance(address, IPv4Address) else f.IPV6_SRC, int(address))


def dst_address(address: IPAddress) -> Term:
    """Match the destination address; wants the EtherType too."""
    return exact(f.IPV4_DST if isinstance(address, IPv4Address) else f.IPV6_DST, int(address))


def mac(text: str) -> int:
    """Return the 48 bits of a colon-separated MAC."""
    return int(text.replace(":", ""), 16)


def is_(where: f.Slice, value: int) -> Term:
    """Match a register slice."""
    return make(Term, (where.field, value << where.offset, where.mask))


def flow(table: int, priority: int, terms: tuple[Term, ...], actions: Actions, origin: int = cookie.PIPELINE) -> Flow:
    """Build a flow with a canonical match."""
    key = make(FlowKey, (int(table), int(priority), match_of(terms)))
    return make(Flow, (key, make(FlowBody, (actions, origin, 0, 0))))


def goto(table: int, *before: Act) -> Actions:
    """Return actions that end in another table."""
    return (*before, _goto(table))


@lru_cache(maxsize=256)
def _goto(table: int) -> Goto:
    return Goto(int(table))


def guard(which: Guard) -> tuple[Actions, int]:
    """Return the actions and the cookie of a guard's drop."""
    origin = cookie.encode(Origin(Kind.GUARD, which))
    return dropped(origin), origin


@lru_cache(maxsize=65536)
def dropped(origin: int) -> Actions:
    """Return the actions of a drop in the name of a cookie: NOTE is told, and forwards nothing."""
    return (Load(f.REASON, cookie.reason(origin)), Goto(int(Table.NOTE)))


def masks(first: int, last: int, bits: int = 16) -> list[tuple[int, int]]:
    """Return the fewest (value, mask) pairs that cover exactly first..last of a `bits`-wide field."""
    pairs = []
    while first <= last:
        size = first & -first or 1 << bits
        while size > last - first + 1:
            size >>= 1
        pairs.append((first, ((1 << bits) - 1) & ~(size - 1)))
        first += size
    return pairs

"""Services as matches on packets, in the orientation of their connection.

Each service has alternatives: a packet that goes with the opening (its destination port), a reply (its source port),
and what shows no ports of its own, a fragment or an ICMP error (the ports that conntrack keeps of the opening).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from intent.compiler import fields as f
from intent.compiler.flow import Term, exact
from intent.compiler.terms import (
    DST_PORT,
    ICMP_CODE,
    ICMP_FAMILY,
    ICMP_TYPE,
    IPV4,
    IPV6,
    SRC_PORT,
    is_,
    masks,
    protocol,
)
from intent.model import PortRange, ServiceMatch
from topology.packet import ICMP, ICMPV6

REPLY_TYPE = {ICMP: {8: 0, 13: 14, 15: 16}, ICMPV6: {128: 129}}
"""ICMP types that open a connection, and what answers them (RFC 792, RFC 4443; OVS conntrack)."""


@lru_cache(maxsize=4096)
def service_alternatives(match: ServiceMatch) -> tuple[tuple[Term, ...], ...]:
    """Return the matches of a service clause: with the opening, of replies, and by conntrack's word."""
    if match.protocol is None:
        raise ValueError("a service of every protocol is no clause")
    number = match.protocol
    if number in ICMP_TYPE and match.icmp_type is not None:
        return _icmp_alternatives(number, match.icmp_type, match.icmp_code)
    if isinstance(match.port, PortRange):
        return tuple(_port_alternatives(number, match.port))
    families = (IPV4, IPV6) if number not in ICMP_FAMILY else (ICMP_FAMILY[number],)
    return tuple(
        alternative
        for family in families
        for alternative in (
            (is_(f.BY_TUPLE, 0), family, protocol(number)),
            (*_by_tuple(family, number),),
        )
    )


def _by_tuple(family: Term, number: int) -> tuple[Term, ...]:
    """Match what shows no ports of its own, by the protocol of its connection (a later IPv6 fragment shows none)."""
    tracked = Term(f.CT_STATE, f.CS_TRK, f.CS_TRK | f.CS_INV)
    return (is_(f.BY_TUPLE, 1), tracked, family, exact(f.CT_NW_PROTO, number))


def _shown(direction: int) -> Term:
    """Match a packet of one direction that shows its ports itself."""
    return Term(f.DIRECTION.field, direction << f.DIRECTION.offset, f.DIRECTION.mask | f.BY_TUPLE.mask)


def _port_alternatives(number: int, ports: PortRange) -> Iterator[tuple[Term, ...]]:
    forward, reply = _shown(f.FORWARD), _shown(f.REPLY)
    for family in (IPV4, IPV6):
        for value, mask in masks(ports.first, ports.last):
            yield (forward, family, protocol(number), *_masked(DST_PORT[number], value, mask))
            yield (reply, family, protocol(number), *_masked(SRC_PORT[number], value, mask))
            yield (*_by_tuple(family, number), *_masked(f.CT_TP_DST, value, mask))


def _masked(field: f.Field, value: int, mask: int) -> Iterable[Term]:
    return (Term(field, value, mask),) if mask else ()


def _icmp_alternatives(number: int, kind: int, code: int | None) -> tuple[tuple[Term, ...], ...]:
    """A type that can open no connection matches nothing: conntrack calls such packets invalid."""
    answer = REPLY_TYPE[number].get(kind)
    if answer is None:
        return ()
    family, types, codes = ICMP_FAMILY[number], ICMP_TYPE[number], ICMP_CODE[number]
    by_code = () if code is None else (exact(codes, code),)
    quoted = () if code is None else (exact(f.CT_TP_DST, code),)
    here = (family, protocol(number))
    return (
        (_shown(f.FORWARD), *here, exact(types, kind), *by_code),
        (_shown(f.REPLY), *here, exact(types, answer), *by_code),
        (*_by_tuple(family, number), exact(f.CT_TP_SRC, kind), *quoted),
    )

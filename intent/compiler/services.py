"""Services as matches on packets, in the orientation of their connection.

Each service has alternatives: a packet that goes with the opening (its destination port), a reply (its source port),
and an ICMP error about the connection (the ports that conntrack keeps of the opening).
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
    """Return the matches of a service clause: with the opening, of replies, and of ICMP errors about it."""
    if match.protocol is None:
        raise ValueError("a service of every protocol is no clause")
    number = match.protocol
    if number in ICMP_TYPE and match.icmp_type is not None:
        return _icmp_alternatives(number, match.icmp_type, match.icmp_code)
    if isinstance(match.port, PortRange):
        return tuple(_port_alternatives(number, match.port))
    itself = is_(f.NOT_RELATED, 0)
    quoted = (is_(f.DIRECTION, f.RELATED), Term(f.CT_STATE, RELATED_STATE, RELATED_STATE))
    families = (IPV4, IPV6) if number not in ICMP_FAMILY else (ICMP_FAMILY[number],)
    return tuple(
        alternative
        for family in families
        for alternative in (
            (itself, family, protocol(number)),
            (*quoted, family, exact(f.CT_NW_PROTO, number)),
        )
    )


RELATED_STATE = f.CS_REL | f.CS_TRK


def _port_alternatives(number: int, ports: PortRange) -> Iterator[tuple[Term, ...]]:
    forward, reply = is_(f.DIRECTION, f.FORWARD), is_(f.DIRECTION, f.REPLY)
    related = (is_(f.DIRECTION, f.RELATED), Term(f.CT_STATE, RELATED_STATE, RELATED_STATE))
    for family in (IPV4, IPV6):
        for value, mask in masks(ports.first, ports.last):
            yield (forward, family, protocol(number), *_masked(DST_PORT[number], value, mask))
            yield (reply, family, protocol(number), *_masked(SRC_PORT[number], value, mask))
            yield (*related, family, exact(f.CT_NW_PROTO, number), *_masked(f.CT_TP_DST, value, mask))


def _masked(field: f.Field, value: int, mask: int) -> Iterable[Term]:
    return (Term(field, value, mask),) if mask else ()


def _icmp_alternatives(number: int, kind: int, code: int | None) -> tuple[tuple[Term, ...], ...]:
    """A type that can open no connection matches nothing: conntrack calls such packets invalid."""
    answer = REPLY_TYPE[number].get(kind)
    if answer is None:
        return ()
    family, types, codes = ICMP_FAMILY[number], ICMP_TYPE[number], ICMP_CODE[number]
    related = (is_(f.DIRECTION, f.RELATED), Term(f.CT_STATE, RELATED_STATE, RELATED_STATE))
    by_code = () if code is None else (exact(codes, code),)
    quoted = () if code is None else (exact(f.CT_TP_DST, code),)
    here = (family, protocol(number))
    return (
        (is_(f.DIRECTION, f.FORWARD), *here, exact(types, kind), *by_code),
        (is_(f.DIRECTION, f.REPLY), *here, exact(types, answer), *by_code),
        (*related, family, exact(f.CT_NW_PROTO, number), exact(f.CT_TP_SRC, kind), *quoted),
    )

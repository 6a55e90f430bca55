"""Random flows that Open vSwitch accepts: prerequisites met, masks where it takes them, writable destinations.

They cover every match field and action of `intent.compiler.flow`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from hypothesis import strategies as st

from intent.compiler import fields as f
from intent.compiler.fields import Field, Slice
from intent.compiler.flow import (
    CONTROLLER,
    IN_PORT,
    Conjunction,
    Ct,
    DecTtl,
    Flow,
    FlowBody,
    FlowKey,
    Goto,
    Load,
    Meter,
    Move,
    Nat,
    Output,
    OutputReg,
    Resubmit,
    SetQueue,
    Side,
    Term,
    exact,
    match_of,
)
from topology.packet import ETH_ARP, ETH_IPV4, ETH_IPV6, ICMP, ICMPV6, SCTP, TCP, UDP

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import DrawFn, SearchStrategy

    from intent.compiler.flow import Actions, Match

TABLES = st.integers(0, 250)
METERS = (1, 2, 3)
"""Meters that a switch must hold before it takes these flows."""
_CT_NEW, _CT_TRK, _CT_INV = 1, 32, 16


@st.composite
def masked(draw: DrawFn, field: Field) -> Term:
    """A term of a maskable field: exact, a prefix, or any bits."""
    kind = draw(st.sampled_from(("exact", "prefix", "any")))
    mask = field.ones
    if kind == "prefix":
        mask = field.ones ^ ((1 << draw(st.integers(0, field.bits - 1))) - 1)
    elif kind == "any":
        mask = draw(st.integers(1, field.ones))
    return Term(field, draw(st.integers(0, field.ones)) & mask, mask)


@st.composite
def whole(draw: DrawFn, field: Field, top: int | None = None) -> Term:
    """An exact term."""
    return exact(field, draw(st.integers(0, field.ones if top is None else top)))


@st.composite
def some_of(draw: DrawFn, *terms: SearchStrategy[Term]) -> list[Term]:
    """Any of the terms, each or not."""
    return [draw(term) for term in terms if draw(st.booleans())]


def _anywhere() -> list[SearchStrategy[Term]]:
    registers = [masked(field) for field in f.REG]
    plain = [masked(field) for field in (f.CT_MARK, f.CT_LABEL, f.TUN_ID, f.TUN_SRC, f.ETH_SRC, f.ETH_DST)]
    ports = whole(f.IN_PORT, 65279)
    return [*registers, *plain, ports, whole(f.CT_ZONE), whole(f.CONJ_ID)]


_ANYWHERE = _anywhere()
_VID = st.integers(0, 4095)
_VLAN = st.one_of(
    st.just(exact(f.VLAN_VID, 0)),
    st.just(Term(f.VLAN_VID, 0x1000, 0x1000)),
    st.builds(lambda vid: exact(f.VLAN_VID, 0x1000 | vid), _VID),
    st.builds(
        lambda vid, m: Term(f.VLAN_VID, 0x1000 | vid & m, 0x1000 | m), st.integers(0, 4095), st.integers(0, 4095)
    ),
)
_CT_STATE = st.builds(
    lambda value, mask: Term(f.CT_STATE, value & mask, mask), st.integers(0, 255), st.integers(1, 255)
)
_FRAG = st.sampled_from(
    [exact(f.IP_FRAG, 0), exact(f.IP_FRAG, 1), exact(f.IP_FRAG, 3), Term(f.IP_FRAG, 1, 1), Term(f.IP_FRAG, 0, 2)]
)
_PORTS = {TCP: (f.TCP_SRC, f.TCP_DST), UDP: (f.UDP_SRC, f.UDP_DST), SCTP: (f.SCTP_SRC, f.SCTP_DST)}


@st.composite
def ip_terms(draw: DrawFn, eth_type: int) -> list[Term]:
    """An EtherType of IP and what may stand under it."""
    v4 = eth_type == ETH_IPV4
    source, target = (f.IPV4_SRC, f.IPV4_DST) if v4 else (f.IPV6_SRC, f.IPV6_DST)
    terms = [exact(f.ETH_TYPE, eth_type), *draw(some_of(masked(source), masked(target), whole(f.IP_TTL)))]
    protocol = draw(st.sampled_from((None, TCP, UDP, SCTP, ICMP if v4 else ICMPV6, 47)))
    if protocol is None:
        return [*terms, *draw(some_of(_FRAG)), *draw(tracked_terms(v4=v4))]
    terms.append(exact(f.IP_PROTO, protocol))
    return [*terms, *draw(transport_terms(protocol))]


@st.composite
def transport_terms(draw: DrawFn, protocol: int) -> list[Term]:
    """What may stand under a protocol."""
    if protocol in _PORTS:
        flags = (masked(f.TCP_FLAGS),) if protocol == TCP else ()
        return draw(some_of(*(masked(field) for field in _PORTS[protocol]), *flags))
    if protocol == ICMP:
        return draw(some_of(whole(f.ICMPV4_TYPE), whole(f.ICMPV4_CODE)))
    if protocol == ICMPV6:
        return draw(nd_terms()) if draw(st.booleans()) else draw(some_of(whole(f.ICMPV6_TYPE), whole(f.ICMPV6_CODE)))
    return []


@st.composite
def nd_terms(draw: DrawFn) -> list[Term]:
    """A neighbour solicitation or advertisement."""
    kind = draw(st.sampled_from((135, 136)))
    link = f.ND_SLL if kind == 135 else f.ND_TLL
    fields = some_of(masked(f.ND_TARGET), masked(link), whole(f.ND_RESERVED), whole(f.ND_OPTIONS_TYPE))
    return [exact(f.ICMPV6_TYPE, kind), exact(f.ICMPV6_CODE, 0), *draw(fields)]


@st.composite
def tracked_terms(draw: DrawFn, *, v4: bool) -> list[Term]:
    """The original tuple of a connection, with the state that makes it valid."""
    if draw(st.booleans()):
        return draw(some_of(_CT_STATE))
    state = draw(st.sampled_from((Term(f.CT_STATE, _CT_TRK, _CT_TRK | _CT_INV), Term(f.CT_STATE, 0x21, 0x21))))
    pair = (f.CT_NW_SRC, f.CT_NW_DST) if v4 else (f.CT_IPV6_SRC, f.CT_IPV6_DST)
    protocol = draw(st.integers(1, 255))
    ports = some_of(masked(f.CT_TP_SRC), masked(f.CT_TP_DST))
    return [
        state,
        exact(f.CT_NW_PROTO, protocol),
        *draw(some_of(*(masked(field) for field in pair))),
        *(draw(ports) if protocol in _PORTS else []),
    ]


@st.composite
def arp_terms(draw: DrawFn) -> list[Term]:
    """ARP."""
    fields = some_of(whole(f.ARP_OP, 255), masked(f.ARP_SPA), masked(f.ARP_TPA), masked(f.ARP_SHA), masked(f.ARP_THA))
    return [exact(f.ETH_TYPE, ETH_ARP), *draw(fields)]


@st.composite
def matches(draw: DrawFn) -> Match:
    """A canonical match."""
    kind = draw(st.sampled_from(("any", "ipv4", "ipv6", "arp", "other")))
    by_kind = {"ipv4": ip_terms(ETH_IPV4), "ipv6": ip_terms(ETH_IPV6), "arp": arp_terms()}
    terms = draw(by_kind[kind]) if kind in by_kind else []
    if kind == "other":
        terms = [exact(f.ETH_TYPE, 0x88CC)]
    if draw(st.booleans()):
        terms.append(draw(_VLAN))
    extra = draw(st.lists(st.sampled_from(_ANYWHERE), max_size=5, unique_by=id))
    taken = {term.field: term for term in (*(draw(term) for term in extra), *terms)}
    return match_of(taken.values())


# -- actions ----------------------------------------------------------------------------------------

_ALWAYS_WRITABLE = (*f.REG, f.TUN_ID, f.TUN_SRC, f.ETH_SRC, f.ETH_DST)
_READABLE = (*_ALWAYS_WRITABLE, f.CT_LABEL, f.CT_MARK, f.CT_STATE)


def _fields_of(match: Match) -> tuple[Field, ...]:
    """Fields that a packet of this match has, beside those that every packet has."""
    has = {t.field: t.value for t in match if t.mask == t.field.ones}
    eth_type, protocol = has.get(f.ETH_TYPE), has.get(f.IP_PROTO)
    if eth_type == ETH_ARP:
        return (f.ARP_OP, f.ARP_SPA, f.ARP_TPA, f.ARP_SHA, f.ARP_THA)
    if eth_type == ETH_IPV4:
        return (f.IPV4_SRC, f.IPV4_DST, f.IP_TTL, *_PORTS.get(protocol or 0, ()))
    if eth_type == ETH_IPV6:
        solicited = (f.ND_TARGET, f.ND_SLL, f.ND_RESERVED, f.ND_OPTIONS_TYPE, f.ICMPV6_TYPE)
        nd = solicited if has.get(f.ICMPV6_TYPE) == 135 and has.get(f.ICMPV6_CODE) == 0 else ()
        return (f.IPV6_SRC, f.IPV6_DST, f.IP_TTL, *_PORTS.get(protocol or 0, ()), *nd)
    return ()


@st.composite
def slices(draw: DrawFn, fields: tuple[Field, ...], bits: int | None = None) -> Slice:
    """Some bits of one of the fields."""
    field = draw(st.sampled_from([field for field in fields if field.bits >= (bits or 1)]))
    width = bits or draw(st.one_of(st.just(field.bits), st.integers(1, field.bits)))
    return Slice(field, draw(st.integers(0, field.bits - width)), width)


@st.composite
def loads(draw: DrawFn, fields: tuple[Field, ...]) -> Load:
    """A constant into one of the fields; parts of at most 64 bits."""
    dst = draw(slices(fields))
    if 64 < dst.bits < dst.field.bits:
        dst = Slice(dst.field, dst.offset, 64)
    top = 255 if dst.field is f.ARP_OP else (1 << dst.bits) - 1
    return Load(dst, draw(st.integers(0, min(top, (1 << dst.bits) - 1))))


@st.composite
def moves(draw: DrawFn, sources: tuple[Field, ...], targets: tuple[Field, ...]) -> Move:
    """Bits from one field to another."""
    src = draw(slices(sources))
    widest = max(field.bits for field in targets)
    src = Slice(src.field, src.offset, min(src.bits, widest))
    return Move(src, draw(slices(targets, src.bits)))


def _translations(version: Literal[4, 6] | None, *, commit: bool) -> SearchStrategy[Nat | None]:
    """Looked up, or chosen: by an address of the version that the flow matches; Open vSwitch wants an untagged one."""
    if version is None:
        return st.none()
    address, port = st.ip_addresses(v=version).filter(int), st.none() | st.integers(1, 65535)
    chosen = st.builds(Nat, st.sampled_from(Side), address, port) if commit else st.none()
    return st.none() | st.just(Nat()) | chosen


@st.composite
def tracks(draw: DrawFn, version: Literal[4, 6] | None) -> Ct:
    """Connection tracking with all its options."""
    commit = draw(st.booleans())
    label = (f.CT_LABEL, f.CT_MARK)
    inner = st.lists(st.one_of(loads(label), moves(f.REG, label)), max_size=3)
    return Ct(
        zone=draw(st.one_of(st.integers(0, 65535), slices(f.REG, 16))),
        commit=commit,
        force=commit and draw(st.booleans()),
        table=draw(st.none() | TABLES),
        exec=tuple(draw(inner)) if commit else (),
        nat=draw(_translations(version, commit=commit)),
    )


_OUTPUTS = st.one_of(
    st.builds(Output, st.integers(1, 65279)),
    st.just(Output(IN_PORT)),
    st.builds(Output, st.just(CONTROLLER), st.integers(0, 65535)),
    st.builds(OutputReg, slices(f.REG, 16)),
    st.builds(Resubmit, TABLES),
    st.builds(SetQueue, st.integers(0, 2**32 - 1)),
)


@st.composite
def plain_actions(draw: DrawFn, table: int, match: Match) -> Actions:
    """Any actions but conjunctions."""
    here = _fields_of(match)
    targets, sources = (*_ALWAYS_WRITABLE, *here), (*_READABLE, *here)
    kinds: list[SearchStrategy[object]] = [loads(targets), moves(sources, targets), _OUTPUTS]
    if any(t.field is f.ETH_TYPE and t.value in (ETH_IPV4, ETH_IPV6) for t in match):
        version: Literal[4, 6] = 4 if exact(f.ETH_TYPE, ETH_IPV4) in match else 6
        tagged = any(t.field is f.VLAN_VID for t in match)
        kinds += [tracks(None if tagged else version), st.just(DecTtl())]
    acts = draw(st.lists(st.one_of(*kinds), max_size=6))
    head = [Meter(draw(st.sampled_from(METERS)))] if draw(st.booleans()) else []
    tail = [Goto(draw(st.integers(table + 1, 252)))] if draw(st.booleans()) else []
    return (*head, *acts, *tail)


@st.composite
def conjunctions(draw: DrawFn) -> Actions:
    """The clauses of several conjunctions."""
    ids = draw(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4, unique=True))
    found = []
    for number in sorted(ids):
        of = draw(st.integers(2, 64))
        found.append(Conjunction(number, draw(st.integers(1, of)), of))
    return tuple(found)


@st.composite
def flows(draw: DrawFn, actions: Callable[[int, Match], SearchStrategy[Actions]] = plain_actions) -> Flow:
    """A flow that Open vSwitch accepts and reports back as it was."""
    table, match = draw(TABLES), draw(matches())
    clauses = draw(st.booleans()) and not any(t.field is f.CONJ_ID for t in match)
    acts = draw(conjunctions()) if clauses else draw(actions(table, match))
    body = FlowBody(acts, draw(st.integers(0, 2**64 - 2)), draw(st.sampled_from((0, 0, 1000, 65535))))
    return Flow(FlowKey(table, draw(st.integers(0, 65535)), match), body)

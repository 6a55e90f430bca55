"""The addresses of the world: by the longest prefix that policy names; and which are none of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from ipaddress import ip_network

from intent.compiler import fields as f
from intent.compiler.cookie import PIPELINE, Guard
from intent.compiler.fields import WORLD_BIT, Field, Slice
from intent.compiler.flow import Actions, Flow, Load, Resubmit, Term
from intent.compiler.tables import Routed, Table
from intent.compiler.terms import ETHERTYPE, flow, guard
from intent.model import IPNetwork

VERSIONS = (4, 6)
MARTIANS: tuple[IPNetwork, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "127.0.0.0/8",
        "224.0.0.0/3",
        "::/127",
        "::ffff:0:0/96",
        "fe80::/10",
        "ff00::/8",
    )
)
"""Addresses that no router passes on (RFC 6890, RFC 4291): not of one host, or not known beyond one link."""


def martian_flows() -> Iterator[Flow]:
    """Yield the drops of what is from or to an address that no router passes on."""
    for martian in MARTIANS:
        for lookup in _LOOKUPS:
            if lookup.refusal is not None:
                terms = (ETHERTYPE[martian.version], *inside(lookup.fields[martian.version], martian))
                yield flow(lookup.table, Routed.OURS + 10, terms, *lookup.refusal)


def ours_flows(subnet: IPNetwork, domain: Term) -> Iterator[Flow]:
    """Yield what keeps a subnet of a domain apart from the world's."""
    family = ETHERTYPE[subnet.version]
    for lookup in _LOOKUPS:
        terms = (domain, *lookup.when, family, *inside(lookup.fields[subnet.version], subnet))
        actions, origin = lookup.refusal or ((Load(f.SAME_FIRST, 0),), PIPELINE)
        yield flow(lookup.table, Routed.OURS, terms, actions, origin)


@dataclasses.dataclass(frozen=True, slots=True)
class _Lookup:
    """One of the tables that know world addresses."""

    table: Table
    fields: Mapping[int, Field]
    into: Slice
    then: tuple[Resubmit, ...] = ()
    when: tuple[Term, ...] = ()
    refusal: tuple[Actions, int] | None = None
    """The drop of addresses that are not the world's, with its cookie; None where they merely are not found."""


_QUOTED = Term(f.CT_STATE, f.CS_REL | f.CS_TRK, f.CS_REL | f.CS_TRK)
_LOOKUPS = (
    _Lookup(Table.WORLD_SOURCE, {4: f.IPV4_SRC, 6: f.IPV6_SRC}, f.SRC_ID, (Resubmit(int(Table.GUARD)),),
            refusal=guard(Guard.SPOOFED)),
    _Lookup(Table.WORLD_DESTINATION, {4: f.IPV4_DST, 6: f.IPV6_DST}, f.DST_ID, (Resubmit(int(Table.ORIENT)),),
            refusal=guard(Guard.DESTINATION)),
    _Lookup(Table.WORLD_CLIENT, {4: f.CT_NW_SRC, 6: f.CT_IPV6_SRC}, f.FOUND_ID, when=(_QUOTED,)),
    _Lookup(Table.WORLD_SERVER, {4: f.CT_NW_DST, 6: f.CT_IPV6_DST}, f.FOUND_ID, when=(_QUOTED,)),
)  # fmt: skip


def prefix_flows(atom: IPNetwork | None, identity: int) -> Iterator[Flow]:
    """Yield what gives the addresses of an atom their identity; None is what no prefix in force holds."""
    number = identity | WORLD_BIT
    for version in VERSIONS if atom is None else (atom.version,):
        for lookup in _LOOKUPS:
            held = () if atom is None else inside(lookup.fields[version], atom)
            priority = Routed.PREFIX + (-1 if atom is None else atom.prefixlen)
            terms = (*lookup.when, ETHERTYPE[version], *held)
            yield flow(lookup.table, priority, terms, (Load(lookup.into, number), *lookup.then))


def inside(field: Field, prefix: IPNetwork) -> tuple[Term, ...]:
    """Match the addresses of a prefix: nothing to match if it is all of them."""
    mask = int(prefix.netmask)
    return (Term(field, int(prefix.network_address), mask),) if mask else ()

"""The flows of uplinks that translate addresses: outside of judgement, in a conntrack zone of their own.

What comes from the world is translated before it is tracked and judged, what goes there after it was judged, tracked
and has taken its hop: policy and the labels of connections know the addresses of endpoints and of clients, and nothing
else. The zone has the uplink's number, which no network has. Of the IP versions that an uplink translates nothing
passes as it is.

Conntrack of Open vSwitch 3.1.0 aborts (`conntrack.c:1063`) when it meets a connection whose translation changes
nothing after the connection has ended, and may when a translated packet visits one zone twice. So a connection is
committed with an address that its packet never has, once, and no packet comes back to the zone: docs/adr/0021.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from intent.compiler import fields as f
from intent.compiler.cookie import OPENED, Guard, Kind, Origin, encode, reason
from intent.compiler.flow import Act, Actions, Ct, Flow, Load, Nat, Output, Resubmit, Side, Term, exact
from intent.compiler.pipeline import COMMIT, FRAGMENT, TRACK
from intent.compiler.tables import Priority, Routed, Table
from intent.compiler.terms import DST_PORT, ETHERTYPE, dst_address, flow, goto, guard, is_, masks, protocol
from topology.model import Forward, UplinkPort
from topology.packet import ICMP, ICMPV6, TCP, UDP

VERSIONS = (4, 6)
KINDS = {4: (TCP, UDP, ICMP), 6: (TCP, UDP, ICMPV6)}
"""What conntrack can tell apart by ports or, of ICMP, by the number of an echo."""
_IN = Term(f.CT_STATE, f.CS_TRK | f.CS_DNAT, f.CS_TRK | f.CS_DNAT | f.CS_INV)
_OUT = Term(f.CT_STATE, f.CS_TRK | f.CS_SNAT, f.CS_TRK | f.CS_SNAT | f.CS_INV)
_OPENS = Term(f.CT_STATE, f.CS_TRK | f.CS_NEW, f.CS_TRK | f.CS_NEW | f.CS_DNAT | f.CS_INV)


@dataclasses.dataclass(frozen=True, slots=True)
class Door:
    """An uplink that translates, by its numbers."""

    port: UplinkPort
    zone: int
    """Number of the uplink."""
    attachment: int

    @property
    def versions(self) -> tuple[int, ...]:
        """Return the IP versions that pass it translated."""
        return tuple(version for version in VERSIONS if self.port.translation.covers(version))

    @property
    def origin(self) -> int:
        """Return the cookie of its flows."""
        return encode(Origin(Kind.ENDPOINT, self.attachment))


def way_in(door: Door) -> Iterator[Flow]:
    """Yield what gives packets from the world the addresses of endpoints."""
    from_world, here = is_(f.SRC_ATT, door.attachment), exact(f.IN_PORT, door.port.location.ofport)
    for version in door.versions:
        family = ETHERTYPE[version]
        yield flow(Table.SOURCE, Routed.PIECE, (here, family, FRAGMENT), *guard(Guard.TRANSLATION))
        look = (Ct(zone=door.zone, nat=Nat(), table=int(Table.TRANSLATE)),)
        yield flow(Table.GUARD, Routed.TRANSLATE, (here, family), look, door.origin)
        for table in (Table.TRANSLATE, Table.TRANSLATED):
            yield flow(table, Routed.PIECE, (family, FRAGMENT), *guard(Guard.TRANSLATION))
            yield flow(table, Priority.BY_STATE_4, (from_world, family, _IN), (TRACK,), door.origin)
            yield flow(table, Priority.LAST, (family,), *guard(Guard.TRANSLATION))
    for forward in door.port.translation.forwards:
        yield from forward_flows(door, forward)


def forward_flows(door: Door, forward: Forward) -> Iterator[Flow]:
    """Yield what leads a part of an address to an endpoint; depends on nothing but the door's numbers."""
    from_world = is_(f.SRC_ATT, door.attachment)
    terms = (from_world, ETHERTYPE[forward.to.version], _OPENS, protocol(forward.protocol))
    port_field = DST_PORT[forward.protocol]
    chosen = Nat(Side.DESTINATION, forward.to, forward.port)
    opens = (Ct(zone=door.zone, commit=True, nat=chosen, table=int(Table.TRANSLATED)),)
    for value, mask in masks(forward.first, forward.last):
        held = (*terms, dst_address(forward.address), Term(port_field, value, mask))
        yield flow(Table.TRANSLATE, Priority.BY_STATE_1, held, opens, door.origin)


def way_out(door: Door, domain: Term, router: Term, links: tuple[Term, ...]) -> Iterator[Flow]:
    """Yield what keeps from the world what cannot be translated, and lets go of what was.

    `domain` is the match of the routing domain, `router` that of its MAC, `links` those of its networks.
    """
    to_world = is_(f.DST_ATT, door.attachment)
    opened = goto(Table.NOTE, COMMIT, Resubmit(int(Table.ROUTE)), Load(f.REASON, reason(OPENED)))
    leave = goto(Table.WORLD_DESTINATION, Load(f.DST_ATT, door.attachment))
    for version in door.versions:
        family = ETHERTYPE[version]
        for link in links:
            terms = (link, is_(f.FROM_TUNNEL, 0), router, family)
            yield flow(Table.DESTINATION, Routed.UNKNOWN_KIND + 2, (*terms, FRAGMENT), *guard(Guard.TRANSLATION))
            for kind in KINDS[version]:
                known = (*terms, protocol(kind))
                yield flow(Table.DESTINATION, Routed.UNKNOWN_KIND + 1, known, leave, door.origin)
            yield flow(Table.DESTINATION, Routed.UNKNOWN_KIND, terms, *guard(Guard.TRANSLATION))
        # The connection is committed before its packet is translated, which happens in place.
        commits = (domain, router, family, is_(f.COMMIT, 1), to_world)
        yield flow(Table.DELIVER, Routed.COMMIT + 1, commits, opened)
        yield flow(Table.LEAVE, Routed.PIECE, (family, FRAGMENT), *guard(Guard.TRANSLATION))
        out = (Output(door.port.location.ofport),)
        yield flow(Table.LEAVE, Priority.BY_STATE_4, (to_world, family, _OUT), out, door.origin)
        yield flow(Table.LEAVE, Priority.LAST, (family,), *guard(Guard.TRANSLATION))


def last_hop(door: Door, version: int, hop: tuple[Act, ...]) -> Actions:
    """Return what ROUTE does with a packet to the world; `hop` is the same without translation, its output last."""
    if version not in door.versions:
        return hop
    source = door.port.translation.source(version)
    chosen = Nat() if source is None else Nat(Side.SOURCE, source)
    look = Ct(zone=door.zone, commit=source is not None, nat=chosen, table=int(Table.LEAVE))
    return (*hop[:-1], look)

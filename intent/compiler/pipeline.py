"""The flows that every switch has, whatever the intents: guards, orientation, delivery."""

from __future__ import annotations

from collections.abc import Iterator

from intent.compiler import fields as f
from intent.compiler.cookie import OPENED, Guard, Kind, Origin, encode, reason
from intent.compiler.flow import (
    CONTROLLER,
    IN_PORT,
    Act,
    Ct,
    Flow,
    Load,
    Meter,
    Move,
    Output,
    OutputReg,
    Resubmit,
    Term,
    exact,
    make,
)
from intent.compiler.tables import Priority, Table
from intent.compiler.terms import ARP, IPV4, IPV6, flow, goto, guard, is_, protocol
from intent.compiler.verdict import SAMPLE_METERS
from topology.packet import ICMP, ICMPV6, SCTP, TCP, UDP

SOLICITATION, ADVERTISEMENT = 135, 136
ROUTER_TYPES = (133, 134, 137)
ICMP_REDIRECT = 5
ARP_REQUEST, ARP_REPLY = 1, 2
SYN, ACK = 0x02, 0x10
NA_FLAGS = 0x60000000
"""Solicited and override (RFC 4861, section 4.4)."""
TARGET_LINK_LAYER = 2
DHCP_REPLIES = ((IPV4, 67, 68), (IPV6, 547, 546))
PROBE_BYTES = 64
SAMPLE_BYTES = 128
"""Of a packet that NOTE shows: its headers, and those of a packet quoted in an ICMP error."""
MULTICAST_BIT = 0x010000000000


def static_flows(judge: Table = Table.EGRESS) -> Iterator[Flow]:
    """Yield the flows that depend on nothing but where the judgement begins: EGRESS or CANDIDATE_EGRESS."""
    yield from _source()
    yield from _neighbour()
    yield from _guard()
    yield from _orient(judge)
    yield from _connection(judge)
    yield from _deliver()
    yield from _note()
    yield flow(Table.PROBE, Priority.LAST, (), (Output(CONTROLLER, PROBE_BYTES),), encode(Origin(Kind.PROBE, 0)))
    yield from _again()
    yield from _pieces(judge)


def _source() -> Iterator[Flow]:
    tagged = Term(f.VLAN_VID, 0x1000, 0x1000)
    yield flow(Table.SOURCE, Priority.TAGGED, (tagged,), *guard(Guard.TAGGED))
    yield flow(Table.SOURCE, Priority.MISS, (ARP,), *guard(Guard.ARP))
    yield flow(Table.SOURCE, Priority.MISS, (IPV4,), *guard(Guard.SOURCE))
    yield flow(Table.SOURCE, Priority.MISS, (IPV6,), *guard(Guard.SOURCE))
    yield flow(Table.SOURCE, Priority.LAST, (), *guard(Guard.ETHERTYPE))


def _neighbour() -> Iterator[Flow]:
    w = f.whole
    answer_arp: tuple[Act, ...] = (
        Move(w(f.ETH_SRC), w(f.ETH_DST)),
        Load(w(f.ARP_OP), ARP_REPLY),
        Move(w(f.ARP_SHA), w(f.ARP_THA)),
        Move(w(f.ARP_SPA), f.SCRATCH),
        Move(w(f.ARP_TPA), w(f.ARP_SPA)),
        Move(f.SCRATCH, w(f.ARP_TPA)),
    )
    answer_nd: tuple[Act, ...] = (
        Move(w(f.ETH_SRC), w(f.ETH_DST)),
        Move(w(f.IPV6_SRC), w(f.IPV6_DST)),
        Move(w(f.ND_TARGET), w(f.IPV6_SRC)),
        Load(w(f.ND_RESERVED), NA_FLAGS),
        Load(w(f.ND_OPTIONS_TYPE), TARGET_LINK_LAYER),
        Load(w(f.ICMPV6_TYPE), ADVERTISEMENT),
    )
    solicit = (IPV6, protocol(ICMPV6), exact(f.ICMPV6_TYPE, SOLICITATION))
    # A solicitation from :: asks whether the address is free (RFC 4862); silence says yes.
    yield flow(Table.NEIGHBOUR, 20, (*solicit, exact(f.IPV6_SRC, 0)), *guard(Guard.NEIGHBOUR))
    yield flow(Table.NEIGHBOUR, 10, (ARP,), goto(Table.ANSWER, *answer_arp))
    yield flow(Table.NEIGHBOUR, 10, solicit, goto(Table.ANSWER, *answer_nd))
    yield flow(Table.NEIGHBOUR, Priority.LAST, (), *guard(Guard.NEIGHBOUR))
    yield flow(Table.ANSWER, Priority.MISS, (ARP,), *guard(Guard.ARP))
    yield flow(Table.ANSWER, Priority.LAST, (), *guard(Guard.NEIGHBOUR))


_ANSWERED_FROM, _BACK = f.whole(f.ETH_SRC), Output(IN_PORT)


def answer_actions(table_mac: int, mac_field: f.Field) -> tuple[Act, ...]:
    """Return the actions that complete an answer with the MAC that was asked for."""
    return make(Load, (_ANSWERED_FROM, table_mac)), make(Load, (f.whole(mac_field), table_mac)), _BACK


def _guard() -> Iterator[Flow]:
    group = Term(f.ETH_DST, MULTICAST_BIT, MULTICAST_BIT)
    yield flow(Table.GUARD, Priority.FORBIDDEN + 5, (group,), *guard(Guard.MULTICAST))
    yield flow(
        Table.GUARD, Priority.FORBIDDEN, (IPV4, Term(f.IPV4_DST, 0xE0000000, 0xF0000000)), *guard(Guard.MULTICAST)
    )
    yield flow(Table.GUARD, Priority.FORBIDDEN, (IPV4, exact(f.IPV4_DST, 0xFFFFFFFF)), *guard(Guard.MULTICAST))
    yield flow(
        Table.GUARD, Priority.FORBIDDEN - 1, (IPV6, Term(f.IPV6_DST, 0xFF << 120, 0xFF << 120)), *guard(Guard.MULTICAST)
    )
    redirect = (IPV4, protocol(ICMP), exact(f.ICMPV4_TYPE, ICMP_REDIRECT))
    yield flow(Table.GUARD, Priority.FORBIDDEN + 1, redirect, *guard(Guard.ROUTER))
    for kind in (*ROUTER_TYPES, SOLICITATION, ADVERTISEMENT):
        which = Guard.ROUTER if kind in ROUTER_TYPES else Guard.NEIGHBOUR
        terms = (IPV6, protocol(ICMPV6), exact(f.ICMPV6_TYPE, kind))
        yield flow(Table.GUARD, Priority.FORBIDDEN + 6, terms, *guard(which))
    for family, source, destination in DHCP_REPLIES:
        pair = (exact(f.UDP_SRC, source), exact(f.UDP_DST, destination))
        yield flow(Table.GUARD, Priority.FORBIDDEN + 2, (family, protocol(UDP), *pair), *guard(Guard.DHCP))
    for family, foreign in ((IPV4, ICMPV6), (IPV6, ICMP)):  # conntrack would take them for what they are not
        yield flow(Table.GUARD, Priority.FORBIDDEN + 3, (family, protocol(foreign)), *guard(Guard.INVALID))
    for family in (IPV4, IPV6):
        yield flow(Table.GUARD, Priority.LAST, (family,), (TRACK,))
    yield flow(Table.DESTINATION, Priority.LAST, (), *guard(Guard.DESTINATION))


FRAGMENT, LATER = Term(f.IP_FRAG, 1, 1), Term(f.IP_FRAG, 2, 2)
"""Any part of a datagram that came in pieces, and any but its first (FLOW_NW_FRAG_ANY, _LATER)."""
TRACK = Ct(zone=f.NETWORK, table=int(Table.DESTINATION))


def _state(*, plus: int, minus: int = 0) -> Term:
    return Term(f.CT_STATE, plus | f.CS_TRK, plus | minus | f.CS_TRK)


def _compare(label: f.Slice, against: f.Slice) -> tuple[Act, ...]:
    return (Move(against, f.COMPARE_A), Move(label, f.COMPARE_B), Resubmit(int(Table.SAME)))


def _orient(judge: Table) -> Iterator[Flow]:
    forward: tuple[Act, ...] = (
        Move(f.SRC_ID, f.CLIENT_ID),
        Move(f.DST_ID, f.SERVER_ID),
        Move(f.SRC_ATT, f.CLIENT_ATT),
        Move(f.DST_ATT, f.SERVER_ATT),
    )
    reply: tuple[Act, ...] = (
        Move(f.DST_ID, f.CLIENT_ID),
        Move(f.SRC_ID, f.SERVER_ID),
        Move(f.DST_ATT, f.CLIENT_ATT),
        Move(f.SRC_ATT, f.SERVER_ATT),
        Load(f.DIRECTION, f.REPLY),
    )
    compare = (*_compare(f.LABEL_CLIENT, f.CLIENT_ATT), *_compare(f.LABEL_SERVER, f.SERVER_ATT))
    related: tuple[Act, ...] = (
        Load(f.DIRECTION, f.RELATED),
        Load(f.BY_TUPLE, 1),
        *_compare(f.LABEL_CLIENT, f.LABEL_CLIENT),
        Move(f.FOUND_ID, f.CLIENT_ID),
        *_compare(f.LABEL_SERVER, f.LABEL_SERVER),
        Move(f.FOUND_ID, f.SERVER_ID),
    )
    orient, connection = Table.ORIENT, Table.CONNECTION
    yield flow(orient, 50, (_state(plus=f.CS_INV),), *guard(Guard.INVALID))
    for family in (IPV4, IPV6):  # conntrack does not keep the ports of SCTP, so nobody can judge its errors
        quoted = (_state(plus=f.CS_REL), family, exact(f.CT_NW_PROTO, SCTP))
        yield flow(orient, 45, quoted, *guard(Guard.INVALID))
    yield from _impossible()
    yield flow(orient, 40, (_state(plus=f.CS_REL),), goto(connection, *related))
    yield flow(orient, 30, (_state(plus=f.CS_NEW),), goto(judge, *forward, Load(f.COMMIT, 1)))
    yield flow(orient, 20, (_state(plus=f.CS_RPL),), goto(connection, *reply, *compare))
    yield flow(orient, 10, (_state(plus=0),), goto(connection, *forward, *compare))
    yield flow(orient, Priority.LAST, (), *guard(Guard.INVALID))


def _impossible() -> Iterator[Flow]:
    """Yield the drops of what conntrack takes for possible, and no stack sends or nobody can judge."""
    by, drop = (Table.ORIENT, 45), guard(Guard.INVALID)
    tracked = Term(f.CT_STATE, f.CS_TRK, f.CS_TRK | f.CS_INV)
    for family in (IPV4, IPV6):
        # A SYN opens: it is no reply, though conntrack may find a place for it in a connection.
        syn = (protocol(TCP), Term(f.TCP_FLAGS, SYN, SYN | ACK))
        yield flow(*by, (_state(plus=f.CS_RPL), family, *syn), *drop)
        # In pieces: TCP that opens (the tuple may be of the connection that its SYN crosses), SCTP (the tuple has
        # no ports), and a first piece with half a header, for which Open vSwitch does not tell them.
        yield flow(*by, (_state(plus=f.CS_NEW), family, FRAGMENT, exact(f.CT_NW_PROTO, TCP)), *drop)
        yield flow(*by, (tracked, family, FRAGMENT, exact(f.CT_NW_PROTO, SCTP)), *drop)
        half = (exact(f.IP_FRAG, 1), exact(f.CT_NW_PROTO, TCP), exact(f.CT_TP_DST, 0))
        yield flow(*by, (tracked, family, *half), *drop)
    for family, server, client in DHCP_REPLIES:
        for ports in ((server, client), (client, server)):
            pair = (exact(f.CT_TP_SRC, ports[0]), exact(f.CT_TP_DST, ports[1]))
            terms = (tracked, family, FRAGMENT, exact(f.CT_NW_PROTO, UDP), *pair)
            yield flow(*by, terms, *guard(Guard.DHCP))


BOTH_SAME = 3


def same_actions(identity: int) -> tuple[Act, ...]:
    """Return what an equality of attachment numbers does: shift in a 1 and say whose number it is."""
    return _SHIFT, _IS_SAME, make(Load, (f.FOUND_ID, identity))


_SHIFT, _IS_SAME = Move(f.SAME_FIRST, f.SAME_SECOND), Load(f.SAME_FIRST, 1)


def _connection(judge: Table) -> Iterator[Flow]:
    table = Table.CONNECTION
    yield flow(table, 20, (is_(f.SAME, BOTH_SAME),), goto(judge))
    # The side that opens is judged by what it is now; what it sends is an opening in its own right.
    yield flow(table, 10, (is_(f.DIRECTION, f.FORWARD),), goto(judge, Load(f.COMMIT, 1)))
    yield flow(table, Priority.LAST, (), *guard(Guard.CHANGED_HANDS))


COMMIT = Ct(
    zone=f.NETWORK,
    commit=True,
    exec=(Move(f.CLIENT_ATT, f.LABEL_CLIENT), Move(f.SERVER_ATT, f.LABEL_SERVER)),
)


def _deliver() -> Iterator[Flow]:
    for family in (IPV4, IPV6):
        # Output first: behind a ct() anybody's complete fragments may follow, and nothing would judge them.
        opened = (OutputReg(f.OUT_PORT), COMMIT, Load(f.REASON, reason(OPENED)))
        yield flow(Table.DELIVER, 10, (family, is_(f.COMMIT, 1)), goto(Table.NOTE, *opened))
    yield flow(Table.DELIVER, Priority.LAST, (), (OutputReg(f.OUT_PORT),))


def _note() -> Iterator[Flow]:
    """Yield what counts, and shows some of, the packets that were dropped or opened a connection.

    Nothing is forwarded from here, and the drops are no flows with a meter: who deletes a meter deletes its flows,
    and a guard must not vanish so.
    """
    for kind, meter in SAMPLE_METERS.items():
        told = is_(f.REASON_KIND, kind)
        show = (Meter(meter), Output(CONTROLLER, SAMPLE_BYTES))
        terms, priority = ((told,), 10) if kind else ((), Priority.LAST)
        yield flow(Table.NOTE, priority, terms, show, encode(Origin(Kind.SAMPLE, kind)))


def _again() -> Iterator[Flow]:
    """Yield what asks SOURCE again behind conntrack, so that one way through the tables says who sends and judges it.

    What SOURCE said before conntrack is remembered with the packet's flow until the revalidators come to it: by then
    another policy may hold, under which that identity may do what neither the old nor the new one let this sender do.
    """
    ask = (Load(f.ASKED_AGAIN, 1), Resubmit(int(Table.SOURCE)))
    yield flow(Table.DESTINATION, Priority.AGAIN, (is_(f.ASKED_AGAIN, 0),), ask)
    for family in (IPV4, IPV6):
        # Open vSwitch lets go of complete fragments in the batch, and with the registers, of whoever is tracked
        # next: whose they are was never known.
        piece = (family, FRAGMENT, is_(f.ASKED_AGAIN, 0))
        yield flow(Table.DESTINATION, Priority.PIECE, piece, (Load(f.BY_TUPLE, 1), *ask))
    yield flow(Table.GUARD, Priority.RETURN, (is_(f.ASKED_AGAIN, 1),), goto(Table.DESTINATION))


def _pieces(judge: Table) -> Iterator[Flow]:
    """Yield the way of fragments: docs/limits.md says why it is so long.

    Conntrack reassembles, judges the whole, and hands out the pieces again, of which only the first shows (in the
    connection's tuple) a port. So only the first is judged; all that is not dropped waits in a second zone
    until it is whole again, which without its first piece it never is.
    """
    for family in (IPV4, IPV6):
        piece = (family, FRAGMENT)
        yield flow(judge, 20, (family, LATER), goto(Table.DELIVER))
        wait = (Ct(zone=f.PIECES_ZONE, table=int(Table.RELEASE)),)
        yield flow(Table.DELIVER, 20, (*piece, is_(f.RELEASED, 0)), wait)
        whole = (*piece, Term(f.CT_STATE, f.CS_TRK, f.CS_TRK | f.CS_INV), exact(f.CT_ZONE, f.PIECES_ZONE))
        yield flow(Table.RELEASE, 10, whole, (Load(f.RELEASED, 1), Resubmit(int(Table.SOURCE))))
        yield flow(Table.ORIENT, 60, (*piece, is_(f.RELEASED, 1)), goto(Table.DELIVER))
    yield flow(Table.RELEASE, Priority.LAST, (), *guard(Guard.INVALID))

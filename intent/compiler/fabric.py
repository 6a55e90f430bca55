"""Switches that are wired to each other: packets travel from edge to edge by number, whoever they are of.

The sender's switch judges, then writes into the MACs where the packet goes to, from which switch and network it is,
and how often it may be passed on. Switches between only pass on: for each other switch and each port one flow.
The receiver's switch knows by the address whose packet it is, judges again, and writes the MACs as they were.
docs/adr/0011-between-wired-switches.md says why. Groups of the switch spread
connections and turn away from dead ports by themselves.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection, Iterator
from weakref import WeakKeyDictionary

from intent.compiler import fields as f
from intent.compiler.cookie import OPENED, Guard, Kind, Origin, encode, reason
from intent.compiler.endpoints import Numbers
from intent.compiler.flow import (
    CONTROLLER,
    IN_PORT,
    Act,
    Actions,
    Flow,
    Group,
    Load,
    Meter,
    Move,
    Output,
    OutputReg,
    Resubmit,
    Term,
    exact,
)
from intent.compiler.pipeline import COMMIT, same_actions
from intent.compiler.tables import Priority, Table
from intent.compiler.terms import ETHERTYPE, IPV4, IPV6, dst_address, flow, goto, guard, is_, mac, src_address
from intent.compiler.verdict import SWITCH_METER
from topology.fabric import Fabric
from topology.lldp import ETH_LLDP, FRAME_BYTES, NEAREST_BRIDGE
from topology.model import Endpoint, IPAddress
from topology.paths import Way

MARK = 0x06
"""First octet of the MACs between switches: locally administered, and of no multicast."""
HOPS = 16
"""How many switches may pass a packet on: each shifts a 1 out, so a loop ends by itself."""
MAX_DETOURS = 4
"""Of one group: the fifth best way is not worth a bucket."""

TO_EDGE = f.Slice(f.ETH_DST, 16, 32)
"""`MARK` and the number of the switch that it goes to."""
FROM_EDGE = f.Slice(f.ETH_SRC, 16, 32)
IN_NETWORK = f.Slice(f.ETH_DST, 0, 16)
HOPS_LEFT = f.Slice(f.ETH_SRC, 0, HOPS)
_MAY_PASS = f.Slice(f.ETH_SRC, 0, 1)
_AFTER = f.Slice(f.ETH_SRC, 0, HOPS - 1)
_BEFORE = f.Slice(f.ETH_SRC, 1, HOPS - 1)
_TOP = f.Slice(f.ETH_SRC, HOPS - 1, 1)


@dataclasses.dataclass(frozen=True, slots=True)
class Bucket:
    """One choice of a group: a port (IN_PORT: back), or another group; taken while it lives."""

    watch: int
    """Port whose life is the bucket's; 0 for a group."""
    port: int = 0
    group: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class GroupSpec:
    """What a group holds."""

    spread: bool
    """Each connection takes one of all buckets that live (OFPGT_SELECT); else the first that lives (OFPGT_FF)."""
    buckets: tuple[Bucket, ...]

    @property
    def id(self) -> int:
        """Its number: the same content has the same number, so a group never changes its meaning."""
        said = repr((self.spread, [dataclasses.astuple(bucket) for bucket in self.buckets])).encode()
        return int.from_bytes(hashlib.sha256(said).digest()[:4], "big") & 0x7FFFFFFF | 1

    def without(self, ports: Collection[int]) -> GroupSpec:
        """Return the group that sends nothing to these ports."""
        return dataclasses.replace(self, buckets=tuple(b for b in self.buckets if b.watch not in ports))


@dataclasses.dataclass(frozen=True, slots=True)
class Toward:
    """The way from a switch to that of an endpoint, through other switches."""

    number: int
    """Of the endpoint's switch."""


# -- what leads where ----------------------------------------------------------------------------


class Wiring:
    """One switch's part of a fabric: its flows and groups."""

    def __init__(self, fabric: Fabric, dpid: int) -> None:
        self._fabric = fabric
        self._dpid = dpid
        self.groups: dict[int, GroupSpec] = {}
        """By number; those that the flows use."""
        self.flows: tuple[Flow, ...] = tuple(self._flows())

    def _flows(self) -> Iterator[Flow]:
        for ofport in sorted(self._fabric.ports.get(self._dpid, ())):
            yield from port_flows(ofport)
        wired = self._fabric.wired.get(self._dpid)
        if not wired:
            return
        yield from _shared_flows()
        own, numbers = self._fabric.numbers[self._dpid], self._fabric.numbers
        for ofport in sorted(wired):
            yield _arrival(ofport, own)
        for target, ways in self._fabric.ways.items():
            way = ways.get(self._dpid)
            if way is not None:
                number = numbers[target]
                yield _departure(own, number, self._out(way))
                for ofport in sorted(wired):
                    yield _passage(ofport, number, self._out(way.avoiding(ofport), ofport))

    def _out(self, way: Way, came_in: int = 0) -> Act | None:
        """Return what sends by a way; None where there is no port left."""
        spread = self._spread(way)
        buckets = [spread] if spread else []
        buckets += [Bucket(port, port) for port in way.detours[:MAX_DETOURS]]
        buckets += [Bucket(came_in, IN_PORT)] if way.back else []
        if not buckets:
            return None
        if len(buckets) == 1:
            only = buckets[0]
            return Group(only.group) if only.group else Output(only.port)
        return self._group(GroupSpec(spread=False, buckets=tuple(buckets)))

    def _spread(self, way: Way) -> Bucket | None:
        """Return the bucket of all shortest ways together.

        Open vSwitch hashes MACs, addresses, and the ports of TCP and SCTP. The hops that are left stand in a MAC, so
        each switch on the way spreads anew what the one before sorted.
        """
        ports = way.shortest
        if not ports:
            return None
        if len(ports) == 1:
            return Bucket(ports[0], ports[0])
        buckets = tuple(Bucket(port, port) for port in ports)
        return Bucket(0, group=self._group(GroupSpec(spread=True, buckets=buckets)).id)

    def _group(self, spec: GroupSpec) -> Group:
        self.groups[spec.id] = spec
        return Group(spec.id)


def port_flows(ofport: int) -> Iterator[Flow]:
    """Yield the flows of a port for links, wired or not: proofs go to the controller, all else drops."""
    here = exact(f.IN_PORT, ofport)
    proof = (here, exact(f.ETH_TYPE, ETH_LLDP), exact(f.ETH_DST, NEAREST_BRIDGE))
    show = (Meter(SWITCH_METER + ofport), Output(CONTROLLER, 2 * FRAME_BYTES))
    yield flow(Table.SOURCE, Priority.TRUNK, proof, show, encode(Origin(Kind.LINK, ofport)))
    yield flow(Table.SOURCE, Priority.TUNNEL, (here,), *guard(Guard.LINK))


def _shared_flows() -> Iterator[Flow]:
    """Yield the flows of every switch with a wire."""
    for table in (Table.ARRIVED, Table.DEPART, Table.RESTORE, Table.HAND_OVER):
        yield flow(table, Priority.LAST, (), *guard(Guard.LINK))
    for via, table in ((f.TO_FABRIC, Table.DEPART), (f.FROM_FABRIC, Table.RESTORE)):
        for family in (IPV4, IPV6):
            both = Term(f.COMMIT.field, f.COMMIT.mask | via << f.VIA.offset, f.COMMIT.mask | f.VIA.mask)
            opened = goto(Table.NOTE, Resubmit(int(table)), COMMIT, Load(f.REASON, reason(OPENED)))
            yield flow(Table.DELIVER, 15, (family, both), opened)
        yield flow(Table.DELIVER, 5, (is_(f.VIA, via),), goto(table))


def _address(number: int) -> int:
    return MARK << 24 | number


def _arrival(ofport: int, own: int) -> Flow:
    terms = (exact(f.IN_PORT, ofport), is_(TO_EDGE, _address(own)))
    marks = (Load(f.VIA, f.FROM_FABRIC), Load(f.FROM_TUNNEL, 1), Move(IN_NETWORK, f.NETWORK))
    return flow(Table.SOURCE, Priority.TRUNK, terms, goto(Table.ARRIVED, *marks))


def _passage(ofport: int, number: int, out: Act | None) -> Flow:
    terms = (exact(f.IN_PORT, ofport), is_(TO_EDGE, _address(number)), is_(_MAY_PASS, 1))
    actions: Actions = () if out is None else (Move(_BEFORE, _AFTER), Load(_TOP, 0), out)
    return flow(Table.SOURCE, Priority.TRUNK, terms, actions)


def _departure(own: int, number: int, out: Act | None) -> Flow:
    sign = (
        Load(TO_EDGE, _address(number)),
        Move(f.NETWORK, IN_NETWORK),
        Load(FROM_EDGE, _address(own)),
        Load(HOPS_LEFT, (1 << HOPS) - 1),
    )
    return flow(Table.DEPART, Priority.ADDRESS, (is_(f.EDGE, number),), () if out is None else (*sign, out))


# -- endpoints -----------------------------------------------------------------------------------


def remote_flows(endpoint: Endpoint, address: IPAddress, numbers: Numbers, path: Toward) -> Iterator[Flow]:
    """Yield the flows of one address of an endpoint that wires lead to."""
    origin = encode(Origin(Kind.ENDPOINT, numbers.attachment))
    zone = numbers.network if numbers.via is None else numbers.via.domain
    (place, enter), family = numbers.place, ETHERTYPE[address.version]
    claim = (is_(f.NETWORK, zone), is_(FROM_EDGE, _address(path.number)), family, src_address(address))
    who = (Load(f.SRC_ID, numbers.identity), Load(f.SRC_ATT, numbers.attachment), enter)
    identify = (*who, Resubmit(int(Table.GUARD)))
    yield flow(Table.ARRIVED, Priority.SOURCE, claim, identify, origin)
    aim = (place, is_(f.FROM_TUNNEL, 0), exact(f.ETH_DST, mac(endpoint.mac)), family, dst_address(address))
    send = (*_to(numbers), Load(f.VIA, f.TO_FABRIC), Load(f.EDGE, path.number))
    yield flow(Table.DESTINATION, Priority.ADDRESS, aim, goto(Table.ORIENT, *send), origin)
    yield flow(Table.SAME, Priority.ADDRESS, numbers.same, same_actions(numbers.identity), origin)
    restore = goto(Table.HAND_OVER, Load(f.whole(f.ETH_SRC), mac(endpoint.mac)))
    yield flow(Table.RESTORE, Priority.ADDRESS, (is_(f.SRC_ATT, numbers.attachment),), restore, origin)


def local_flows(endpoint: Endpoint, address: IPAddress, numbers: Numbers) -> Iterator[Flow]:
    """Yield what one address of a local endpoint needs besides, where there are wires."""
    origin = encode(Origin(Kind.ENDPOINT, numbers.attachment))
    aim = (numbers.place[0], is_(f.VIA, f.FROM_FABRIC), ETHERTYPE[address.version], dst_address(address))
    locate = (*_to(numbers), Load(f.OUT_PORT, endpoint.location.ofport))
    yield flow(Table.DESTINATION, Priority.ADDRESS, aim, goto(Table.ORIENT, *locate), origin)
    give = (Load(f.whole(f.ETH_DST), mac(endpoint.mac)), OutputReg(f.OUT_PORT))
    yield flow(Table.HAND_OVER, Priority.ADDRESS, (is_(f.DST_ATT, numbers.attachment),), give, origin)


def _to(numbers: Numbers) -> tuple[Act, ...]:
    return (Load(f.DST_ID, numbers.identity), Load(f.DST_ATT, numbers.attachment))


_made: WeakKeyDictionary[Fabric, dict[int, Wiring]] = WeakKeyDictionary()


def wiring(fabric: Fabric, dpid: int) -> Wiring:
    """Return a switch's part of a fabric, which is computed once."""
    parts = _made.setdefault(fabric, {})
    if dpid not in parts:
        parts[dpid] = Wiring(fabric, dpid)
    return parts[dpid]

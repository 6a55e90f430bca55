"""Endpoints of other hosts: three flows for each of their addresses, one for each tunnel port.

They tie an address to the host that has it (SOURCE), lead to it (DESTINATION) and name its attachment (SAME).
The sender's host judges, and so does the receiver's, by what it knows itself: docs/adr/0014-overlay.md.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from intent.compiler import fields as f
from intent.compiler.cookie import Guard, Kind, Origin, encode
from intent.compiler.endpoints import Numbers
from intent.compiler.flow import Act, Flow, Load, Move, Term, exact
from intent.compiler.pipeline import same_actions
from intent.compiler.tables import Priority, Table
from intent.compiler.terms import ETHERTYPE, dst_address, flow, goto, guard, is_, mac, src_address
from topology.model import Endpoint, IPAddress, Tunnel, TunnelKind

OPTION_CLASS, OPTION_TYPE, OPTION_BYTES = 0xFF52, 0x01, 8
"""Of the Geneve option, from the range for experiments (RFC 8926, 7); what does not know it ignores it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Path:
    """From a switch to the host of an endpoint."""

    here: Tunnel
    there: Tunnel


def tunnel_flow(tunnel: Tunnel) -> Flow:
    """Return the drop of what comes from a tunnel and from no known endpoint."""
    return flow(Table.SOURCE, Priority.TUNNEL, (exact(f.IN_PORT, tunnel.ofport),), *guard(Guard.TUNNEL))


def remote_flows(endpoint: Endpoint, address: IPAddress, numbers: Numbers, path: Path) -> Iterator[Flow]:
    """Yield the flows of one address of an endpoint of another host."""
    origin = encode(Origin(Kind.ENDPOINT, numbers.attachment))
    yield flow(Table.SOURCE, Priority.SOURCE, _claim(endpoint, address, numbers, path),
               goto(Table.GUARD, *_identify(numbers)), origin)  # fmt: skip
    here, _ = numbers.place
    locate = (Load(f.DST_ID, numbers.identity), Load(f.DST_ATT, numbers.attachment), Load(f.OUT_PORT, path.here.ofport))
    target = (here, is_(f.FROM_TUNNEL, 0), exact(f.ETH_DST, mac(endpoint.mac)))
    aim = (*target, ETHERTYPE[address.version], dst_address(address))
    yield flow(
        Table.DESTINATION, Priority.ADDRESS, aim, goto(Table.ORIENT, *locate, *carry(path, numbers.network)), origin
    )
    yield flow(Table.SAME, Priority.ADDRESS, numbers.same, same_actions(numbers.identity), origin)


def _claim(endpoint: Endpoint, address: IPAddress, numbers: Numbers, path: Path) -> tuple[Term, ...]:
    """Return what a packet must look like to be the endpoint's."""
    terms = (
        exact(f.IN_PORT, path.here.ofport),
        exact(f.TUN_SRC, int(path.there.address)),
        exact(f.TUN_ID, numbers.network),
        exact(f.ETH_SRC, mac(endpoint.mac)),
        ETHERTYPE[address.version],
        src_address(address),
    )
    return (*terms, is_(f.OPTION_ATT, numbers.attachment)) if path.here.kind is TunnelKind.GENEVE else terms


def _identify(numbers: Numbers) -> tuple[Act, ...]:
    """By its identity as it is known here: the sender's host may not have heard of a change yet."""
    return (
        Load(f.SRC_ID, numbers.identity),
        Load(f.SRC_ATT, numbers.attachment),
        numbers.place[1],
        Load(f.FROM_TUNNEL, 1),
    )


def carry(path: Path, network: int) -> tuple[Act, ...]:
    """Return what writes the tunnel's header, as the other host looks for it."""
    where = (Load(f.whole(f.TUN_DST), int(path.there.address)), Load(f.whole(f.TUN_ID), network))
    if path.here.kind is not TunnelKind.GENEVE:
        return where
    return (*where, Move(f.SRC_ID, f.OPTION_ID), Move(f.SRC_ATT, f.OPTION_ATT))

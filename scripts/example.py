"""An example as people write it, come alive: documents, and every endpoint they declare plugged in.

The pages under docs/, the golden files and their tests all read examples through this.
"""

from __future__ import annotations

from typing import NamedTuple

from intent.inventory import build
from intent.model import EndpointIntent, Intents, Mirror, Uplink
from intent.schema import parse_documents, to_intents
from topology.events import BridgeRow, HostResynced, InterfaceRow, PortRow, Row
from topology.model import Inventory
from topology.site import empty_site, reduce

DPID = 1
_HOST, _OWNER, _BRIDGE = "unix:db.sock", "example", "br-ring"


class Example(NamedTuple):
    """What somebody asked for, and who is there."""

    intents: Intents
    inventory: Inventory


def read(*texts: str, source: str) -> Example:
    """Return what documents mean; one that comes later replaces an earlier one of its kind and name.

    Raises:
        DocumentError: a document is wrong.
        ValueError: an endpoint cannot be plugged in as declared; the message says why.
    """
    parsed = (doc for text in texts for doc in parse_documents(text, source=source))
    latest = {(doc.kind, doc.name): doc for doc in parsed}
    intents = to_intents(latest.values())
    return Example(intents, plug_in(intents))


def plug_in(intents: Intents) -> Inventory:
    """Return the inventory of one host with an interface for each declared endpoint, uplink and mirror, from number 1.

    Raises:
        ValueError: somebody is refused or disputed.
    """
    rows: list[Row] = []
    plugged: list[EndpointIntent | Uplink | Mirror] = [*intents.endpoints.values(), *intents.uplinks.values()]
    plugged += intents.mirrors.values()
    for ofport, each in enumerate(plugged, start=1):
        rows += _rows(ofport, each)
    ports = frozenset(row.uid for row in rows if isinstance(row, PortRow))
    bridge = BridgeRow("bridge", _BRIDGE, dpid=DPID, ports=ports, external_ids={"ringfence": _OWNER})
    site = reduce(empty_site(_OWNER, [_HOST]), HostResynced(_HOST, (bridge, *rows)))
    inventory = build(site, intents, {}, {}).inventory
    if inventory.reports:
        raise ValueError("; ".join(f"{r.subject}: {r.problem}" for r in inventory.reports))
    return inventory


def _rows(ofport: int, plugged: EndpointIntent | Uplink | Mirror) -> tuple[PortRow, InterfaceRow]:
    binding = plugged.binding
    name = binding.interface or f"v{ofport}"
    ids = {} if binding.iface_id is None else {"iface-id": binding.iface_id}
    kind, mac = ("internal", "02:00:00:00:00:fe") if isinstance(plugged, Uplink) else ("", None)
    interface = InterfaceRow(f"interface-{ofport}", name, type=kind, ofport=ofport, external_ids=ids, mac_in_use=mac)
    return PortRow(f"port-{ofport}", name, frozenset({interface.uid})), interface

"""A cluster of the conformance data as Ringfence sees it: imported, plugged in, compiled, updated step by step."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable

from intent.compiler import IdMap, allocate, compile_program
from intent.compiler.flow import Program
from intent.inventory import build
from intent.kubernetes import read_objects, translate
from intent.model import Intents
from intent.schema import Document, document_text, to_intents
from tests.conformance.cases import Cell, Step
from topology.events import BridgeRow, HostResynced, InterfaceRow, PortRow
from topology.model import Endpoint, Inventory
from topology.packet import ETH_IPV4, Frame, Opening
from topology.site import Site, empty_site, reduce

DPID = 1
HOST = "unix:db"
OWNER = "conformance"
SOURCE_PORT = 40000
FIRST_SEAT = 2
"""OpenFlow port of the first pod; 1 is the raw switch's own."""


@dataclasses.dataclass(frozen=True, slots=True)
class World:
    """One step, translated and compiled."""

    step: Step
    intents: Intents
    inventory: Inventory
    program: Program

    def endpoint(self, pod: str) -> Endpoint:
        """Return the endpoint of `namespace/name`."""
        return self.inventory.endpoints[pod.replace("/", ".")]

    def opening(self, cell: Cell) -> Opening:
        """Return the packet that a cell asks about, as policy sees it."""
        source, destination = self.endpoint(cell.source), self.endpoint(cell.destination)
        return Opening(
            source.network, source.addresses[0], destination.addresses[0], cell.protocol, SOURCE_PORT, cell.port
        )

    def frame(self, cell: Cell) -> Frame:
        """Return the packet that a cell asks about, as it enters the switch."""
        source, destination = self.endpoint(cell.source), self.endpoint(cell.destination)
        return Frame(
            dpid=DPID,
            in_port=source.location.ofport,
            eth_src=source.mac,
            eth_dst=destination.mac,
            eth_type=ETH_IPV4,
            src=source.addresses[0],
            dst=destination.addresses[0],
            protocol=cell.protocol,
            sport=SOURCE_PORT,
            dport=cell.port,
        )


def mac(seat: int) -> str:
    """Return the MAC of the pod on a port."""
    return f"0a:00:00:00:00:{seat:02x}"


def seats(steps: Iterable[Step]) -> dict[str, int]:
    """Return a port for every pod that ever is: `namespace/name` to OpenFlow port."""
    names = {f"{pod['namespace']}/{pod['name']}" for step in steps for pod in step.pods}
    return {name: FIRST_SEAT + n for n, name in enumerate(sorted(names))}


class Cluster:
    """Follows the steps as a controller would: documents, numbers and claims are those of the step before."""

    def __init__(self, pods: dict[str, int]) -> None:
        self._seats = pods
        self._documents: dict[tuple[str, str], Document] = {}
        self._ids = IdMap()
        self._claims: dict = {}
        self._clock_s = 0.0

    def follow(self, step: Step) -> World:
        """Go to a step.

        Raises:
            DocumentError: something in it cannot be expressed.
        """
        self._update(step)
        intents = to_intents(self._documents.values())
        built = build(_site(step, self._seats), intents, self._claims, {})
        self._claims, self._clock_s = built.claims, self._clock_s + 1
        assert not built.inventory.reports, built.inventory.reports
        self._ids = allocate(intents, built.inventory, self._ids, self._clock_s)
        program = compile_program(intents, built.inventory, DPID, self._ids)
        return World(step, intents, built.inventory, program)

    def _update(self, step: Step) -> None:
        """Import into what is there; the result must be what an import into nothing gives."""
        objects = read_objects(json.dumps(step.objects()), source=str(step))
        whole = {(doc.kind, doc.name): doc for doc in translate(objects).puts}
        there = {key: doc for key, doc in self._documents.items() if key in whole}
        change = translate(objects, there.values())
        there = {key: doc for key, doc in there.items() if key not in change.deletes}
        self._documents = there | {(doc.kind, doc.name): doc for doc in change.puts}
        assert {k: document_text(d) for k, d in self._documents.items()} == {
            k: document_text(d) for k, d in whole.items()
        }


def _site(step: Step, pods: dict[str, int]) -> Site:
    """Return what OVSDB says: an interface for each pod, named by its iface-id and MAC, and nothing else."""
    rows: list = []
    for name in (f"{pod['namespace']}/{pod['name']}" for pod in step.pods):
        seat = pods[name]
        ids = {"iface-id": name, "attached-mac": mac(seat)}
        rows.append(InterfaceRow(_uid(seat), f"v{seat}", ofport=seat, external_ids=ids))
        rows.append(PortRow(_uid(100 + seat), f"v{seat}", frozenset({_uid(seat)})))
    ports = frozenset(row.uid for row in rows if isinstance(row, PortRow))
    rows.append(BridgeRow(_uid(999), "br-ring", dpid=DPID, ports=ports, external_ids={"ringfence": OWNER}))
    return reduce(empty_site(OWNER, [HOST]), HostResynced(HOST, tuple(rows)))


def _uid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"

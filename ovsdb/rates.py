"""Rates: queues on a port (HTB), and policing of what a port sends into the switch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from ovsdb.columns import Columns
from ovsdb.errors import EnsureError
from ovsdb.operations import is_row, named, update
from ovsdb.port_wishes import check_name
from ovsdb.scene import Held, Query, Scene, by_name
from ovsdb.session import Operation
from ovsdb.settle import made, settle, unchanged
from ovsdb.wish import in_range, ours, port_on

HTB = "linux-htb"
QOS_TYPES = (HTB, "linux-hfsc")
"""Those with a least and a highest rate for each queue."""
PORT_KEY = "ringfence-port"
"""Key in `external_ids` of QoS and Queue rows: the port they were made for."""
MAX_QUEUES = 4096
MAX_QUEUE = 0xFFFF
MAX_RATE = 10**13
"""Bits per second."""


@dataclasses.dataclass(frozen=True, slots=True)
class QueueWish:
    """One queue of a port; rates in bits per second, None for no bound."""

    min_rate: int | None = None
    max_rate: int | None = None
    burst: int | None = None
    """Bits that may exceed the highest rate for a moment."""
    priority: int | None = None
    """Of two queues above their least rate, the smaller one is served first."""
    dscp: int | None = None
    """Differentiated services code point written into its packets, 0..63."""

    @property
    def columns(self) -> Columns:
        """The columns of its row."""
        keys = {"min-rate": self.min_rate, "max-rate": self.max_rate, "burst": self.burst, "priority": self.priority}
        return {"dscp": self.dscp, "other_config": {k: str(v) for k, v in keys.items() if v is not None}}


@dataclasses.dataclass(frozen=True, slots=True)
class QosWish:
    """The queues of a port of our bridge: what it sends to the workload, or to the wire."""

    bridge: str
    owner: str
    port: str
    max_rate: int | None = None
    """Of the port as a whole, bits per second."""
    queues: Mapping[int, QueueWish] = dataclasses.field(default_factory=dict)
    """By number; 0 takes what no flow puts elsewhere."""
    type: str = HTB

    def check(self) -> None:
        """Refuse what cannot be."""
        check_name("port", self.port)
        if self.type not in QOS_TYPES:
            raise EnsureError(f"QoS type {self.type[:40]!r} is none of {', '.join(QOS_TYPES)}")
        in_range(f"port {self.port}: max_rate", self.max_rate, 1, MAX_RATE)
        if len(self.queues) > MAX_QUEUES:
            raise EnsureError(f"port {self.port}: over {MAX_QUEUES} queues")
        for number, queue in self.queues.items():
            _check_queue(f"port {self.port}: queue {number}", number, queue)

    def queries(self) -> list[Query]:
        """Return the port and the rows made for it."""
        mine = ["external_ids", "includes", ["map", [[PORT_KEY, self.port]]]]
        tables = (ours(table, self.owner, mine) for table in ("QoS", "Queue"))
        return [*by_name("Bridge", self.bridge), *by_name("Port", self.port), *tables]

    def plan(self, scene: Scene) -> list[Operation]:
        """Return what makes the queues so."""
        port = port_on(scene, self.bridge, self.owner, self.port)
        qos = self._held(scene, port)
        if qos is None:
            labels = {number: f"q{number}" for number in sorted(self.queues)}
            rows = [self._made_queue(number, label) for number, label in labels.items()]
            return [unchanged(port, ["qos"]), *rows, self._made_qos(labels), _link(port, named("qos"))]
        return self._mend(scene, qos)

    def removal(self, scene: Scene) -> list[Operation]:
        """Return what takes the queues away."""
        port = port_on(scene, self.bridge, self.owner, self.port)
        qos = self._held(scene, port)
        if qos is None:
            return []
        queues = [
            row for row in scene.rows.values() if row.table == "Queue" and row.uid in qos.columns["queues"].values()
        ]
        return [unchanged(port, ["qos"]), _link(port, ["set", []]), *map(_delete, (qos, *queues))]

    def _held(self, scene: Scene, port: Held) -> Held | None:
        uid = port.columns["qos"]
        qos = scene.get(uid)
        if uid is not None and qos is None:
            raise EnsureError(f"port {self.port} has a QoS that was made by somebody else; clear it first")
        return qos

    def _mend(self, scene: Scene, qos: Held) -> list[Operation]:
        """Bring an existing QoS to the wish: its own columns, queues changed, made and taken away."""
        held: dict[int, str] = qos.columns["queues"]
        operations = settle(qos, {"type": self.type, "other_config": self._config})
        for number in sorted(held.keys() & self.queues.keys()):
            row = scene.get(held[number])
            if row is None:
                raise EnsureError(f"port {self.port}: queue {number} was made by somebody else; clear the QoS first")
            operations += settle(row, self.queues[number].columns)
        if held.keys() == self.queues.keys():
            return operations
        fresh = sorted(self.queues.keys() - held.keys())
        kept: list[list[object]] = [[number, ["uuid", held[number]]] for number in sorted(held.keys() & self.queues)]
        links = ["map", [*kept, *([number, named(f"q{number}")] for number in fresh)]]
        surplus = [row for number, uid in held.items() if number not in self.queues and (row := scene.get(uid))]
        return [
            unchanged(qos, ["queues"]),
            *operations,
            *(self._made_queue(number, f"q{number}") for number in fresh),
            update("QoS", qos.uid, {"queues": links}),
            *map(_delete, surplus),
        ]

    @property
    def _config(self) -> dict[str, str]:
        return {} if self.max_rate is None else {"max-rate": str(self.max_rate)}

    def _made_queue(self, number: int, label: str) -> Operation:
        return made("Queue", label, {**self.queues[number].columns, "external_ids": {PORT_KEY: self.port}}, self.owner)

    def _made_qos(self, labels: Mapping[int, str]) -> Operation:
        columns: Columns = {"type": self.type, "other_config": self._config, "external_ids": {PORT_KEY: self.port}}
        operation = made("QoS", "qos", columns, self.owner)
        row = operation["row"]
        links = ["map", [[number, named(label)] for number, label in labels.items()]]
        return {**operation, "row": {**(row if isinstance(row, dict) else {}), "queues": links}}


@dataclasses.dataclass(frozen=True, slots=True)
class PolicingWish:
    """What a port may send into the switch; what exceeds it is dropped. Zero: no bound."""

    bridge: str
    owner: str
    port: str
    rate_kbps: int = 0
    burst_kb: int = 0
    """Kilobits; 0 lets Open vSwitch choose (8000)."""

    def check(self) -> None:
        """Refuse what cannot be."""
        check_name("port", self.port)
        in_range(f"port {self.port}: rate_kbps", self.rate_kbps, 0, MAX_RATE // 1000)
        in_range(f"port {self.port}: burst_kb", self.burst_kb, 0, MAX_RATE // 1000)

    def queries(self) -> list[Query]:
        """Return the port and its interface."""
        return [*by_name("Bridge", self.bridge), *by_name("Port", self.port), *by_name("Interface", self.port)]

    def plan(self, scene: Scene) -> list[Operation]:
        """Return what sets the bound."""
        return self._settled(scene, self.rate_kbps, self.burst_kb)

    def removal(self, scene: Scene) -> list[Operation]:
        """Return what lifts it."""
        return self._settled(scene, 0, 0)

    def _settled(self, scene: Scene, rate: int, burst: int) -> list[Operation]:
        port = port_on(scene, self.bridge, self.owner, self.port)
        interface = scene.named("Interface", self.port)
        if interface is None or interface.uid not in port.columns["interfaces"]:
            raise EnsureError(f"port {self.port} has no interface of its name; a bond is not policed here")
        return settle(interface, {"ingress_policing_rate": rate, "ingress_policing_burst": burst})


def _check_queue(what: str, number: int, queue: QueueWish) -> None:
    in_range(f"{what}: number", number, 0, MAX_QUEUE)
    in_range(f"{what}: min_rate", queue.min_rate, 1, MAX_RATE)
    in_range(f"{what}: max_rate", queue.max_rate, 1, MAX_RATE)
    in_range(f"{what}: burst", queue.burst, 1, MAX_RATE)
    in_range(f"{what}: priority", queue.priority, 0, (1 << 32) - 1)
    in_range(f"{what}: dscp", queue.dscp, 0, 63)
    if queue.min_rate and queue.max_rate and queue.min_rate > queue.max_rate:
        raise EnsureError(f"{what}: min_rate {queue.min_rate} is above max_rate {queue.max_rate}")


def _link(port: Held, qos: object) -> Operation:
    return update("Port", port.uid, {"qos": qos})


def _delete(row: Held) -> Operation:
    return {"op": "delete", "table": row.table, "where": [is_row(row.uid)]}

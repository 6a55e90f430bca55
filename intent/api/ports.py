"""What the API needs from outside, as protocols. The controller implements them; tests use plain values.

The API itself does no I/O and reads no clock. Every method is called from the thread that serves the
request and must not block it, save `Waiter.wait`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from intent.api.figures import GaugePort, NoGauges
from intent.api.host_ports import HostPort, NoHosts
from intent.api.lease_ports import LeasePort, NoLeases
from intent.api.plug_refused import PlugRefused
from intent.model import Intents
from intent.schema.changes import Applied, Revision, Stored, Wanted
from topology.map import Map
from topology.model import Inventory
from topology.news import Entry


@dataclasses.dataclass(frozen=True, slots=True)
class SwitchStatus:
    """One switch the controller manages, connected or not."""

    dpid: int
    bridge: str
    host: str
    """The OVSDB target it was found at; empty where it is not known."""
    connected: bool
    revision: int | None
    """The newest revision whose flows the switch confirmed; None for none yet."""
    flows: int | None = None
    """Flows it holds, as last read back."""
    problem: str = ""
    """Why the newest revision could not be installed; empty while that is under way or done."""
    portless: frozenset[int] | None = None
    """IP protocols whose ports its connection tracking does not keep; None before it was found out."""


class StorePort(Protocol):
    """The repository; `intent.store.Store` is one."""

    @property
    def revision(self) -> int:
        """Number of the newest revision."""

    def intents(self) -> Intents:
        """Return what the current documents mean."""

    def documents(self, kind: str | None = None) -> list[Stored]:
        """Return the current documents, sorted by kind and name."""

    def document(self, kind: str, name: str) -> Stored | None:
        """Return one current document."""

    def revisions(self, *, before: int | None = None, limit: int = 50) -> list[Revision]:
        """Return revisions, newest first."""

    def apply(
        self,
        changes: Sequence[Wanted],
        *,
        author: str,
        at: datetime,
        message: str = "",
        expected_revision: int | None = None,
    ) -> Applied:
        """Commit changes as one revision; raises the errors of `intent.schema.changes`."""

    def make_durable(self) -> None:
        """Return when every revision is durable: an answer may tell of it now."""

    def preview(self, changes: Sequence[Wanted], *, expected_revision: int | None = None) -> Applied:
        """Say what `apply` would do; raises as `apply`."""


class StatusPort(Protocol):
    """How far the switches are."""

    def switches(self) -> Sequence[SwitchStatus]:
        """Return every switch that is managed, connected or not; the realized count is out of these."""

    def failures(self) -> Mapping[tuple[str, str], str]:
        """Return, by (kind, name), why a document's newest revision cannot be realized on any switch."""


class InventoryPort(Protocol):
    """Who is plugged in."""

    def current(self) -> Inventory:
        """Return the inventory that the newest compilation used, or will use."""


class ClockPort(Protocol):
    """The time."""

    def now(self) -> datetime:
        """Return the instant, with a time zone."""

    def offsets(self, zones: Iterable[str], now: datetime) -> Mapping[str, timedelta]:
        """Return local time minus UTC at an instant, by IANA zone."""


class WaiterPort(Protocol):
    """Waiting, in whatever way the server's threads do."""

    def wait(self, revision: int, timeout_s: float) -> None:
        """Return when every managed switch confirmed `revision` or later, when it failed, or after `timeout_s`."""

    def breathe(self) -> None:
        """Let others run; called between the parts of a long computation."""


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Hit:
    """What a rule decided, summed over all switches."""

    policy: str
    rule: str
    direction: str
    """`egress` or `ingress`: whose judgement."""
    packets: int
    bytes: int


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Drop:
    """What a guard, an isolation or a posture dropped, summed over all switches."""

    cause: str
    """`guard source`, `isolation kubernetes`, `posture shop`, …"""
    packets: int
    bytes: int


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Tally:
    """What the enforced and the candidate policies said of the same packets; `policy` empty for the whole set."""

    policy: str
    rule: str
    enforced: str
    """`allow` or `deny`."""
    candidate: str
    packets: int
    connections: int
    """Of the packets those that would open a connection."""


class CounterPort(Protocol):
    """What the switches counted, as of their last verification."""

    def hits(self) -> Sequence[Hit]:
        """Return what rules decided."""

    def drops(self) -> Sequence[Drop]:
        """Return what was dropped before or beside rules."""

    def tallies(self) -> Sequence[Tally]:
        """Return what observed policies would change; empty while none is observed."""


@dataclasses.dataclass(frozen=True, slots=True)
class PlugHost:
    """A host on whose integration bridge ports can be made."""

    host: str
    """Its OVSDB target."""
    bridge: str
    datapath_type: str
    """`system`, `netdev`, or empty while the bridge is not there."""
    connected: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Plugged:
    """A port that was made over the API."""

    host: str
    name: str
    ofport: int | None
    """None while the switch has no number for it."""
    problem: str
    """Why the switch does not use it; empty if it does."""
    external_ids: Mapping[str, str]


class PlugPort(Protocol):
    """Ports on the integration bridges."""

    def hosts(self) -> Sequence[PlugHost]:
        """Return the hosts, as last heard."""

    def plugged(self) -> Sequence[Plugged]:
        """Return the ports that were made here, as last heard."""

    def plug(self, host: str, name: str, external_ids: Mapping[str, str]) -> bool:
        """Make a port, or make it right; durable on return. True if something was written; raises PlugRefused."""

    def unplug(self, host: str, name: str) -> bool:
        """Remove a port if it is there; true if it was. Raises PlugRefused."""


class NoPlugs:
    """For a server without switches: refuses."""

    def hosts(self) -> Sequence[PlugHost]:
        """Return none."""
        return ()

    def plugged(self) -> Sequence[Plugged]:
        """Return none."""
        return ()

    def plug(self, host: str, name: str, external_ids: Mapping[str, str]) -> bool:
        """Refuse."""
        del host, external_ids
        raise PlugRefused(f"port {name}: this server manages no switch", "ask the controller", passing=False)

    def unplug(self, host: str, name: str) -> bool:
        """Refuse."""
        return self.plug(host, name, {})


class TooManyReaders(Exception):
    """Nobody else may follow the events now."""


class ReaderPort(Protocol):
    """One client that follows the events."""

    def next(self, timeout_s: float) -> Sequence[tuple[str, Entry]] | None:
        """Return what came, each with its id; nothing after `timeout_s`, None for a reader that fell too far behind."""

    def close(self) -> None:
        """Stop following; closing twice is closing once."""


class TopologyPort(Protocol):
    """What exists, and what happens to it."""

    def look(self) -> tuple[str, Map]:
        """Return the topology, and the id of the newest event that it includes."""

    def follow(self, after: str) -> tuple[str, ReaderPort | None]:
        """Follow the events after an id; `oldest` stands for all that are kept, an empty one for none.

        Returns:
            The id that reading begins after, and the reader; no reader where events after the id are not there
            any more: the topology is to be read anew, and followed from the id that is returned.

        Raises:
            TooManyReaders: try again later.
        """


class NoTopology:
    """For a server without switches: there is nothing, and nothing happens."""

    def look(self) -> tuple[str, Map]:
        """Return an empty topology."""
        return "0-0", Map()

    def follow(self, after: str) -> tuple[str, ReaderPort | None]:
        """Refuse."""
        raise TooManyReaders(after)


class FaultPort(Protocol):
    """Where faults of the API's own go; a client is told only that there was one."""

    def report(self, error: BaseException) -> None:
        """Log an unexpected exception with its traceback."""


@dataclasses.dataclass(frozen=True, slots=True)
class Ports:
    """Everything injected."""

    store: StorePort
    status: StatusPort
    inventory: InventoryPort
    clock: ClockPort
    waiter: WaiterPort
    faults: FaultPort
    counters: CounterPort
    plugs: PlugPort = dataclasses.field(default_factory=NoPlugs)
    topology: TopologyPort = dataclasses.field(default_factory=NoTopology)
    hosts: HostPort = dataclasses.field(default_factory=NoHosts)
    gauges: GaugePort = dataclasses.field(default_factory=NoGauges)
    leases: LeasePort = dataclasses.field(default_factory=NoLeases)


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one request may ask for."""

    body_bytes: int = 4 * 1024 * 1024
    wait_s: float = 120.0
    """Longest `timeout=`."""
    matrix_pairs: int = 10_000
    revisions: int = 200
    """Most revisions of one page."""
    endpoints: int = 1000
    """Most endpoints of one page of counters."""

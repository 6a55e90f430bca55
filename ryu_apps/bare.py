"""Switches of which only OpenFlow is spoken: their ports, as they tell them, stand in for the rows of a database.

The configuration lists them, and which of their ports are wired to other switches. Endpoints on their other ports are
bound by documents (`binding: {bridge, interface}`), because nobody else says who they are. What a switch told last is
kept, so that a restart plans nothing anew, and one that is away keeps its place.
"""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple, TypeAlias

from ryu_apps.memory import StateStore
from ryu_apps.session import Session
from topology.events import BridgeRow, Event, HostLost, HostResynced, InterfaceRow, PortRow, Row
from topology.fabric import LINK_KEY, MAX_OFPORT
from topology.site import OWNER_KEY

log = logging.getLogger("ringfence.bare")

KEY = "bare"
"""Of the store's state: by datapath id and port number, name and attachment of each port."""
POLL_S = 0.5
"""How soon a connection that came or went is seen; ports are told."""

Links: TypeAlias = tuple[str, ...] | Literal["all"]
"""Names of the ports that are wired to other switches."""


class BarePort(NamedTuple):
    """A port as it was told last."""

    name: str
    uid: str
    """Another one each time the port is made anew: a connection does not outlive its attachment."""


Ports: TypeAlias = dict[int, BarePort]
"""By port number."""


def host_of(dpid: int) -> str:
    """Return what such a switch is called where hosts are named."""
    return f"openflow:{dpid:016x}"


class BareSwitches:
    """One thread that looks; `ports_changed` is called by receive loops."""

    def __init__(
        self,
        wanted: Mapping[int, Links],
        bridge: tuple[str, str],
        store: StateStore,
        sessions: Callable[[int], Session | None],
        observe: Callable[[Event], object],
    ) -> None:
        """Tell `observe` what is kept of these switches.

        Args:
            wanted: the switches by datapath id, with their ports for links.
            bridge: the name that their bridges go by, and the owner id.
            store: where ports are kept.
            sessions: finds the switches that are connected.
            observe: takes events as those of a database.
        """
        self._wanted, self._store, self._sessions, self._observe = wanted, store, sessions, observe
        self._bridge, self._owner = bridge
        self._lock = threading.Lock()
        self._ports = _kept(store.state(KEY) if wanted else None, wanted)
        self._told: dict[int, Ports] = {}
        """What those that are connected were told to have; none of those that are away."""
        self._woken = threading.Event()
        self.stopped = False
        for dpid, ports in self._ports.items():
            observe(HostResynced(host_of(dpid), self._rows(dpid, ports)))
            observe(HostLost(host_of(dpid), "it has not connected since the controller started"))

    @property
    def hosts(self) -> Mapping[str, int]:
        """The switches that were ever here: datapath id by name."""
        return {host_of(dpid): dpid for dpid in sorted(self._ports)}

    # -- the thread ----------------------------------------------------------------------------

    def run(self) -> None:
        """Look until stopped; without such switches there is nothing to look at."""
        while not self.stopped:
            self.look()
            self._woken.wait(POLL_S if self._wanted else None)
            self._woken.clear()

    def stop(self) -> None:
        """End the thread soon."""
        self.stopped = True
        self._woken.set()

    def ports_changed(self, session: Session) -> None:
        """Forget ports that are gone at once: one that comes back a moment later is another."""
        known = self._ports.get(session.dpid)
        if known is not None:
            with self._lock:
                for ofport in [n for n, port in known.items() if session.ports.get(n) != port.name]:
                    del known[ofport]
        if session.dpid in self._wanted:
            self._woken.set()

    def look(self) -> None:
        """Take what the switches say now; it is durable before anybody learns of it."""
        connected = {dpid: session for dpid in self._wanted if (session := self._sessions(dpid)) is not None}
        for dpid in self._told.keys() - connected.keys():
            del self._told[dpid]
            self._observe(HostLost(host_of(dpid), "its OpenFlow connection ended"))
        new: dict[int, Ports] = {}
        with self._lock:
            for dpid, session in connected.items():
                ports = self._seen(dpid, session)
                if ports != self._told.get(dpid):
                    new[dpid] = ports
            raw = _dump(self._ports)
        if new and raw != self._store.state(KEY):
            self._store.put_state({KEY: raw})
        for dpid, ports in new.items():
            self._told[dpid] = ports
            self._observe(HostResynced(host_of(dpid), self._rows(dpid, ports)))

    def _seen(self, dpid: int, session: Session) -> Ports:
        """Return a switch's ports; those that it had before are the same ones."""
        known = self._ports.setdefault(dpid, {})
        names = dict(_usable(session.ports))
        for ofport in [n for n, port in known.items() if names.get(n) != port.name]:
            del known[ofport]
        for ofport, name in names.items():
            if ofport not in known:
                known[ofport] = BarePort(name, str(uuid.uuid4()))
        return dict(known)

    # -- rows ----------------------------------------------------------------------------------

    def _rows(self, dpid: int, ports: Ports) -> tuple[Row, ...]:
        """Return what a database would say of a switch."""
        host = host_of(dpid)
        rows: list[Row] = []
        for ofport, port in sorted(ports.items()):
            ids = {LINK_KEY: "true"} if self._is_link(dpid, port.name) else {}
            rows.append(PortRow(f"{port.uid}/port", port.name, frozenset({port.uid})))
            rows.append(InterfaceRow(port.uid, port.name, ofport=ofport, external_ids=ids))
        held = frozenset(row.uid for row in rows if isinstance(row, PortRow))
        owner = {OWNER_KEY: self._owner}
        return (BridgeRow(host, self._bridge, dpid=dpid, ports=held, external_ids=owner), *rows)

    def _is_link(self, dpid: int, name: str) -> bool:
        links = self._wanted[dpid]
        return links == "all" or name in links


def _usable(ports: Mapping[int, str]) -> Iterator[tuple[int, str]]:
    """Yield the ports that can be spoken of: with a usual number, and a name that no other has."""
    uses = Counter(ports.values())
    for ofport, name in ports.items():
        if 1 <= ofport <= MAX_OFPORT and name.isprintable() and name and uses[name] == 1:
            yield ofport, name


def _dump(ports: Mapping[int, Ports]) -> bytes:
    """Return ports as JSON, the same bytes for the same ports."""
    return json.dumps(
        {f"{d:016x}": {str(n): list(p) for n, p in sorted(ports[d].items())} for d in sorted(ports)}
    ).encode()


def _kept(raw: bytes | None, wanted: Mapping[int, Links]) -> dict[int, Ports]:
    """Read what `_dump` wrote, of the switches that are wanted; nothing from what cannot be read."""
    try:
        found = {
            int(dpid, 16): {int(n): BarePort(str(name), str(uid)) for n, (name, uid) in ports.items()}
            for dpid, ports in json.loads(raw or b"{}").items()
        }
    except (ValueError, TypeError, AttributeError):
        log.error("the state %r cannot be read: the ports are known again when their switches connect", KEY)  # noqa: TRY400 - no trace
        return {}
    return {dpid: ports for dpid, ports in found.items() if dpid in wanted}

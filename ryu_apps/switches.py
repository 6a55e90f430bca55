"""Which switches may connect, and the session of each that does. Implements `Switchboard`."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection

from ryu_apps.link import Link, Refused
from ryu_apps.reconciler import Reconciler
from ryu_apps.session import Listener, Session
from topology.model import Report

MAX_IMPOSTORS = 256
REPORT_S = 60.0
"""How long a report stands after what it tells of happened last."""
PROBE_S = 2.0
"""How long the first connection of a datapath id has to answer before a second one may replace it."""


class Switches:
    """The connected switches, at most one connection for each datapath id."""

    def __init__(
        self, reconciler: Reconciler, listener: Listener, dpids: Collection[int] | None, names: Collection[str]
    ) -> None:
        """Admit the switches with these ids (None: any) whose certificate has one of `names` (empty: any)."""
        self._reconciler = reconciler
        self._listener = listener
        self._dpids = dpids
        self._names = frozenset(names)
        self._lock = threading.Lock()
        self._impostors: dict[int, tuple[float, Report]] = {}
        """By the datapath id that a second switch claimed, and when it did last."""
        self._links: dict[int, Link] = {}
        self._sessions: dict[Link, Session] = {}

    def admit(self, link: Link, dpid: int, auxiliary: int) -> None:
        """Judge a connection.

        Raises:
            Refused: its id or name is not admitted, or the switch is connected already.
        """
        who = f"datapath {dpid:016x}"
        if auxiliary:
            raise Refused(f"{who}: auxiliary connections are not served")
        if self._dpids is not None and dpid not in self._dpids:
            raise Refused(f"{who} is not admitted: add it to openflow.admission.datapath_ids if it should be")
        if self._names and not self._names.intersection(link.names):
            raise Refused(f"{who}: its certificate has none of openflow.admission.names, but {list(link.names)}")
        first = self._take(dpid, link)
        if first is None:
            return
        if first.alive(PROBE_S):
            self._report(dpid, link, first)
            raise Refused(f"{who} is connected from {first.peer}: a second connection with its id is refused")
        first.shut("it did not answer an echo, and the switch connected anew")
        self.gone(first)
        if self._take(dpid, link) is not None:
            raise Refused(f"{who} connected twice at a time")

    def _report(self, dpid: int, link: Link, first: Link) -> None:
        """Note that two switches claim one datapath id: once, however often the second one tries."""
        problem = f"a second switch, {_host(link.peer)}, claims the datapath id of {first.peer}, and is refused"
        remedy = "give it a datapath id of its own (other_config:datapath-id of its bridge), or find out who it is"
        with self._lock:
            known = self._impostors.get(dpid)
            if known is None and len(self._impostors) >= MAX_IMPOSTORS:
                return
            report = known[1] if known else Report(f"switch {dpid:016x}", problem, remedy)
            self._impostors[dpid] = time.monotonic(), report

    def reports(self) -> list[Report]:
        """Return who claimed what is another's, lately."""
        late = time.monotonic() - REPORT_S
        with self._lock:
            for dpid in [dpid for dpid, (when, _) in self._impostors.items() if when < late]:
                del self._impostors[dpid]
            return [report for _, report in self._impostors.values()]

    def _take(self, dpid: int, link: Link) -> Link | None:
        """Give a datapath id to a connection, unless another one has it: return that.

        Raises:
            Refused: the connection has an id already; it could keep every other switch out.
        """
        with self._lock:
            if any(holder is link and held != dpid for held, holder in self._links.items()):
                raise Refused(f"datapath {dpid:016x} is the second id of one connection")
            holder = self._links.setdefault(dpid, link)
            return None if holder is link else holder

    def ready(self, link: Link, dpid: int, ports: dict[int, str]) -> None:
        """Make the session of a connection that finished its handshake."""
        session = Session(link, dpid, ports, self._listener)
        with self._lock:
            self._sessions[link] = session
        self._reconciler.attach(session)

    def frame(self, link: Link, frame: bytes) -> None:
        """Give a message to its session."""
        session = self._sessions.get(link)
        if session:
            session.feed(frame)

    def gone(self, link: Link) -> None:
        """Forget a connection."""
        with self._lock:
            session = self._sessions.pop(link, None)
            for dpid in [d for d, holder in self._links.items() if holder is link]:
                del self._links[dpid]
        if session:
            self._reconciler.detach(session)

    def sessions(self) -> list[Session]:
        """Return the session of every connected switch."""
        with self._lock:
            return list(self._sessions.values())

    def session(self, dpid: int) -> Session | None:
        """Return the session of a connected switch."""
        with self._lock:
            link = self._links.get(dpid)
            return self._sessions.get(link) if link else None


def _host(peer: str) -> str:
    return peer.rpartition(":")[0] or peer

"""Finds out which switches are wired to each other, and tells the planner; forged and relayed proofs are reported.

Once a second each port for links sends a frame that only this controller can make. What the other ends receive comes
back as packet-ins of a flow of their own. A port that the switch calls dead, or that is gone, proves nothing
from that instant.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from intent.compiler.flow import Output
from intent.schema.changes import StoreUnavailableError
from ryu_apps.logs import Limited
from ryu_apps.memory import Memory
from ryu_apps.planner import Planner
from ryu_apps.session import Session
from ryu_apps.wire import PacketIn
from topology import lldp
from topology.fabric import Fabric
from topology.links import Links, aged, hear, kept, remembered, without
from topology.model import Report
from topology.paths import LinkEnd

log = logging.getLogger("ringfence.wires")

TURN_S = 0.25
"""Ports are asked in so many parts of a second, so that not all proofs come at once."""
MAX_REPORTS = 256
REPORT_S = 60.0
"""How long a report stands after what it tells of happened last."""


class Wires:
    """One thread that asks; `heard` and `ports_changed` are called by others."""

    def __init__(self, planner: Planner, memory: Memory, sessions: Callable[[int], Session | None]) -> None:
        """Ask the switches that `sessions` finds by their datapath ids."""
        self._planner = planner
        self._memory = memory
        self._sessions = sessions
        self._key = os.urandom(lldp.KEY_BYTES)
        self._lock = threading.Lock()
        self._links = remembered(memory.links, time.monotonic())
        self._reports: dict[tuple[str, str], tuple[float, Report]] = {}
        self._said: tuple[Report, ...] = ()
        self._woken = threading.Event()
        self._limited = Limited(log)
        self.stopped = False

    # -- the thread ----------------------------------------------------------------------------

    def run(self) -> None:
        """Ask and forget until stopped."""
        turns = round(lldp.TICK_S / TURN_S)
        turn = 0
        while not self.stopped:
            turn = (turn + 1) % turns
            self._ask(turn, turns)
            self._forget()
            if turn == 0:
                self._keep()
            self._woken.wait(TURN_S)
            self._woken.clear()

    def _keep(self) -> None:
        try:
            self._memory.keep_links(self._links.up)
        except StoreUnavailableError as error:
            self._limited.warning("keep", "the links between switches are not durable: %s", error)

    def stop(self) -> None:
        """End the thread soon."""
        self.stopped = True
        self._woken.set()

    @property
    def _fabric(self) -> Fabric:
        return self._planner.fabric

    def _ends(self) -> Iterator[LinkEnd]:
        for dpid, ports in self._fabric.ports.items():
            yield from (LinkEnd(dpid, ofport) for ofport in ports)

    def _ask(self, turn: int, turns: int) -> None:
        """Let a part of the ports send their proof; all that are not proven send each time."""
        tick = int(time.time() / lldp.TICK_S)
        proven = {end for pair in self._links.up for end in pair}
        for end in self._ends():
            session = self._sessions(end.dpid)
            if session is None or end.ofport not in session.ports or end.ofport in session.dead:
                continue
            if (end.dpid + end.ofport) % turns == turn or end not in proven:
                session.send_packet((Output(end.ofport),), lldp.frame(self._key, end, tick))

    def _forget(self) -> None:
        if self._planner.built is None:
            return  # which ports are for links is not known yet
        ends = frozenset(self._ends())
        silent = {end.dpid for end in ends if self._sessions(end.dpid) is None}
        with self._lock:
            self._take(kept(aged(self._links, time.monotonic(), silent), ends))
            late = time.monotonic() - REPORT_S
            if any(when < late for when, _ in self._reports.values()):
                self._reports = {key: found for key, found in self._reports.items() if found[0] >= late}
                self._said = tuple(sorted(report for _, report in self._reports.values()))

    def _take(self, links: Links) -> None:
        """Keep other links; the planner learns of those that came or went."""
        before, self._links = self._links, links
        if before.up != links.up:
            self._planner.wire(links.up)

    # -- what switches say ---------------------------------------------------------------------

    def heard(self, session: Session, packet: PacketIn) -> None:
        """Take a frame that came in at a port for links."""
        at = LinkEnd(session.dpid, packet.in_port)
        if at.ofport not in self._fabric.ports.get(at.dpid, ()):
            return
        try:
            source = lldp.read(self._key, packet.data, int(time.time() / lldp.TICK_S))
        except lldp.Unproven as error:
            if error.forged:
                self._report(at, f"a frame came in that pretends to prove a link: {error}")
            return
        if source.ofport not in self._fabric.ports.get(source.dpid, ()):
            return
        with self._lock:
            links, problem = hear(self._links, source, at, time.monotonic())
            self._take(links)
        if problem:
            self._report(at, problem)

    def ports_changed(self, session: Session) -> None:
        """Believe nothing any more of ports that are gone or dead."""
        with self._lock:
            ends = {end for source, proof in self._links.proofs.items() for end in (source, proof.at)}
            mine = [end for end in ends if end.dpid == session.dpid]
            gone = [end for end in mine if end.ofport not in session.ports or end.ofport in session.dead]
            if gone:
                self._take(without(self._links, gone))

    def _report(self, at: LinkEnd, problem: str) -> None:
        """Tell an operator, once for each port and problem."""
        subject = f"link port {at.dpid:016x}/{at.ofport}"
        remedy = "look what is plugged in there; nothing was changed by it"
        key = subject, problem.split(":", maxsplit=1)[0]
        self._limited.warning(" ".join(key), "%s: %s", subject, problem)
        with self._lock:
            known = self._reports.get(key)
            if known is None and len(self._reports) >= MAX_REPORTS:
                return
            self._reports[key] = time.monotonic(), known[1] if known else Report(subject, problem, remedy)
            if known is None:
                self._said = tuple(sorted(report for _, report in self._reports.values()))

    # -- what people are told ------------------------------------------------------------------

    def reports(self) -> Sequence[Report]:
        """Return what somebody tried lately; the same object as long as nothing changed."""
        return self._said

    def links(self) -> dict[tuple[LinkEnd, LinkEnd], bool]:
        """Return the links, and whether each is up."""
        return dict(self._links.states)

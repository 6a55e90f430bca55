"""Learns addresses from what the switches show us, where a network says so."""

from __future__ import annotations

import collections
import logging
import threading
import time

from intent.inventory import Sighting, learn
from ryu_apps import sightings, wire
from ryu_apps.logs import Limited
from ryu_apps.planner import Planner
from ryu_apps.session import Session
from ryu_apps.wire import Kind, WireError
from topology.model import Endpoint, Inventory, UnaddressedPort

log = logging.getLogger("ringfence.learner")
BATCH = 64
"""Messages looked at before others get a turn."""


class Learner:
    """One thread that empties the sessions' queues of what came unasked."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self._limited = Limited(log)
        self._waiting: collections.OrderedDict[Session, None] = collections.OrderedDict()
        self._woken = threading.Event()
        self.stopped = False
        self._places_of = Inventory()
        self._places = _Places(self._places_of)

    def came(self, session: Session) -> None:
        """Note that a session has something; never blocks."""
        self._waiting[session] = None
        self._woken.set()

    def stop(self) -> None:
        """End the thread soon."""
        self.stopped = True
        self._woken.set()

    def run(self) -> None:
        """Learn until stopped."""
        while not self.stopped:
            self._woken.wait()
            self._woken.clear()
            while self._waiting and not self.stopped:
                session, _ = self._waiting.popitem(last=False)
                self._some(session)
                time.sleep(0)  # a chatty switch must not starve the others

    def _some(self, session: Session) -> None:
        for _ in range(BATCH):
            if not session.unasked:
                return
            self._look(session, session.unasked.popleft())
        self._waiting[session] = None

    def _look(self, session: Session, frame: bytes) -> None:
        built, intents = self._planner.built, self._planner.built_from
        if frame[1] != Kind.PACKET_IN or built is None or intents is None:
            return
        try:
            packet = wire.decode_packet_in(frame)
        except WireError as error:
            self._limited.warning(f"{session.dpid:016x}", "%016x: %s", session.dpid, error)
            return
        seen = sightings.read(packet.data)
        if self._places_of is not built.inventory:
            self._places_of, self._places = built.inventory, _Places(built.inventory)
        port = self._places.of(session.dpid, packet.in_port, seen) if seen else None
        if seen is None or port is None:
            return
        learning = learn(self._planner.learned, Sighting(port, seen.source, seen.address), intents, built)
        if learning.report:
            self._limited.warning(learning.report.subject, "%s: %s", learning.report.subject, learning.report.problem)
        if learning.learned is not self._planner.learned:
            log.info("%s uses %s (%s)", port.name, seen.address, seen.source)
            self._planner.learn(learning.learned)


class _Places:
    """The ports of an inventory by what a packet says of them."""

    def __init__(self, inventory: Inventory) -> None:
        places: list[Endpoint | UnaddressedPort] = [*inventory.endpoints.values(), *inventory.unaddressed]
        self._by_port = {(p.location.dpid, p.location.ofport): p for p in places}
        self._by_mac = {(p.network, p.mac): p for p in places}

    def of(self, dpid: int, ofport: int, seen: sightings.Seen) -> Endpoint | UnaddressedPort | None:
        """Return the port that an address was seen at: the sender's, or by DHCP the client's in the same network."""
        sender = self._by_port.get((dpid, ofport))
        if sender is None:
            return None
        if seen.source == "dhcp":
            return self._by_mac.get((sender.network, seen.mac))
        return sender if sender.mac == seen.mac else None

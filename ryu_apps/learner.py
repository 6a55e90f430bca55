"""Learns addresses from what the switches show us, where a network says so."""

from __future__ import annotations

import logging

from intent.inventory import Sighting, learn
from ryu_apps import sightings
from ryu_apps.logs import Limited
from ryu_apps.planner import Planner
from ryu_apps.session import Session
from ryu_apps.wire import PacketIn
from topology.model import Endpoint, Inventory, UnaddressedPort

log = logging.getLogger("ringfence.learner")


class Learner:
    """Turns packets that claim an address into addresses of ports."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self._limited = Limited(log)
        self._places_of = Inventory()
        self._places = _Places(self._places_of)

    def look(self, session: Session, packet: PacketIn) -> None:
        """Look at one packet."""
        built, intents = self._planner.built, self._planner.built_from
        seen = sightings.read(packet.data)
        if built is None or intents is None or seen is None:
            return
        if self._places_of is not built.inventory:
            self._places_of, self._places = built.inventory, _Places(built.inventory)
        port = self._places.of(session.dpid, packet.in_port, seen)
        if port is None:
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

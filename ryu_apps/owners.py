"""Whose each port of each switch is, kept up by what changes."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from ryu_apps.gauges import Owner
from topology.events import InterfaceRow, Row
from topology.frozen import FrozenMap, differing
from topology.model import Endpoint, Inventory, UnaddressedPort

Thing: TypeAlias = Endpoint | UnaddressedPort
Rows: TypeAlias = Mapping[int, FrozenMap[str, Row]]
"""By datapath id: what the switch's OVSDB server says."""
Ports: TypeAlias = Mapping[int, Mapping[int, Owner]]
"""By datapath id and port number."""
_NO_ROWS: FrozenMap[str, Row] = FrozenMap()
_NO_PORTS: FrozenMap[int, Owner] = FrozenMap()


class Owners:
    """Follows one inventory after the other, and the rows that tell the devices. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inventory = Inventory()
        self._rows: Rows = {}
        self._things: dict[tuple[int, str], Thing] = {}
        """By datapath id and UUID of the row."""
        self._ports: dict[int, FrozenMap[int, Owner]] = {}

    def follow(self, inventory: Inventory, rows: Rows) -> Ports:
        """Return whose each port is now; what is returned does not change any more."""
        with self._lock:
            gone, come = list(_only(self._inventory, inventory)), list(_only(inventory, self._inventory))
            for thing in gone:
                self._things.pop(_key(thing), None)
            self._things.update((_key(thing), thing) for thing in come)
            touched = dict.fromkeys(map(_key, come)) | dict.fromkeys(self._told_anew(rows))
            self._inventory, self._rows = inventory, rows
            self._put(gone, [self._things[key] for key in touched])
            return dict(self._ports)

    def _told_anew(self, rows: Rows) -> Iterator[tuple[int, str]]:
        """Yield the things whose rows are not what they were."""
        for dpid in self._rows.keys() | rows.keys():
            for uid in differing(self._rows.get(dpid, _NO_ROWS), rows.get(dpid, _NO_ROWS)):
                if (dpid, uid) in self._things:
                    yield dpid, uid

    def _put(self, gone: Iterable[Thing], touched: Iterable[Thing]) -> None:
        left: dict[int, list[int]] = {}
        put: dict[int, dict[int, Owner]] = {}
        for thing in gone:
            left.setdefault(thing.location.dpid, []).append(thing.location.ofport)
        for thing in touched:
            place = thing.location
            owner = Owner(thing.name, place.uid, self._device(place.dpid, place.uid))
            put.setdefault(place.dpid, {})[place.ofport] = owner
        for dpid in left.keys() | put.keys():
            ports = self._ports.pop(dpid, _NO_PORTS).but(put.get(dpid), left.get(dpid, ()))
            if ports:
                self._ports[dpid] = ports

    def _device(self, dpid: int, uid: str) -> str:
        """Return the MAC of the device that is plugged in, if it is known."""
        row = self._rows.get(dpid, _NO_ROWS).get(uid)
        return row.mac_in_use or "" if isinstance(row, InterfaceRow) else ""


def _key(thing: Thing) -> tuple[int, str]:
    return thing.location.dpid, thing.location.uid


def _only(here: Inventory, there: Inventory) -> Iterator[Thing]:
    """Yield what one inventory has that the other does not have, or has otherwise."""
    for name in differing(here.endpoints, there.endpoints):
        if name in here.endpoints:
            yield here.endpoints[name]
    if here.unaddressed is not there.unaddressed:
        known = set(there.unaddressed)
        yield from (port for port in here.unaddressed if port not in known)

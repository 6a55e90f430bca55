"""Whose each port is follows the inventory and the rows: what is followed is what is found in all of them."""

from __future__ import annotations

import random

from ryu_apps.gauges import Owner
from ryu_apps.owners import Owners
from topology.events import InterfaceRow
from topology.frozen import FrozenMap
from topology.model import Endpoint, Inventory, Location, UnaddressedPort

DPIDS = (1, 2)


def found_in(inventory, rows):
    found = {}
    for thing in (*inventory.endpoints.values(), *inventory.unaddressed):
        place = thing.location
        row = rows.get(place.dpid, {}).get(place.uid)
        owner = Owner(thing.name, place.uid, row.mac_in_use or "" if row else "")
        found.setdefault(place.dpid, {})[place.ofport] = owner
    return found


def place(chance, number):
    """A port has its row for good, or another one: names, ports and rows come together anew all the time."""
    ofport = chance.randrange(1, 9)
    return Location(chance.choice(DPIDS), ofport, f"v{number}", f"row-{ofport}{chance.choice(('', '+'))}")


def free(location, others):
    taken = {(t.location.dpid, t.location.ofport) for t in others} | {(t.location.dpid, t.location.uid) for t in others}
    return (location.dpid, location.ofport) not in taken and (location.dpid, location.uid) not in taken


def test_owners_that_are_followed_are_those_of_the_whole():
    chance, owners = random.Random(1), Owners()
    people, unaddressed, rows = FrozenMap(), (), {}
    for _ in range(600):
        number = chance.randrange(6)
        name, draw, at = f"e{number}", chance.random(), place(chance, number)
        mac = f"02:00:00:00:00:0{number}"
        people = people.but({}, [name])
        unaddressed = tuple(port for port in unaddressed if port.name != name)
        others = (*people.values(), *unaddressed)
        if draw < 0.4 and free(at, others):
            people = people.but({name: Endpoint(name, "lan", {}, mac, (), (), at)})
        elif draw < 0.6 and free(at, others):
            unaddressed = (*unaddressed, UnaddressedPort(name, "lan", mac, at))
        dpid = chance.choice(DPIDS)
        if draw > 0.95:
            rows = {d: held for d, held in rows.items() if d != dpid}
        else:
            row = InterfaceRow(at.uid, at.interface, mac_in_use=chance.choice((None, mac, "02:00:00:00:00:99")))
            rows = {**rows, dpid: rows.get(dpid, FrozenMap()).but({at.uid: row})}
        if chance.random() < 0.7:  # several at once come to the same
            inventory = Inventory(people, unaddressed)
            found = owners.follow(inventory, rows)
            kept = {dpid: dict(ports) for dpid, ports in found.items()}
            assert kept == found_in(inventory, rows)

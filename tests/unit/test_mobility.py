"""An endpoint that appears at another place goes there; the newest claim wins, and keeps winning."""

import dataclasses

from intent.inventory import build
from intent.inventory.disputes import lost_key
from intent.model import Intents, Network, Router
from ryu_apps.precedence import Gate, behind
from tests.unit.site_kit import bridge, interface, port, site_of, uid
from topology.events import InterfaceRow
from topology.model import Endpoint, Inventory, Location, Tunnel, TunnelKind, UplinkPort
from topology.spans import spans

INTENTS = Intents(networks={"lan": Network("lan")})


def row(number, name, ip="10.0.0.9", mac="02:00:00:00:00:09"):
    ids = {"iface-id": name, "attached-mac": mac, "ringfence:ip": ip, "ringfence:network": "lan"}
    return InterfaceRow(uid(number), f"v{number}", ofport=number, external_ids=ids)


def where(built, name="vm"):
    found = built.inventory.endpoints.get(name)
    return found and found.location.ofport


def made(*rows, before=None):
    numbers = {int(row.uid[:8], 16) for row in rows}
    site = site_of(bridge(numbers), *map(port, numbers), *rows)
    return build(site, INTENTS, before.claims if before else {}, {})


def test_the_newer_of_two_places_wins_and_the_older_is_reported():
    for first, second in ((1, 2), (2, 1)):
        here = made(row(first, "vm"))
        both = made(row(first, "vm"), row(second, "vm"), before=here)
        assert where(both) == second
        assert any(r.subject == "endpoint vm" for r in both.inventory.reports)
        again = made(row(first, "vm"), row(second, "vm"), before=both)
        assert (where(again), again.claims) == (second, both.claims)
        assert where(made(row(second, "vm"), before=again)) == second
        assert where(made(row(first, "vm"), before=again)) == first


def test_a_third_place_wins_over_both():
    second = made(row(1, "vm"), row(2, "vm"), before=made(row(1, "vm")))
    third = made(row(1, "vm"), row(2, "vm"), row(3, "vm"), before=second)
    assert where(third) == 3
    assert set(third.claims[lost_key("vm")].split()) == {uid(1), uid(2)}


def test_of_places_that_came_together_one_has_it_and_stays_and_a_newer_one_still_wins():
    rows = [row(n, "vm") for n in (1, 2, 3)]
    both = made(*rows[:2])
    assert where(both) == 1
    again = made(*rows[:2], before=both)
    assert (where(again), again.claims) == (1, both.claims)
    assert where(made(*rows, before=again)) == 3
    assert where(made(rows[1], before=again)) == 2


def test_of_many_places_the_newest_wins_once():
    rows = [row(n, "vm") for n in range(1, 21)]
    built = made(rows[0])
    for count in (*range(2, 20), 20, 20, 20):
        built = made(*rows[:count], before=built)
        assert where(built) == count
    alone = made(rows[19], before=built)
    assert where(made(*rows[3:], before=alone)) == 20


def test_a_place_that_another_was_in_the_way_of_is_gone_to_when_that_one_goes():
    other = dataclasses.replace(row(3, "x", ip="10.0.0.3", mac="02:00:00:00:00:03"), ofport=2)
    new = row(2, "vm")
    here = made(row(1, "vm"), other)
    blocked = made(row(1, "vm"), other, new, before=here)
    assert where(blocked) == 1
    free = made(row(1, "vm"), new, before=blocked)
    assert where(free) == 2
    assert where(made(row(1, "vm"), new, before=free)) == 2


def test_somebody_else_with_its_name_or_its_address_does_not_take_its_place():
    here = made(row(1, "vm"))
    assert where(made(row(1, "vm"), row(2, "vm", mac="02:00:00:00:00:01"), before=here)) == 1
    assert where(made(row(1, "vm"), row(2, "vm", ip="10.0.0.1"), before=here)) == 1
    assert where(made(row(1, "vm"), row(2, "other"), before=here)) == 1
    assert where(made(row(1, "vm"), interface(3), before=here)) == 1


def endpoint(name, dpid, row="r"):
    return Endpoint(name, "lan", {}, "02:00:00:00:00:01", (), (), Location(dpid, 4, name, f"{row}{dpid}"))


def inventory(*endpoints):
    tunnels = {
        n: Tunnel(TunnelKind.GENEVE, f"192.0.2.{n}", 6081, 9, "t")  # type: ignore[arg-type] # compared only
        for n in (1, 2, 3)
    }
    return Inventory({e.name: e for e in endpoints}, tunnels=tunnels)


def waits(before, after, routers=()):
    return behind(before, after, spans(after, routers))


def test_a_new_port_waits_for_those_who_hear_it_and_for_the_place_it_leaves():
    a, b, moved = endpoint("a", 1), endpoint("b", 2), endpoint("b", 3)
    assert waits(inventory(a), inventory(a, b)) == {2: {4: frozenset({1})}}
    assert waits(inventory(a, b), inventory(a, moved)) == {3: {4: frozenset({1, 2})}}
    assert waits(inventory(a, b), inventory(a, b)) == {}
    assert waits(inventory(a, b), inventory(a)) == {}
    assert waits(Inventory({"a": a}), Inventory({"a": a, "b": b})) == {}


def test_a_new_port_waits_for_those_who_hear_it_by_a_router():
    a, b = endpoint("a", 1), dataclasses.replace(endpoint("b", 2), network="back")
    edge = Router("edge", ("lan", "back"), "02:52:00:00:00:01", "world")
    way = UplinkPort("world", Location(3, 9, "up", "up"), "02:00:00:00:00:09")
    here, then = (dataclasses.replace(inventory(*them), uplinks=(way,)) for them in ((a,), (a, b)))
    assert waits(here, then, (edge,)) == {2: {4: frozenset({1, 3})}}
    assert waits(here, then) == {}


def test_a_gate_opens_when_all_know_or_when_patience_ends():
    gate, known = Gate(), {2}
    gate.hold({1: {4: frozenset({2, 3}), 5: frozenset({2})}}, 10.0)
    assert gate.held(1, known.__contains__, 10.02) == (frozenset({4}), 10.1 - 10.02)
    assert gate.waiting() == [1]
    known.add(3)
    assert gate.held(1, known.__contains__, 10.03) == (frozenset(), None)
    gate.hold({1: {4: frozenset({9})}}, 10.0)
    assert gate.held(1, known.__contains__, 10.2) == (frozenset(), None)
    assert gate.waiting() == []

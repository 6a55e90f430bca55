"""Addresses are learned only where the network says so, within bounds, and never someone else's."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from intent.inventory import Sighting, build, dump_learned, learn, load_learned
from intent.model import Binding, EndpointIntent, Intents, Network
from tests.unit.site_kit import HOST, bridge, interface, port, site_of, uid
from topology.events import HostResynced
from topology.site import empty_site, reduce

SHOP = Network("shop", subnets=(ip_network("10.0.0.0/8"),), learn=frozenset({"arp", "dhcp"}), learn_limit=2)
LEARNING = Intents(networks={"shop": SHOP})


def site(*numbers: int, declared: tuple[int, ...] = ()):
    rows = [interface(n, ringfence_ip="" if n not in declared else f"10.0.0.{n}") for n in numbers]
    return site_of(bridge(set(numbers)), *map(port, numbers), *rows)


def sees(built, name: str, address: str, source: str = "arp") -> Sighting:
    ports = {p.name: p for p in built.inventory.unaddressed} | dict(built.inventory.endpoints)
    return Sighting(ports[name], source, ip_address(address))


def learned_by(built, learned, intents, *sightings: tuple[str, str]):
    reports = []
    for name, address in sightings:
        learning = learn(learned, sees(built, name, address), intents, built)
        learned = learning.learned
        reports.append(learning.report)
        built = build(site(1, 2), intents, built.claims, learned)
    return built, learned, reports


def test_a_port_without_address_waits_for_one_and_gets_it():
    built = build(site(1), LEARNING, {}, {})
    assert [p.name for p in built.inventory.unaddressed] == ["e1"]
    assert not built.inventory.endpoints
    learning = learn({}, sees(built, "e1", "10.0.0.5"), LEARNING, built)
    assert learning.report is None
    after = build(site(1), LEARNING, built.claims, load_learned(dump_learned(learning.learned)))
    assert after.inventory.endpoints["e1"].addresses == (ip_address("10.0.0.5"),)
    assert after.inventory.unaddressed == ()
    assert after.learned == learning.learned


def test_an_endpoint_may_learn_beside_what_it_declares():
    built = build(site(1, declared=(1,)), LEARNING, {}, {})
    learned = learn({}, sees(built, "e1", "10.0.0.50"), LEARNING, built).learned
    after = build(site(1, declared=(1,)), LEARNING, built.claims, learned)
    assert [str(a) for a in after.inventory.endpoints["e1"].addresses] == ["10.0.0.1", "10.0.0.50"]


@pytest.mark.parametrize(
    ("address", "source", "word"),
    [
        ("10.0.0.5", "nd", "does not learn"),
        ("192.0.2.1", "arp", "outside the subnets"),
        ("224.0.0.1", "arp", "no address that one host"),
        ("10.0.0.2", "arp", "declared for another"),
        ("10.0.0.99", "dhcp", "declared for another"),
    ],
)
def test_what_is_not_to_be_learned_is_refused_and_reported(address, source, word):
    unplugged = EndpointIntent("later", Binding(iface_id="zz"), network="shop", addresses=(ip_address("10.0.0.99"),))
    intents = Intents(networks=LEARNING.networks, endpoints={"later": unplugged})
    built = build(site(1, 2, declared=(2,)), intents, {}, {})
    before: dict = {}
    learning = learn(before, sees(built, "e1", address, source), intents, built)
    assert learning.learned is before
    assert learning.report is not None
    assert word in learning.report.problem


def test_a_port_learns_no_more_than_the_limit_and_nothing_twice():
    built = build(site(1, 2), LEARNING, {}, {})
    _, learned, reports = learned_by(
        built, {}, LEARNING, ("e1", "10.0.0.5"), ("e1", "10.0.0.5"), ("e1", "10.0.0.6"), ("e1", "10.0.0.7")
    )
    assert learned == {f"{uid(1)}/e1": (ip_address("10.0.0.5"), ip_address("10.0.0.6"))}
    assert [r is None for r in reports] == [True, True, True, False]
    assert "already has 2" in reports[3].problem


def test_what_another_port_learned_first_is_its():
    built = build(site(1, 2), LEARNING, {}, {})
    _, learned, reports = learned_by(built, {}, LEARNING, ("e2", "10.0.0.5"), ("e1", "10.0.0.5"))
    assert list(learned) == [f"{uid(2)}/e2"]
    assert "held by endpoint e2" in reports[1].problem


def test_stored_addresses_that_two_ports_learned_stay_with_the_first():
    both = {f"{uid(n)}/e{n}": (ip_address("10.0.0.5"),) for n in (1, 2)}
    first = build(site(2), LEARNING, {}, both)
    after = build(site(1, 2), LEARNING, first.claims, both)
    assert set(after.inventory.endpoints) == {"e2"}
    assert list(after.learned) == [f"{uid(2)}/e2"]


def test_a_declaration_beats_what_was_learned():
    learned = {f"{uid(1)}/e1": (ip_address("10.0.0.2"),)}
    built = build(site(1), LEARNING, {}, learned)
    assert set(built.inventory.endpoints) == {"e1"}
    after = build(site(1, 2, declared=(2,)), LEARNING, built.claims, learned)
    assert set(after.inventory.endpoints) == {"e2"}
    assert [p.name for p in after.inventory.unaddressed] == ["e1"]
    assert after.learned == {}


def test_learned_addresses_go_with_the_port_and_with_the_permission():
    learned = {f"{uid(1)}/e1": (ip_address("10.0.0.5"), ip_address("192.0.2.1"))}
    assert build(site(1), LEARNING, {}, learned).learned == {f"{uid(1)}/e1": (ip_address("10.0.0.5"),)}
    assert build(site(2), LEARNING, {}, learned).learned == {}
    silent = Intents(networks={"shop": Network("shop")})
    for declared in ((), (1,)):
        assert build(site(1, declared=declared), silent, {}, learned).learned == {}
    built = build(site(1), silent, {}, learned)
    assert not built.inventory.unaddressed


def test_learned_addresses_of_hosts_not_heard_of_yet_stay():
    learned = {f"{uid(1)}/e1": (ip_address("10.0.0.5"),)}
    waiting = reduce(empty_site("me", [HOST, "unix:late"]), HostResynced(HOST, ()))
    assert build(waiting, LEARNING, {}, learned).learned == learned


def test_a_network_that_is_gone_learns_nothing():
    built = build(site(1), LEARNING, {}, {})
    assert learn({}, sees(built, "e1", "10.0.0.5"), Intents(), built).learned == {}


def test_stored_addresses_that_are_none_are_refused():
    assert load_learned(None) == {}
    for data in (b"{}", b'[["a", [3]]]', b'[["a", ["x"]]]', b"[1]"):
        with pytest.raises(ValueError, match=r".+"):
            load_learned(data)

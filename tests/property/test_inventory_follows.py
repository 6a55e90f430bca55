"""The inventory that follows the change is the one that `build` makes of everything, whatever comes in what order."""

from __future__ import annotations

import dataclasses
import random
from ipaddress import ip_address, ip_network

import pytest

from intent.inventory import Follower, Grants, Sighting, build, learn
from intent.model import Binding, EndpointIntent, Intents, Mirror, Network, PortForward, Router, Uplink
from tests.unit.site_kit import bridge, interface, uid
from topology.events import HostLost, HostResynced, PortRow, RefusedRow, RowsChanged
from topology.joined import Joined, JoinedBridges, without_error
from topology.model import NamedPort
from topology.site import empty_site, reduce

HOSTS = ("unix:a", "unix:b")
NUMBERS = range(1, 9)
GRANTS = Grants(("*", "!secret*"))


def random_interface(chance):
    number = chance.choice(NUMBERS)
    ids = {
        "iface-id": f"e{chance.choice(NUMBERS)}",
        "attached-mac": f"02:00:00:00:00:{chance.choice(NUMBERS):02x}",
        "ringfence_network": chance.choice(("shop", "shop", "bank", "nowhere")),
        "ringfence_ip": chance.choice(("", "", "10.0.0.99x", *(f"10.0.0.{n}" for n in NUMBERS))),
    }
    if chance.random() < 0.2:
        ids["ringfence_label/secret"] = "x"
    ofport = None if chance.random() < 0.1 else chance.choice(NUMBERS)
    row = interface(number, ofport=ofport, **ids)
    return dataclasses.replace(row, external_ids={k: v for k, v in row.external_ids.items() if chance.random() < 0.9})


def random_row(chance):
    kind = chance.random()
    if kind < 0.6:
        return random_interface(chance)
    if kind < 0.75:
        number = chance.choice(NUMBERS)
        named = frozenset({uid(number)} if chance.random() < 0.8 else {uid(chance.choice(NUMBERS)) for _ in range(2)})
        return PortRow(uid(100 + number), f"v{number}", named)
    if kind < 0.9:
        ports = {n for n in NUMBERS if chance.random() < 0.8}
        row = bridge(ports, "me" if chance.random() < 0.9 else "other")
        return row if chance.random() < 0.8 else dataclasses.replace(row, uid=uid(201), dpid=chance.choice((2, None)))
    return RefusedRow(uid(chance.choice((*NUMBERS, 101, 200))), "Interface", "bad", "a name too long")


def random_event(chance, site):
    host = chance.choice(HOSTS)
    draw = chance.random()
    if draw < 0.03:
        return HostLost(host)
    if draw < 0.08:
        return HostResynced(host, tuple(r for r in site.hosts[host].rows.values() if chance.random() < 0.9))
    if draw < 0.2:
        rows = site.hosts[host].rows
        return RowsChanged(host, gone=(chance.choice(sorted(rows)),) if rows else ())
    return RowsChanged(host, rows=tuple(random_row(chance) for _ in range(chance.choice((1, 1, 1, 3)))))


def random_document(chance):
    number = chance.choice(NUMBERS)
    labels = {key: chance.choice("xy") for key in ("role", "secret") if chance.random() < 0.4}
    if chance.random() < 0.05:
        labels["ringfence/name"] = "not-mine"
    by_id, by_place = Binding(iface_id=f"e{chance.choice(NUMBERS)}"), Binding(None, "br", f"v{chance.choice(NUMBERS)}")
    return EndpointIntent(
        f"{chance.choice('ed')}{number}",
        chance.choice((by_id, by_place)),
        network=chance.choice((None, "shop", "bank")),
        labels=labels,
        mac=chance.choice((None, None, f"02:00:00:00:00:{number:02x}")),
        ports=tuple(NamedPort(chance.choice(("web", "db")), 6, n) for n in (80, 81) if chance.random() < 0.2),
        addresses=chance.choice((None, (), (ip_address(f"10.0.0.{chance.choice(NUMBERS)}"),))),
    )


def rerouted(chance, intents):
    """An uplink that comes, goes, moves or translates otherwise, or a router that joins other networks to it."""
    draw = chance.random()
    if draw < 0.3:
        router = Router(
            "r", chance.choice((("shop",), ("shop", "bank"))), "02:52:00:00:00:01", chance.choice(("up", None))
        )
        return dataclasses.replace(intents, routers={} if draw < 0.1 else {"r": router})
    binding = Binding(None, "br", f"v{chance.choice(NUMBERS)}")
    if chance.random() < 0.3:
        binding = Binding(iface_id=f"e{chance.choice(NUMBERS)}")
    uplink = intents.uplinks.get("up")
    if uplink is None or chance.random() < 0.3:
        uplink = Uplink("up", binding, "02:00:00:00:00:77")
    elif chance.random() < 0.2:
        return dataclasses.replace(intents, uplinks={})
    shown = ip_address("203.0.113.1")
    ends = (f"{chance.choice('ed')}{chance.choice(NUMBERS)}", ip_address(f"10.0.0.{chance.choice(NUMBERS)}"))
    forwards = tuple(
        PortForward(shown, 6, 80 + n, 80 + n, chance.choice(ends)) for n in range(chance.choice((0, 1, 2)))
    )
    uplink = dataclasses.replace(uplink, forwards=forwards, snat=(shown,) if chance.random() < 0.5 else ())
    return dataclasses.replace(intents, uplinks={"up": uplink})


def with_a_way_out(intents):
    """An uplink that is plugged in most of the time, with a port for everybody."""
    forwards = tuple(PortForward(ip_address("203.0.113.1"), 6, n, n, f"e{n}") for n in NUMBERS)
    uplink = Uplink("up", Binding(None, "br", "v8"), "02:00:00:00:00:77", forwards=forwards)
    router = Router("r", ("shop", "bank"), "02:52:00:00:00:01", "up")
    return dataclasses.replace(intents, uplinks={"up": uplink}, routers={"r": router})


def relabelled(chance, intents):
    """Other labels and ports for some endpoints, and nothing else: the commonest of changes."""
    names = sorted(intents.endpoints)
    news = {name: random_document(chance) for name in chance.sample(names, min(len(names), chance.choice((1, 1, 3))))}
    endpoints = {
        name: dataclasses.replace(intents.endpoints[name], labels=new.labels, ports=new.ports)
        for name, new in news.items()
    }
    return dataclasses.replace(intents, endpoints={**intents.endpoints, **endpoints})


def changed(chance, intents):
    if chance.random() < 0.4:
        intents = relabelled(chance, intents)
        if chance.random() < 0.7:
            return intents
    if chance.random() < 0.3:
        name = chance.choice(("shop", "bank"))
        learned = frozenset({"arp"}) if chance.random() < 0.6 else frozenset()
        network = Network(name, subnets=(ip_network("10.0.0.0/8"),), learn=learned, learn_limit=2)
        networks = {**intents.networks, name: network}
        if chance.random() < 0.2:
            del networks[name]
        return dataclasses.replace(intents, networks=networks)
    if chance.random() < 0.25:
        return rerouted(chance, intents)
    if chance.random() < 0.1:
        mirror = Mirror("tap", Binding(None, "br", f"v{chance.choice(NUMBERS)}"))
        return dataclasses.replace(intents, mirrors={} if intents.mirrors else {"tap": mirror})
    document = random_document(chance)
    endpoints = {**intents.endpoints, document.name: document}
    if chance.random() < 0.4:
        del endpoints[document.name]
    return dataclasses.replace(intents, endpoints=endpoints)


def random_world(chance, site, intents, learned, built):
    """One step of a history: an event, a document, or an address that somebody was seen to use."""
    draw = chance.random()
    ports = [*built.inventory.endpoints.values(), *built.inventory.unaddressed]
    if draw < 0.2:
        return site, changed(chance, intents), learned
    if draw < 0.4 and ports:
        port = chance.choice(sorted(ports, key=lambda p: p.name))
        sighting = Sighting(port, "arp", ip_address(f"10.0.0.{chance.choice((*NUMBERS, 20, 21, 22))}"))
        return site, intents, learn(learned, sighting, intents, built).learned
    event = random_event(chance, site)
    for _ in range(chance.choice((1, 1, 2))):  # what is said twice is no news
        site = reduce(site, event)
    return site, intents, learned


def beginning():
    site = empty_site("me", HOSTS)
    ports = [PortRow(uid(100 + n), f"v{n}", frozenset({uid(n)})) for n in NUMBERS]
    for host in HOSTS:
        site = reduce(site, HostResynced(host, (bridge(set(NUMBERS)), *ports)))
    networks = {"shop": Network("shop", learn=frozenset({"arp"}), learn_limit=2), "bank": Network("bank")}
    return site, Intents(networks=networks)


@pytest.mark.parametrize("seed", range(120))
def test_what_follows_is_what_is_built_of_everything(seed):
    chance = random.Random(seed)
    site, intents = beginning()
    if seed % 2:
        intents = with_a_way_out(intents)
    follower, joined, bridges = Follower(), Joined(), JoinedBridges()
    claims, learned = {}, {}
    built = build(site, intents, claims, learned, GRANTS)
    for _ in range(40):
        for _ in range(chance.choice((1, 1, 1, 4))):  # several at once come to the same
            site, intents, learned = random_world(chance, site, intents, learned, built)
        if chance.random() < 0.03:
            follower = Follower()  # a restart
        expected = build(site, intents, dict(claims), dict(learned), GRANTS)
        if chance.random() < 0.3:
            assert build(site, intents, expected.claims, expected.learned, GRANTS) == expected, "a restart moves nobody"
        built = follower.build(site, intents, claims, learned, GRANTS)
        assert built == expected
        assert follower.build(site, intents, built.claims, built.learned, GRANTS).inventory is built.inventory
        joined.follow(site)
        assert bridges.follow(site) == site.bridges()
        assert bridges.follow(site) is bridges.follow(site)
        assert sorted(joined.interfaces.values(), key=repr) == sorted(map(without_error, site.interfaces()), key=repr)
        claims, learned = built.claims, built.learned


@pytest.mark.parametrize("seed", range(20))
def test_the_order_of_events_does_not_matter_to_who_has_no_rival(seed):
    chance = random.Random(seed)
    events = [RowsChanged(HOSTS[0], rows=(interface(n),)) for n in NUMBERS]
    whole = None
    for order in (events, events[::-1], chance.sample(events, len(events))):
        site, intents = beginning()
        follower, built = Follower(), None
        for event in order:
            site = reduce(site, event)
            built = follower.build(site, intents, built.claims if built else {}, {}, GRANTS)
        whole = whole or built
        assert (built.inventory, built.claims) == (whole.inventory, whole.claims)


@pytest.mark.parametrize("first", [1, 7])
def test_who_comes_while_all_is_looked_at_anew_and_loses_leaves_the_holder_in_its_place(first):
    """A port without an address that calls itself what another is called, and the network is another at once."""
    site, intents = beginning()
    follower, claims = Follower(), {}
    ids = {"iface-id": "e5", "ringfence_network": "shop"}
    for number, limit in ((5, 2), (first, 3)):
        row = interface(number, **ids, **{"attached-mac": f"02:00:00:00:00:0{number}"})
        site = reduce(site, RowsChanged(HOSTS[0], rows=(without_address(row),)))
        shop = dataclasses.replace(intents.networks["shop"], learn_limit=limit)
        intents = dataclasses.replace(intents, networks={"shop": shop})
        expected = build(site, intents, claims, {})
        built = follower.build(site, intents, claims, {})
        claims = built.claims
        assert built == expected
        assert [port.location.interface for port in built.inventory.unaddressed] == ["v5"]


def without_address(row):
    return dataclasses.replace(row, external_ids={k: v for k, v in row.external_ids.items() if "ip" not in k})


def test_a_site_that_is_not_complete_is_built_as_ever():
    _, intents = beginning()
    site = empty_site("me", HOSTS)
    assert Follower().build(site, intents, {}, {}) == build(site, intents, {}, {})


def crowd(chance, count):
    """Many endpoints with documents, few of which want what others want."""
    documents = {}
    for n in range(count):
        mine = chance.randrange(count) if chance.random() < 0.1 else n
        documents[f"e{n}"] = EndpointIntent(
            f"e{n}",
            Binding(iface_id=f"e{n}"),
            network="shop",
            labels={"role": str(chance.randrange(3))},
            mac=f"02:00:00:00:01:{n:02x}",
            addresses=() if chance.random() < 0.1 else (ip_address(f"10.0.1.{mine}"),),
        )
    return documents


@pytest.mark.parametrize("seed", range(12))
def test_what_follows_much_at_once_is_what_is_built_of_everything(seed):
    """Most of a big change needs no settlement, some of it does, and they are among each other."""
    chance, count = random.Random(seed), 40
    site, intents = beginning()
    ports = [PortRow(uid(1000 + n), f"c{n}", frozenset({uid(2000 + n)})) for n in range(count)]
    rows = [interface(2000 + n, ofport=100 + n, **{"iface-id": f"e{n}"}) for n in range(count)]
    rows = [dataclasses.replace(row, external_ids={"iface-id": row.external_ids["iface-id"]}) for row in rows]
    whole = dataclasses.replace(bridge(set()), ports=frozenset(port.uid for port in ports))
    site = reduce(site, HostResynced(HOSTS[0], (whole, *ports, *rows)))
    follower, claims, learned = Follower(), {}, {}
    for _ in range(12):
        kept = {name: d for name, d in intents.endpoints.items() if chance.random() < 0.5}
        drawn = {name: d for name, d in crowd(chance, count).items() if chance.random() < 0.8}
        intents = dataclasses.replace(intents, endpoints={**drawn, **kept})
        moved = [dataclasses.replace(r, ofport=chance.randrange(100, 105)) for r in rows if chance.random() < 0.05]
        site = reduce(site, RowsChanged(HOSTS[0], rows=tuple(moved)))
        expected = build(site, intents, dict(claims), dict(learned), GRANTS)
        built = follower.build(site, intents, claims, learned, GRANTS)
        assert built == expected
        claims, learned = built.claims, built.learned
        for port in chance.sample(built.inventory.unaddressed, min(2, len(built.inventory.unaddressed))):
            sighting = Sighting(port, "arp", ip_address(f"10.0.1.{chance.randrange(count)}"))
            learned = learn(learned, sighting, intents, built).learned

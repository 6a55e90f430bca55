"""What a big change costs the inventory: nobody is examined or settled anew whom it does not concern."""

from __future__ import annotations

import dataclasses
import random

import pytest

from intent.inventory import Follower, build, follow, parts
from intent.inventory.ties import Ties
from intent.model import Binding, EndpointIntent, Intents, Network
from tests.unit.site_kit import HOST, bridge, interface, port
from topology.events import HostResynced
from topology.site import empty_site, reduce

COUNT = 50
NAMES = [f"e{n}" for n in range(1, COUNT + 1)]


def crowded_site():
    rows = [dataclasses.replace(interface(n), external_ids={"iface-id": f"e{n}"}) for n in range(1, COUNT + 1)]
    event = HostResynced(HOST, (bridge(set(range(1, COUNT + 1))), *map(port, range(1, COUNT + 1)), *rows))
    return reduce(empty_site("me", [HOST]), event)


def crowd(role):
    documents = [
        EndpointIntent(
            name, Binding(iface_id=name), network="shop", labels={"role": role}, mac=f"02:00:00:00:00:{number:02x}"
        )
        for number, name in enumerate(NAMES)
    ]
    network = Network("shop", learn=frozenset({"arp"}))
    return Intents(networks={"shop": network}, endpoints={document.name: document for document in documents})


@pytest.fixture
def counted(monkeypatch):
    """Count how often an interface is considered and a dispute is settled."""
    counts = {"consider": 0, "settle": 0}

    def counting(module, name):
        function = getattr(module, name)

        def wrapped(*arguments, **named):
            counts[name] += 1
            return function(*arguments, **named)

        monkeypatch.setattr(module, name, wrapped)

    counting(parts, "consider")
    counting(follow, "settle")
    return counts


def test_who_wants_what_nobody_else_does_needs_no_settlement(counted):
    site, intents, follower = crowded_site(), crowd("a"), Follower()
    built = follower.build(site, intents, {}, {})
    assert counted == {"consider": COUNT, "settle": 0}
    assert built == build(site, intents, {}, {})
    assert len(built.inventory.unaddressed) == COUNT


def test_who_gets_other_labels_is_not_examined_anew(counted):
    site, follower = crowded_site(), Follower()
    built = follower.build(site, crowd("a"), {}, {})
    counted["consider"] = 0
    intents = dataclasses.replace(crowd("b"), networks=crowd("a").networks)
    again = follower.build(site, intents, built.claims, built.learned)
    assert counted["consider"] == COUNT, "the network is another object, and might be another"
    intents = dataclasses.replace(intents, endpoints=crowd("c").endpoints)
    counted["consider"] = 0
    last = follower.build(site, intents, again.claims, again.learned)
    assert counted == {"consider": 0, "settle": 0}
    assert last == build(site, intents, dict(built.claims), {})


@pytest.mark.parametrize("key", ["ringfence/name", "role"])
def test_a_label_that_nobody_may_set_is_reported_whenever_it_comes(key):
    site, follower, networks = crowded_site(), Follower(), crowd("a").networks
    claims = {}
    for role in ("a", "b", "a"):
        endpoints = dict(crowd(role).endpoints)
        if role == "b":
            endpoints["e7"] = dataclasses.replace(endpoints["e7"], labels={key: "x"})
        intents = Intents(networks=networks, endpoints=endpoints)
        built = follower.build(site, intents, claims, {})
        assert built == build(site, intents, dict(claims), {})
        claims = built.claims


@pytest.mark.parametrize("seed", range(5))
def test_ties_are_found_from_each_thing(seed):
    chance, ties, wants = random.Random(seed), Ties(), {}
    for _ in range(300):
        source = ("h", "br", "v", str(chance.randrange(12)), 0)
        if source in wants:
            ties.drop(source, wants.pop(source))
        else:
            wants[source] = tuple(str(chance.randrange(9)) for _ in range(3))
            others = {thing for s, things in wants.items() if s != source for thing in things}
            assert ties.put(source, wants[source]) is others.isdisjoint(wants[source])
        for thing in map(str, range(9)):
            there = {s for s, things in wants.items() if thing in things}
            found = list(ties.those(thing))
            assert (set(found), len(found)) == (there, len(there))
            assert ties.is_shared(thing) is (len(there) > 1)

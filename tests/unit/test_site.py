"""The site depends on what the rows are, not on how they came."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from intent.inventory import build
from tests.unit.site_kit import HOST, INTENTS, bridge, interface, port, site_of, uid
from topology.events import (
    ControllerRow,
    HostLost,
    HostResynced,
    PortRow,
    RefusedRow,
    RootRow,
    RowsChanged,
)
from topology.site import Site, empty_site, reduce


def replay(events) -> Site:
    site = empty_site("me", [HOST])
    for event in events:
        site = reduce(site, event)
    return site


numbers = st.integers(1, 6)
rows = st.one_of(
    st.builds(interface, numbers, ofport=st.integers(1, 6)),
    st.builds(port, numbers),
    st.builds(bridge, st.frozensets(numbers)),
)
changes = st.one_of(
    st.builds(lambda row: RowsChanged(HOST, rows=(row,)), rows),
    st.builds(lambda row: RowsChanged(HOST, gone=(row.uid,)), rows),
)


def touched(event: RowsChanged) -> str:
    return event.rows[0].uid if event.rows else event.gone[0]


def interleave(events: list[RowsChanged], rng: random.Random) -> list[RowsChanged]:
    """Any order that keeps the order of changes of each row."""
    queues: dict[str, list[RowsChanged]] = {}
    for event in events:
        queues.setdefault(touched(event), []).append(event)
    shuffled = []
    while queues:
        key = rng.choice(sorted(queues))
        shuffled.append(queues[key].pop(0))
        if not queues[key]:
            del queues[key]
    return shuffled


def squash(events: list[RowsChanged], rng: random.Random) -> list[RowsChanged]:
    """Runs of changes as one, each row as it is at the end of the run."""
    squashed, run = [], {}
    for event in events:
        run[touched(event)] = event
        if rng.random() < 0.4:
            squashed.append(merged(run))
            run = {}
    return [*squashed, merged(run)]


def merged(run: dict[str, RowsChanged]) -> RowsChanged:
    events = run.values()
    return RowsChanged(HOST, tuple(r for e in events for r in e.rows), tuple(g for e in events for g in e.gone))


@settings(max_examples=300, deadline=None)
@given(st.lists(changes, max_size=30), st.integers(0, 2**32))
def test_shuffled_squashed_and_duplicated_events_give_the_same_site_and_inventory(events, seed):
    rng = random.Random(seed)
    resync = HostResynced(HOST, tuple(replay(events).hosts[HOST].rows.values() if events else ()))
    variants = [
        interleave(events, rng),
        squash(events, rng),
        [copy for event in events for copy in [event] * rng.choice([1, 2])],
        [*events, RowsChanged(HOST), HostLost(HOST), resync],
    ]
    sites = [reduce(replay(variant), HostLost(HOST)) for variant in variants]
    expected = reduce(replay(events), HostLost(HOST))
    assert [site.hosts[HOST].rows for site in sites] == [expected.hosts[HOST].rows] * len(sites)
    inventories = [build(site, INTENTS, {}, {}).inventory for site in sites]
    assert inventories == [build(expected, INTENTS, {}, {}).inventory] * len(sites)


@given(st.lists(changes, max_size=20), st.lists(rows, max_size=10, unique_by=lambda row: row.uid))
def test_a_resync_gives_the_same_value_whatever_came_before(events, state):
    resync = HostResynced(HOST, tuple(state))
    assert reduce(replay(events), resync) == reduce(empty_site("me", [HOST]), resync)


def test_news_that_are_none_give_the_same_object():
    site = site_of(bridge({1}), port(1), interface(1))
    assert reduce(site, RowsChanged(HOST, rows=(interface(1),), gone=(uid(77),))) is site
    assert reduce(site, HostResynced(HOST, tuple(site.hosts[HOST].rows.values()))) is site
    lost = reduce(site, HostLost(HOST))
    assert lost.hosts[HOST].stale
    assert reduce(lost, HostLost(HOST, "again")) is lost


def test_a_lost_host_keeps_its_rows_and_a_site_is_complete_when_each_host_has_spoken():
    site = empty_site("me", [HOST, "unix:other"])
    assert not site.complete
    site = reduce(site, HostResynced(HOST, (bridge({1}), port(1), interface(1))))
    assert not site.complete
    site = reduce(site, HostResynced("unix:other", ()))
    assert site.complete
    assert len(reduce(site, HostLost(HOST)).interfaces()) == 1
    assert not empty_site("me", []).complete


def test_rows_join_to_bridges_and_interfaces():
    controller = ControllerRow(uid(50), "tcp:127.0.0.1:6653")
    site = site_of(bridge({1}, controllers=frozenset({uid(50), uid(51)})), port(1), interface(1), controller)
    joined = site.bridge(HOST, "br")
    assert joined is not None
    assert joined.ours
    assert joined.controllers == (controller,)
    assert site.bridges() == (joined,)
    assert [(i.bridge, i.name, i.dpid, i.ours) for i in site.interfaces()] == [("br", "v1", 1, True)]
    assert site.bridge(HOST, "nope") is None
    assert site.bridge("nowhere", "br") is None


def test_bridges_of_others_are_not_ours():
    assert not site_of(bridge({1}, owner="you"), port(1), interface(1)).interfaces()[0].ours


def test_rows_that_dangle_are_nowhere():
    assert site_of(bridge({1, 2}), port(1)).interfaces() == ()
    assert site_of(interface(1), port(1)).interfaces() == ()


def test_an_interface_in_two_ports_is_nobodys():
    twin = PortRow(uid(102), "twin", frozenset({uid(1)}))
    assert site_of(bridge({1, 2}), port(1), twin, interface(1)).interfaces() == ()


def test_root_and_refused_rows_are_found():
    refused = RefusedRow(uid(9), "Interface", "v9", "too long")
    site = site_of(RootRow(uid(1), cur_cfg=3), refused)
    assert site.hosts[HOST].root == RootRow(uid(1), cur_cfg=3)
    assert site.refused() == ((HOST, refused),)
    assert empty_site("me", [HOST]).hosts[HOST].root is None

"""The site depends on what the rows are, not on how they came."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from intent.inventory import build
from tests.unit.site_kit import HOST, INTENTS, bridge, interface, port
from topology.events import HostLost, HostResynced, RowsChanged
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


@settings(max_examples=300)
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

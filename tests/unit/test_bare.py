"""Switches without a database of ours: what they say of their ports becomes rows, and is kept over restarts."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ryu_apps.bare import KEY, BareSwitches
from topology.fabric import link_port
from topology.frozen import FrozenMap
from topology.site import empty_site, reduce

A, B = 0xA, 0xB
HOST = f"openflow:{A:016x}"
PORTS = {1: "one", 2: "two", 3: "wire", 0xFFFFFFFE: "br0"}


class Store:
    """State in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.writes = 0

    def state(self, key: str) -> bytes | None:
        return self.kept.get(key)

    def put_state(self, values) -> None:
        self.writes += 1
        self.kept |= values


class Field:
    """Switches that come and go, and the site that is made of what they say."""

    def __init__(self, store: Store | None = None, links=("wire",)) -> None:
        self.store = store or Store()
        self.site = empty_site("me", [])
        self.told = 0
        self.sessions: dict[int, SimpleNamespace] = {}
        self.bare = BareSwitches({A: links}, ("br", "me"), self.store, self.sessions.get, self.observe)

    def observe(self, event) -> None:
        self.told += 1
        self.site = reduce(self.site, event)

    def connect(self, ports=PORTS) -> None:
        self.sessions[A] = SimpleNamespace(dpid=A, ports=FrozenMap(ports))
        self.bare.look()

    def change(self, ports) -> None:
        self.sessions[A].ports = FrozenMap(ports)
        self.bare.ports_changed(self.sessions[A])

    def ports(self) -> dict[int | None, tuple[str, bool]]:
        return {i.ofport: (i.name, link_port(i)) for i in self.site.interfaces()}

    def uids(self) -> dict[str, str]:
        return {i.name: i.uid for i in self.site.interfaces()}


@pytest.fixture
def field():
    return Field()


def test_ports_become_interfaces_and_those_named_are_for_links(field):
    assert not field.site.hosts
    field.connect()
    assert field.ports() == {1: ("one", False), 2: ("two", False), 3: ("wire", True)}
    (bridge,) = field.site.bridges()
    assert (bridge.host, bridge.name, bridge.dpid, bridge.ours) == (HOST, "br", A, True)
    assert field.site.complete
    assert field.bare.hosts == {HOST: A}
    told = field.told
    field.bare.look()
    assert field.told == told


def test_all_may_be_for_links():
    field = Field(links="all")
    field.connect()
    assert {is_link for _, is_link in field.ports().values()} == {True}


def test_names_that_say_nothing_make_no_ports(field):
    field.connect({1: "same", 2: "same", 3: "", 4: "a\nb", 0xFF00: "far", 5: "good"})
    assert field.ports() == {5: ("good", False)}


def test_a_port_that_came_back_is_another_even_if_nobody_looked_meanwhile(field):
    field.connect()
    before = field.uids()
    field.change({n: name for n, name in PORTS.items() if n != 1})
    field.change(PORTS)
    field.bare.look()
    after = field.uids()
    assert after["one"] != before["one"]
    assert {n: u for n, u in after.items() if n != "one"} == {n: u for n, u in before.items() if n != "one"}


def test_who_is_away_keeps_its_place_and_is_shown_as_stale(field):
    field.connect()
    before = field.uids()
    del field.sessions[A]
    field.bare.look()
    field.bare.look()
    assert field.site.hosts[HOST].stale
    assert field.uids() == before
    field.connect()
    assert not field.site.hosts[HOST].stale
    assert field.uids() == before


def test_a_restart_knows_what_was_and_writes_nothing(field):
    field.connect()
    again = Field(field.store)
    assert again.uids() == field.uids()
    assert again.site.complete
    assert again.site.hosts[HOST].stale
    again.connect()
    assert again.uids() == field.uids()
    assert field.store.writes == 1


def test_a_switch_that_is_listed_no_more_is_forgotten(field):
    field.connect()
    found = []
    BareSwitches({B: "all"}, ("br", "me"), field.store, {}.get, found.append)
    assert found == []


@pytest.mark.parametrize("raw", [b"{", b"[]", b'{"x": {}}', b'{"000000000000000a": {"1": ["n"]}}'])
def test_a_state_that_cannot_be_read_is_begun_anew(raw, caplog):
    store = Store()
    store.kept[KEY] = raw
    field = Field(store)
    assert not field.site.hosts
    assert "cannot be read" in caplog.text
    field.connect()
    assert len(field.ports()) == 3

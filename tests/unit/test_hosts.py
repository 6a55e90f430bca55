"""Hosts that dial in, as the controller keeps them: remembered, waited for, forgotten. No network but loopback."""

from __future__ import annotations

import json

import pytest

from ovsdb import BridgeWish
from ryu_apps.config_hosts import Ovsdb, OvsdbListen
from ryu_apps.hosts import HOSTS, Hosts, known_hosts
from topology.events import HostForgotten
from topology.site import empty_site, reduce


class Store:
    """The state that the store keeps."""

    def __init__(self, **values: bytes) -> None:
        self.values = values

    def state(self, key):
        return self.values.get(key)

    def put_state(self, values) -> None:
        self.values.update(values)


ANYBODY = Ovsdb(targets=(), listen=OvsdbListen())
LISTED = Ovsdb(targets=(), listen=OvsdbListen(hosts=("a",)))


@pytest.mark.parametrize(
    ("kept", "config", "known"),
    [
        (b'["a", "b"]', ANYBODY, ("a", "b")),
        (b'["a", "b"]', LISTED, ("a",)),
        (b'["a", "b"]', Ovsdb(), ()),
        (b'["a/b", 5, "", "x"]', ANYBODY, ("x",)),
        (b"{}", ANYBODY, ()),
        (b"\xff", ANYBODY, ()),
        (b"7", ANYBODY, ()),
    ],
)
def test_known_are_the_hosts_that_may_still_register(kept, config, known):
    assert known_hosts(Store(hosts=kept), config) == known


@pytest.fixture
def kept():
    """Hosts with a listener on a port that the system chose, and the site that their events make."""
    listen = OvsdbListen.model_construct(host="127.0.0.1", port=0, tls=None, hosts="any")
    config = Ovsdb.model_construct(targets=("unix:/nowhere/db.sock",), ssl=None, check_names=False, listen=listen)
    site = [empty_site("me", (*config.targets, "a"))]

    def observe(event) -> bool:
        before, site[0] = site[0], reduce(site[0], event)
        return site[0] is not before

    hosts = Hosts(config, BridgeWish("br-ring", "me", ()), lambda: site[0], observe, lambda: True)
    hosts.store = Store()
    yield hosts, site
    hosts.stop(1)


def test_who_does_not_come_back_is_planned_without_and_can_be_forgotten(kept):
    hosts, site = kept
    hosts.start(["a"])
    assert json.loads(hosts.store.values[HOSTS]) == ["a"]
    assert not site[0].hosts["a"].synced
    hosts._give_up_on_late()
    host = site[0].hosts["a"]
    assert (host.synced, host.stale, dict(host.rows)) == (True, True, {})
    assert not site[0].hosts["unix:/nowhere/db.sock"].synced, "what is dialled is waited for"
    assert not hosts.forget("unix:/nowhere/db.sock")
    assert not hosts.forget("b")
    assert hosts.forget("a")
    assert (set(site[0].hosts), set(hosts.clients)) == ({"unix:/nowhere/db.sock"},) * 2
    assert json.loads(hosts.store.values[HOSTS]) == []


def test_to_forget_who_is_not_there_changes_nothing():
    site = empty_site("me", ["a"])
    assert reduce(site, HostForgotten("b")) is site

"""What the rows of the hosts say together."""

from __future__ import annotations

from tests.unit.site_kit import HOST, bridge, interface, port, site_of, uid
from topology.events import (
    ControllerRow,
    HostLost,
    HostResynced,
    PortRow,
    RefusedRow,
    RootRow,
    RowsChanged,
)
from topology.site import empty_site, reduce


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

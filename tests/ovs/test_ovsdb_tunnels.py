"""Tunnels, VLANs, patch ports and interface settings against a real Open vSwitch, dry runs included."""

from __future__ import annotations

import dataclasses

import pytest

from ovsdb import (
    BridgeWish,
    EnsureError,
    PortWish,
    TunnelWish,
    Vlan,
    ensure_bridge,
    ensure_port,
    ensure_tunnel,
    open_session,
    remove_bridge,
    remove_port,
)
from tests.ovs.ovsdb_kit import WAIT_S, WISH


@pytest.fixture
def db(ovs):
    with open_session(ovs.db_target) as session:
        ensure_bridge(session, WISH, wait_s=WAIT_S)
        yield session


@pytest.mark.parametrize("kind", ["geneve", "vxlan", "gre"])
def test_a_tunnel_whose_end_flows_choose_is_made_mended_and_removed(ovs, db, kind):
    wish = TunnelWish("br-ring", "me", f"rf-{kind}", kind, local="127.0.0.1", options={"csum": "true"})
    planned = ensure_tunnel(db, wish, dry_run=True)
    assert planned.changed
    assert f"create Interface {wish.name}" in "\n".join(map(str, planned.changes))
    assert wish.name not in ovs.vsctl("list-ports", "br-ring").split(), "a dry run writes nothing"
    made = ensure_tunnel(db, wish, wait_s=WAIT_S)
    assert made.changed
    assert made.ofport
    assert not ensure_tunnel(db, wish, wait_s=WAIT_S).changed
    options = '{csum="true", key=flow, local_ip="127.0.0.1", remote_ip=flow}'
    assert ovs.vsctl("get", "interface", wish.name, "options") == options
    ovs.vsctl("set", "interface", wish.name, "options:remote_ip=192.0.2.9", "options:tos=1")
    (change,) = ensure_tunnel(db, wish, dry_run=True).changes
    assert (change.table, change.row, change.column) == ("Interface", wish.name, "options")
    assert "remote_ip=192.0.2.9" in change.before
    assert "remote_ip=flow" in change.after
    assert ensure_tunnel(db, wish, wait_s=WAIT_S).changed
    assert ovs.vsctl("get", "interface", wish.name, "options") == options
    assert remove_port(db, "me", "br-ring", wish.name, wait_s=WAIT_S).changed
    assert wish.name not in ovs.vsctl("list-ports", "br-ring").split()


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"type": "lisp"}, "none of geneve"),
        ({"remote": "elsewhere"}, "neither an IP address nor"),
        ({"local": "10.0.0.1/24"}, "neither an IP address nor"),
        ({"key": "16777216"}, "no number up to 16777215"),
        ({"key": "-1"}, "no number"),
        ({"options": {"remote_ip": "10.0.0.1"}}, "fields of their own"),
        ({"options": {"": "x"}}, "empty or too long"),
        ({"external_ids": {"ringfence": "you"}}, "mark of its owner"),
        ({"name": "a b"}, "no space"),
        ({"ofport_request": 65280}, "is not 1..65279"),
    ],
)
def test_a_tunnel_that_cannot_be_is_refused(wrong, word):
    wish = dataclasses.replace(TunnelWish("br-ring", "me", "t", "geneve"), **wrong)
    with pytest.raises(EnsureError, match=word):
        ensure_tunnel(None, wish)


def test_vlans_and_settings_of_an_interface_are_set_and_left_alone_when_not_asked(ovs, db):
    wish = PortWish("br-ring", "me", "p1", "internal", vlan=Vlan(tag=7), mac="02:00:00:00:00:05", mtu=1400)
    assert ensure_port(db, wish, wait_s=WAIT_S).changed
    assert ovs.vsctl("get", "port", "p1", "tag") == "7"
    assert ovs.vsctl("get", "interface", "p1", "mtu", "mac_in_use") == '1400\n"02:00:00:00:00:05"'
    assert not ensure_port(db, PortWish("br-ring", "me", "p1", "internal"), wait_s=WAIT_S).changed
    trunk = dataclasses.replace(wish, vlan=Vlan(trunks=frozenset({10, 20}), mode="trunk"))
    changes = ensure_port(db, trunk, dry_run=True).changes
    assert [str(c) for c in changes] == [
        "Port p1: tag: 7 -> (nothing)",
        "Port p1: trunks: (nothing) -> 10, 20",
        "Port p1: vlan_mode: (nothing) -> trunk",
    ]
    assert ensure_port(db, trunk, wait_s=WAIT_S).changed
    assert ovs.vsctl("get", "port", "p1", "tag", "trunks", "vlan_mode") == "[]\n[10, 20]\ntrunk"
    assert ensure_port(db, dataclasses.replace(wish, vlan=Vlan()), wait_s=WAIT_S).changed
    assert ovs.vsctl("get", "port", "p1", "tag", "trunks", "vlan_mode") == "[]\n[]\n[]"


def test_patch_ports_join_two_bridges_of_ours(ovs, db):
    ensure_bridge(db, BridgeWish("br-two", "me", WISH.controllers), wait_s=WAIT_S)
    for bridge, name, peer in (("br-ring", "to-two", "to-ring"), ("br-two", "to-ring", "to-two")):
        ensure_port(db, PortWish(bridge, "me", name, "patch", options={"peer": peer}))
    assert ensure_port(db, PortWish("br-two", "me", "to-ring", "patch", options={"peer": "to-two"}), wait_s=WAIT_S)
    assert ovs.vsctl("get", "interface", "to-two", "options:peer") == "to-ring"
    (change,) = remove_bridge(db, "me", "br-two", dry_run=True).changes
    assert str(change).endswith("remove bridges: br-two")
    assert remove_bridge(db, "me", "br-two", wait_s=WAIT_S).changed
    assert not remove_bridge(db, "me", "br-two").changed
    assert ovs.vsctl("list-br") == "br-ring"


def test_a_bridge_of_others_is_not_removed(ovs, db):
    ovs.vsctl("add-br", "br-theirs", "--", "set", "bridge", "br-theirs", "datapath_type=netdev")
    with pytest.raises(EnsureError, match="not ours"):
        remove_bridge(db, "me", "br-theirs")
    assert "br-theirs" in ovs.vsctl("list-br").split()

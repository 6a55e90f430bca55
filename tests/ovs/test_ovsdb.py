"""The OVSDB client and `ensure` against a real Open vSwitch of our own."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mininet_scenarios.private_ovs import Daemon, PrivateOvs
from ovsdb import (
    BridgeWish,
    EnsureError,
    PortWish,
    ensure_bridge,
    ensure_port,
    open_session,
    remove_port,
    set_external_ids,
)
from tests.ovs.ovsdb_kit import GREEN, WAIT_S, WISH, Follower
from topology.events import HostResynced, InterfaceRow, RootRow


@pytest.fixture
def follower(ovs):
    with Follower(ovs.db_target) as follower:
        yield follower


def database(ovs: PrivateOvs) -> str:
    """Everything that is configured, without what the switch reports by itself."""
    columns = {
        "Bridge": "name,fail_mode,other_config,external_ids,protocols,datapath_type",
        "Port": "name,external_ids,tag",
        "Interface": "name,type,external_ids,ofport_request",
        "Controller": "target,external_ids,connection_mode",
    }
    return "".join(ovs.vsctl("--columns", c, "list", table) for table, c in columns.items())


def ports(ovs: PrivateOvs, *names: str) -> None:
    for name in names:
        ensure_port_of(ovs, name)


def ensure_port_of(ovs: PrivateOvs, name: str) -> None:
    with open_session(ovs.db_target) as session:
        ensure_port(session, PortWish("br-ring", "me", name, "internal"), wait_s=WAIT_S)


@pytest.mark.parametrize("asked", ["auto", "system"])
def test_where_the_kernel_has_no_datapath_auto_takes_the_other_and_system_says_so(ovs, follower, asked):
    """A vswitchd may list the kernel's datapath although the kernel has no module for it."""
    if Path("/sys/module/openvswitch").exists():
        pytest.skip("the kernel has the module openvswitch: its datapath works")
    wish = dataclasses.replace(WISH, datapath_type=asked)
    ovs.stop_daemon(Daemon.SWITCH)
    ovs.vsctl("set", "Open_vSwitch", ".", "datapath_types=netdev,system", wait=False)
    starter = threading.Timer(0.3, ovs.start_daemon, (Daemon.SWITCH,))
    starter.start()
    try:
        if asked == "system":
            with pytest.raises(EnsureError, match=r"set bridge\.datapath_type to netdev"):
                ensure_bridge(follower.client, wish, wait_s=WAIT_S)
            return
        assert ensure_bridge(follower.client, wish, wait_s=WAIT_S).changed
    finally:
        starter.join()
    follower.until(lambda: follower.bridge.dpid)
    assert ovs.vsctl("get", "Bridge", wish.name, "datapath_type") == "netdev"
    assert not ensure_bridge(follower.client, wish, wait_s=WAIT_S).changed


def test_a_bridge_is_made_closed_and_a_second_ensure_changes_nothing(ovs, follower):
    assert ensure_bridge(follower.client, WISH, wait_s=WAIT_S).changed
    follower.until(lambda: not follower.faults() and follower.bridge.dpid)
    before = ovs.vsctl("get", "Open_vSwitch", ".", "next_cfg"), database(ovs)
    assert not ensure_bridge(follower.client, WISH, wait_s=WAIT_S).changed
    assert (ovs.vsctl("get", "Open_vSwitch", ".", "next_cfg"), database(ovs)) == before
    assert ovs.vsctl("get-fail-mode", "br-ring") == "secure"
    assert ovs.vsctl("get", "bridge", "br-ring", "datapath_type") == "netdev"
    hidden = ovs.appctl("bridge/dump-flows", "br-ring")
    assert "table_id=254" in hidden
    assert "priority=180" not in hidden, "in-band control installs its flows at 180000 and up"


def test_what_others_change_is_seen_and_mended_and_nothing_of_theirs_is_touched(ovs, follower):
    ovs.vsctl("add-br", "br-theirs", "--", "set", "bridge", "br-theirs", "datapath_type=netdev")
    ovs.vsctl("set-controller", "br-theirs", "tcp:127.0.0.1:7777")
    theirs = ovs.vsctl("list", "bridge", "br-theirs"), ovs.vsctl("get-controller", "br-theirs")
    ensure_bridge(follower.client, WISH, wait_s=WAIT_S)
    follower.until(lambda: not follower.faults())
    ovs.vsctl("set", "bridge", "br-ring", "other_config:hwaddr=02:00:00:00:00:77", "external_ids:note=kept")
    for change in (
        ["set-fail-mode", "br-ring", "standalone"],
        ["set-controller", "br-ring", "tcp:127.0.0.1:9999"],
        ["del-controller", "br-ring"],
        ["remove", "bridge", "br-ring", "other_config", "disable-in-band"],
        ["set", "bridge", "br-ring", "protocols=OpenFlow10"],
        ["set", "controller", "br-ring", "connection_mode=in-band"],
    ):
        ovs.vsctl(*change)
        follower.until(follower.faults)
        assert ensure_bridge(follower.client, WISH, wait_s=WAIT_S).changed
        follower.until(lambda: not follower.faults())
    assert ovs.vsctl("get", "bridge", "br-ring", "other_config:hwaddr") == '"02:00:00:00:00:77"'
    assert ovs.vsctl("get", "bridge", "br-ring", "external_ids:note") == "kept"
    assert (ovs.vsctl("list", "bridge", "br-theirs"), ovs.vsctl("get-controller", "br-theirs")) == theirs


def test_a_bridge_of_that_name_that_is_not_ours_is_refused_unless_adopted(ovs, follower):
    ovs.vsctl("add-br", "br-ring", "--", "set", "bridge", "br-ring", "datapath_type=netdev")
    before = database(ovs)
    with pytest.raises(EnsureError, match="was not made by Ringfence"):
        ensure_bridge(follower.client, WISH)
    with pytest.raises(EnsureError, match="ensure the bridge first"):
        ensure_port(follower.client, PortWish("br-ring", "me", "p1", "internal"))
    assert database(ovs) == before
    assert not follower.names
    adopting = BridgeWish("br-ring", "me", WISH.controllers, adopt=True)
    assert ensure_bridge(follower.client, adopting, wait_s=WAIT_S).changed
    follower.until(lambda: not follower.faults() and follower.names == {"br-ring"})
    with pytest.raises(EnsureError, match="belongs to owner 'me'"):
        ensure_bridge(follower.client, BridgeWish("br-ring", "you", ()))


def test_ports_come_and_go_and_carry_what_was_asked(ovs, follower):
    ensure_bridge(follower.client, WISH, wait_s=WAIT_S)
    wish = PortWish("br-ring", "me", "p1", "internal", {"iface-id": "web-1"}, ofport_request=77)
    made = ensure_port(follower.client, wish, wait_s=WAIT_S)
    assert (made.changed, made.ofport) == (True, 77)
    assert not ensure_port(follower.client, wish, wait_s=WAIT_S).changed
    follower.until(lambda: any(i.name == "p1" and i.ofport == 77 for i in follower.site.interfaces()))
    ids = {"ringfence:ip": "10.0.0.1,fd00::1", "iface-id": None}
    assert set_external_ids(follower.client, "me", "p1", ids, wait_s=WAIT_S).changed
    assert not set_external_ids(follower.client, "me", "p1", ids).changed
    assert ovs.vsctl("get", "interface", "p1", "external_ids") == '{ringfence=me, "ringfence:ip"="10.0.0.1,fd00::1"}'
    assert remove_port(follower.client, "me", "br-ring", "p1", wait_s=WAIT_S).changed
    assert not remove_port(follower.client, "me", "br-ring", "p1").changed
    follower.until(lambda: follower.names == {"br-ring"})


def test_ports_of_others_on_our_bridge_are_seen_and_left_alone(ovs, follower):
    ensure_bridge(follower.client, WISH, wait_s=WAIT_S)
    ovs.vsctl("add-port", "br-ring", "theirs", "--", "set", "interface", "theirs", "type=internal")
    follower.until(lambda: "theirs" in follower.names)
    for change in (
        lambda: remove_port(follower.client, "me", "br-ring", "theirs"),
        lambda: ensure_port(follower.client, PortWish("br-ring", "me", "theirs")),
        lambda: set_external_ids(follower.client, "me", "theirs", {"a": "b"}),
    ):
        with pytest.raises(EnsureError):
            change()
    assert "theirs" in ovs.vsctl("list-ports", "br-ring").split()


def test_a_device_that_is_not_there_is_told(ovs, follower):
    ensure_bridge(follower.client, WISH, wait_s=WAIT_S)
    with pytest.raises(EnsureError, match="stored but not in use: could not open network device no-such-dev"):
        ensure_port(follower.client, PortWish("br-ring", "me", "no-such-dev"), wait_s=WAIT_S)
    follower.until(lambda: any(i.name == "no-such-dev" and i.error for i in follower.site.interfaces()))


def test_many_at_once_agree(ovs):
    """Guards make each see what the others did; all end with one bridge and every port."""
    failures = []

    def work(number: int) -> None:
        try:
            with open_session(ovs.db_target) as session:
                ensure_bridge(session, WISH, wait_s=WAIT_S)
                ensure_port(session, PortWish("br-ring", "me", f"p{number}", "internal"), wait_s=WAIT_S)
        except Exception as error:  # noqa: BLE001 told to the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert set(ovs.vsctl("list-ports", "br-ring").split()) == {f"p{n}" for n in range(5)}


def test_a_restart_of_the_server_in_mid_stream_loses_nothing(ovs, follower):
    ensure_bridge(follower.client, WISH, wait_s=WAIT_S)
    ports(ovs, "p1", "p2")
    follower.until(lambda: follower.names == {"br-ring", "p1", "p2"})
    for gently in (True, False):
        ovs.restart(Daemon.DATABASE, gently=gently)
        follower.until(lambda: not follower.site.hosts[follower.host].stale)
        ensure_port_of(ovs, f"p{3 + gently}")
        follower.until(lambda g=gently: f"p{3 + g}" in follower.names)
    assert follower.names == {"br-ring", "p1", "p2", "p3", "p4"}
    assert [type(e) for e in follower.events if isinstance(e, HostResynced)] == [HostResynced] * 3


def test_deletes_while_we_were_away_are_noticed(ovs, follower):
    ensure_bridge(follower.client, WISH, wait_s=WAIT_S)
    ports(ovs, "p1", "p2")
    follower.until(lambda: follower.names == {"br-ring", "p1", "p2"})
    hidden = ovs.directory / "away"
    socket = Path(ovs.db_target.removeprefix("unix:"))
    socket.rename(hidden)  # the client cannot come back while the port goes
    follower.client._session.close()
    follower.until(lambda: follower.site.hosts[follower.host].stale)
    assert follower.names == {"br-ring", "p1", "p2"}, "a host that is away keeps its rows"
    with open_session(f"unix:{hidden}") as session:
        remove_port(session, "me", "br-ring", "p1", wait_s=WAIT_S)
    hidden.rename(socket)
    follower.until(lambda: follower.names == {"br-ring", "p2"})


def test_an_empty_database_in_its_place_is_believed_and_filled_again(ovs, follower):
    ensure_bridge(follower.client, WISH, wait_s=WAIT_S)
    ports(ovs, "p1")
    follower.until(lambda: follower.names == {"br-ring", "p1"})
    ovs.stop_daemon(Daemon.DATABASE)
    (ovs.directory / "conf.db").unlink()
    schema = "/usr/share/openvswitch/vswitch.ovsschema"
    subprocess.run(["ovsdb-tool", "create", str(ovs.directory / "conf.db"), schema], check=True)
    ovs.start_daemon(Daemon.DATABASE)
    follower.until(lambda: not follower.site.interfaces() and not follower.site.hosts[follower.host].stale)
    with pytest.raises(EnsureError, match="database is empty"):
        ensure_port(follower.client, PortWish("br-ring", "me", "p1", "internal"))
    assert ensure_bridge(follower.client, WISH, wait_s=WAIT_S).changed
    follower.until(lambda: not follower.faults() and follower.names == {"br-ring"})
    assert sum(isinstance(row, RootRow) for row in follower.host_rows.values()) == 1


def test_a_vswitchd_that_is_down_is_told(ovs, follower):
    ensure_bridge(follower.client, WISH, wait_s=WAIT_S)
    ovs.stop_daemon(Daemon.SWITCH)
    with pytest.raises(EnsureError, match="did not apply the change within"):
        ensure_port(follower.client, PortWish("br-ring", "me", "p1", "internal"), wait_s=0.3)
    ovs.start_daemon(Daemon.SWITCH)
    assert ensure_port(follower.client, PortWish("br-ring", "me", "p1", "internal"), wait_s=WAIT_S).ofport


def test_a_thousand_interfaces_are_followed_quickly(ovs, follower):
    ensure_bridge(follower.client, WISH, wait_s=WAIT_S)
    ovs.stop_daemon(Daemon.SWITCH)  # rows only: no devices
    words = [w for n in range(1000) for w in ("--", "add-port", "br-ring", f"v{n}")]
    ovs.vsctl(*words, wait=False)
    follower.until(lambda: len(follower.names) == 1001)
    began = time.monotonic()
    ovs.vsctl("set", "interface", "v7", "external_ids:iface-id=seven", wait=False)
    follower.until(lambda: isinstance(follower.events[-1].rows[0], InterfaceRow))
    print(f"one change among 1000 interfaces, ovs-vsctl included: {time.monotonic() - began:.3f} s")
    with Follower(ovs.db_target) as other:
        assert other.site == follower.site


def test_it_runs_under_eventlet_without_stopping_others(ovs):
    command = [sys.executable, "-W", "ignore", "-c", GREEN, ovs.db_target]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout.strip(), done.returncode) == ("green", 0), done.stderr
    assert len(ovs.vsctl("list-ports", "br-ring").split()) == 8

"""Queues, policing, mirrors, flow records, managers and TLS files against a real Open vSwitch.

Each is made, found right, mended after somebody else changed it, shown by a dry run, and removed; what
others made is refused and left as it is.
"""

from __future__ import annotations

import dataclasses

import pytest

from ovsdb import (
    EnsureError,
    IpfixWish,
    ManagerWish,
    MirrorWish,
    NetflowWish,
    PolicingWish,
    PortWish,
    QosWish,
    QueueWish,
    SflowWish,
    SslWish,
    ensure,
    ensure_bridge,
    ensure_port,
    open_session,
    remove,
)
from tests.ovs.ovsdb_kit import WAIT_S, WISH

ON = ("br-ring", "me")


@pytest.fixture
def db(ovs):
    with open_session(ovs.db_target) as session:
        ensure_bridge(session, WISH, wait_s=WAIT_S)
        for name in ("p1", "p2"):
            ensure_port(session, PortWish(*ON, name, "internal"), wait_s=WAIT_S)
        yield session


QOS = QosWish(*ON, "p1", 10_000_000, {0: QueueWish(max_rate=1_000_000), 7: QueueWish(2_000_000, 5_000_000, dscp=46)})
MIRROR = MirrorWish(*ON, "m1", output_port="p2", sources=("p1",), destinations=("p1",), snaplen=100)
WISHES = {
    "qos": (QOS, ["clear", "port", "p1", "qos"]),
    "policing": (PolicingWish(*ON, "p1", 1000, 100), ["set", "interface", "p1", "ingress_policing_rate=5"]),
    "mirror": (MIRROR, ["set", "mirror", "m1", "select_all=true"]),
    "netflow": (
        NetflowWish(*ON, ("127.0.0.1:2055",), active_timeout_s=60),
        ["set", "netflow", "br-ring", 'targets="192.0.2.1:1"'],
    ),
    "sflow": (
        SflowWish(*ON, ("127.0.0.1:6343", "[::1]:6343"), sampling=64, agent="lo"),
        ["clear", "bridge", "br-ring", "sflow"],
    ),
    "ipfix": (IpfixWish(*ON, ("127.0.0.1:4739",), domain_id=7), ["clear", "bridge", "br-ring", "ipfix"]),
    "manager": (ManagerWish("me", "ptcp:0:127.0.0.1"), ["set", "manager", ".", "max_backoff=5000"]),
    "ssl": (SslWish("me", "/k.pem", "/c.pem", "/ca.pem"), ["set", "ssl", ".", "certificate=/other.pem"]),
}
OWN = "external_ids,inactivity_probe,max_backoff"


def configured(ovs) -> str:
    said = [
        ovs.vsctl("-f", "csv", "list", table)
        for table in ("QoS", "Queue", "Mirror", "NetFlow", "sFlow", "IPFIX", "SSL")
    ]
    said += [ovs.vsctl("-f", "csv", f"--columns=target,{OWN}", "list", "Manager")]
    return "\n".join([*said, ovs.vsctl("get", "interface", "p1", "ingress_policing_rate")])


@pytest.mark.parametrize(("wish", "spoil"), WISHES.values(), ids=WISHES.keys())
def test_made_kept_mended_shown_and_removed(ovs, db, wish, spoil):
    empty = configured(ovs)
    shown = ensure(db, wish, dry_run=True)
    assert shown.changed
    assert shown.changes
    assert configured(ovs) == empty, "a dry run writes nothing"
    assert ensure(db, wish, wait_s=WAIT_S).changed
    right = configured(ovs)
    assert right != empty
    assert not ensure(db, wish, wait_s=WAIT_S).changed
    assert not ensure(db, wish, dry_run=True).changed
    record = {"netflow": "netflow", "sflow": "sflow", "ipfix": "ipfix", "ssl": "ssl", "manager": "manager"}
    table = spoil[1]
    if table in record and spoil[0] == "set":
        spoil = [*spoil[:2], ovs.vsctl("--bare", "--columns=_uuid", "list", table), *spoil[3:]]
    ovs.vsctl(*spoil)
    assert ensure(db, wish, dry_run=True).changes
    assert ensure(db, wish, wait_s=WAIT_S).changed
    assert not ensure(db, wish).changed
    assert remove(db, wish, dry_run=True).changed
    assert remove(db, wish, wait_s=WAIT_S).changed
    assert not remove(db, wish).changed
    assert ensure(db, wish, wait_s=WAIT_S).changed


def test_queues_are_added_changed_and_taken_away_and_no_row_stays_behind(ovs, db):
    ensure(db, QOS, wait_s=WAIT_S)
    fewer = dataclasses.replace(QOS, queues={7: QueueWish(3_000_000), 9: QueueWish(priority=1)}, max_rate=None)
    text = "\n".join(map(str, ensure(db, fewer, dry_run=True).changes))
    assert "create Queue q9" in text
    assert "delete Queue" in text
    assert "min-rate=3000000" in text
    assert ensure(db, fewer, wait_s=WAIT_S).changed
    assert not ensure(db, fewer).changed
    assert len(ovs.vsctl("--bare", "--columns=_uuid", "list", "Queue").split()) == 2
    assert remove(db, fewer, wait_s=WAIT_S).changed
    assert ovs.vsctl("list", "QoS") == ovs.vsctl("list", "Queue") == ""


THEIRS = {
    "qos": ["--id=@q", "create", "qos", "type=linux-htb", "--", "set", "port", "p1", "qos=@q"],
    "mirror": ["--id=@m", "create", "mirror", "name=m1", "--", "set", "bridge", "br-ring", "mirrors=@m"],
    "netflow": [
        "--id=@n",
        "create",
        "netflow",
        'targets="192.0.2.1:1"',
        "--",
        "set",
        "bridge",
        "br-ring",
        "netflow=@n",
    ],
    "sflow": ["--id=@n", "create", "sflow", 'targets="192.0.2.1:1"', "--", "set", "bridge", "br-ring", "sflow=@n"],
    "ipfix": ["--id=@n", "create", "ipfix", 'targets="192.0.2.1:1"', "--", "set", "bridge", "br-ring", "ipfix=@n"],
    "manager": ["set-manager", "ptcp:0:127.0.0.1"],
    "ssl": ["set-ssl", "/their-k.pem", "/their-c.pem", "/their-ca.pem"],
}


@pytest.mark.parametrize("what", THEIRS)
def test_what_others_made_is_refused_and_left_alone(ovs, db, what):
    ovs.vsctl("--", *THEIRS[what])
    before = configured(ovs)
    wish = WISHES[what][0]
    for act in (ensure, remove):
        with pytest.raises(EnsureError, match="made by somebody else"):
            act(db, wish)
    assert configured(ovs) == before


WRONG = {
    "a queue with its bounds crossed": (QosWish(*ON, "p1", queues={1: QueueWish(2, 1)}), "above max_rate"),
    "a queue without a number": (QosWish(*ON, "p1", queues={-1: QueueWish()}), "is not 0..65535"),
    "another type of QoS": (QosWish(*ON, "p1", type="linux-noop"), "none of linux-htb"),
    "a DSCP too large": (QosWish(*ON, "p1", queues={1: QueueWish(dscp=64)}), "is not 0..63"),
    "a negative rate": (PolicingWish(*ON, "p1", -1), "rate_kbps -1"),
    "a mirror to nowhere": (MirrorWish(*ON, "m", sources=("p1",)), "one of the two"),
    "a mirror of nothing": (MirrorWish(*ON, "m", output_port="p1"), "or all"),
    "no collector": (NetflowWish(*ON, ()), "1 to 16 collectors"),
    "a collector without a port": (SflowWish(*ON, ("192.0.2.1",)), "no address:port"),
    "a collector by name": (IpfixWish(*ON, ("host:1",)), "no address:port"),
    "a collector without brackets": (IpfixWish(*ON, ("::1:1",)), "no address:port"),
    "a manager of another kind": (ManagerWish("me", "punix:/x"), "write tcp:HOST:PORT"),
    "a manager that backs off for too short": (ManagerWish("me", "tcp:h:1", max_backoff_ms=1), "max_backoff_ms 1"),
    "a key that is no path": (SslWish("me", "k", "/c", "/a"), "no absolute path"),
}


@pytest.mark.parametrize(("wish", "word"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_is_refused_before_anything_is_asked(wish, word):
    with pytest.raises(EnsureError, match=word):
        ensure(None, wish)


@pytest.mark.parametrize(
    "wish", [QosWish(*ON, "p9"), PolicingWish(*ON, "p9"), dataclasses.replace(MIRROR, sources=("p9",))]
)
def test_a_port_that_is_not_there_is_named(db, wish):
    with pytest.raises(EnsureError, match="has no port 'p9'"):
        ensure(db, wish)

"""Differences of update2, and what a plan writes."""

from __future__ import annotations

import pytest

from ovsdb import BadTarget, BridgeWish, EnsureError, PortWish, bridge_faults, bridge_is_right, parse_target
from ovsdb.columns import DEFAULTS, patch
from ovsdb.config_columns import CONFIG
from ovsdb.plan import BRIDGE_GUARDED, Found, choose_datapath, plan_bridge
from ovsdb.port_plans import plan_external_ids, plan_port, plan_removal
from ovsdb.scene import Held, Scene
from ovsdb.session import Limits
from ovsdb.target import Target, Tls, connect
from tests.unit.site_kit import HOST, site_of, uid
from topology.events import BridgeRow, ControllerRow, RootRow

TARGET = "tcp:127.0.0.1:6653"
WISH = BridgeWish("br", "me", (TARGET,))
ROOT = RootRow(uid(1), datapath_types=frozenset({"netdev"}))
CONTROLLER = ControllerRow(
    uid(3),
    TARGET,
    connection_mode="out-of-band",
    inactivity_probe=5000,
    max_backoff=1000,
    external_ids={"ringfence": "me"},
)
RIGHT = BridgeRow(
    uid(2),
    "br",
    datapath_type="netdev",
    dpid=1,
    fail_mode="secure",
    protocols=frozenset(WISH.protocols),
    ports=frozenset({uid(4)}),
    controllers=frozenset({uid(3)}),
    other_config={"disable-in-band": "true"},
    external_ids={"ringfence": "me"},
)


def found(bridge: BridgeRow | None = RIGHT, *controllers: ControllerRow, root: RootRow = ROOT) -> Found:
    raw = dict.fromkeys(BRIDGE_GUARDED, "as read")
    return Found(root, bridge, raw, {c.uid: c for c in controllers or (CONTROLLER,)})


def held(table: str, number: int, **columns) -> Held:
    return Held(table, uid(number), {n: DEFAULTS[k] for n, k in CONFIG[table].items()} | columns)


def scene(*rows: Held) -> Scene:
    return Scene(ROOT, {row.uid: row for row in rows})


OUR_BRIDGE = held("Bridge", 2, name="br", ports=frozenset({uid(4)}), external_ids={"ringfence": "me"})


def altered(row, **columns):
    return type(row)(**{name: columns.get(name, getattr(row, name)) for name in row.__dataclass_fields__})


def site_bridge(bridge: BridgeRow, *controllers: ControllerRow):
    joined = site_of(bridge, *controllers).bridge(HOST, "br")
    assert joined is not None
    return joined


# -- differences -----------------------------------------------------------------------------------


def test_a_difference_of_a_single_value_is_the_new_one():
    assert patch(3, None) is None
    assert patch("a", "b") == "b"


# -- what is right, and what a plan does about what is not -----------------------------------------


def test_a_right_bridge_needs_nothing():
    assert bridge_is_right(site_bridge(RIGHT, CONTROLLER), WISH)
    assert plan_bridge(found(), WISH) == []


@pytest.mark.parametrize(
    ("bridge", "controller", "word", "touches"),
    [
        (altered(RIGHT, fail_mode="standalone"), CONTROLLER, "fail_mode is standalone", {"fail_mode"}),
        (altered(RIGHT, fail_mode=None), CONTROLLER, "fail_mode is unset", {"fail_mode"}),
        (altered(RIGHT, protocols=frozenset()), CONTROLLER, "protocols are not", {"protocols"}),
        (altered(RIGHT, other_config={}), CONTROLLER, "disable-in-band is not true", {"other_config"}),
        (altered(RIGHT, controllers=frozenset()), CONTROLLER, "controllers are none", {"controller"}),
        (RIGHT, altered(CONTROLLER, target="tcp:1.2.3.4"), "controllers are tcp:1.2.3.4", {"controller"}),
        (RIGHT, altered(CONTROLLER, external_ids={}), "not as we made it", {"controller"}),
        (RIGHT, altered(CONTROLLER, connection_mode="in-band"), "not as we made it", set()),
        (RIGHT, altered(CONTROLLER, inactivity_probe=0), "not as we made it", set()),
    ],
)
def test_a_fault_is_named_and_mended_by_the_smallest_change(bridge, controller, word, touches):
    assert any(word in fault for fault in bridge_faults(site_bridge(bridge, controller), WISH))
    operations = plan_bridge(found(bridge, controller), WISH)
    assert operations[0]["op"] == "wait"
    touched = set()
    for operation in operations:
        if operation["op"] == "update" and operation["table"] == "Bridge":
            touched |= set(operation["row"])
        if operation["op"] == "mutate":
            touched |= {mutation[0] for mutation in operation["mutations"]}
    assert touched == touches


def test_rows_of_others_are_unlinked_and_never_changed():
    foreign = altered(CONTROLLER, external_ids={})
    operations = plan_bridge(found(RIGHT, foreign), WISH)
    assert [o["table"] for o in operations if o["op"] == "update"] == []
    assert any(o["op"] == "insert" and o["table"] == "Controller" for o in operations)


def test_a_new_bridge_is_secure_in_the_transaction_that_makes_it():
    operations = plan_bridge(found(None), WISH)
    (bridge,) = [o["row"] for o in operations if o["op"] == "insert" and o["table"] == "Bridge"]
    assert (bridge["fail_mode"], bridge["datapath_type"]) == ("secure", "netdev")
    assert bridge["other_config"] == ["map", [["disable-in-band", "true"]]]
    marked = [o["row"]["external_ids"] for o in operations if o["op"] == "insert"]
    assert marked == [["map", [["ringfence", "me"]]]] * 4


def test_a_bridge_of_others_is_refused_unless_adopted():
    for ids, word in (({}, "was not made by Ringfence"), ({"ringfence": "you"}, "belongs to owner 'you'")):
        theirs = altered(RIGHT, external_ids=ids)
        with pytest.raises(EnsureError, match=word):
            plan_bridge(found(theirs), WISH)
        assert plan_bridge(found(theirs), altered(WISH, adopt=True))
        assert any("ringfence is not me" in fault for fault in bridge_faults(site_bridge(theirs, CONTROLLER), WISH))


@pytest.mark.parametrize(
    ("has", "wanted", "expected"),
    [
        ({"netdev", "system"}, "auto", "system"),
        ({"netdev"}, "auto", "netdev"),
        ({"netdev", "system"}, "netdev", "netdev"),
        (set(), "netdev", "netdev"),
    ],
)
def test_the_datapath_is_the_kernels_where_there_is_one(has, wanted, expected):
    root = RootRow(uid(1), datapath_types=frozenset(has))
    assert choose_datapath(root, altered(WISH, datapath_type=wanted)) == expected


def test_a_datapath_that_is_not_there_is_refused():
    with pytest.raises(EnsureError, match="no datapath system; there is netdev"):
        choose_datapath(ROOT, altered(WISH, datapath_type="system"))
    with pytest.raises(EnsureError, match="has not said which datapaths"):
        choose_datapath(RootRow(uid(1)), WISH)


def test_a_fixed_datapath_id_is_set():
    wish = altered(WISH, dpid=0xAB)
    assert any("datapath-id is not 00000000000000ab" in f for f in bridge_faults(site_bridge(RIGHT, CONTROLLER), wish))
    (change,) = plan_bridge(found(), wish)[1:]
    assert change["mutations"] == [["other_config", "insert", ["map", [["datapath-id", "00000000000000ab"]]]]]


def test_ports_of_others_are_refused():
    wish = PortWish("br", "me", "p")
    port = held("Port", 4, name="p", interfaces=frozenset({uid(5)}))
    interface = held("Interface", 5, name="p")
    for rows, word in (
        ((port, interface), "made by somebody else"),
        ((held("Port", 9, name="p"), interface), "not on bridge br"),
        ((interface,), "not on bridge br"),
    ):
        with pytest.raises(EnsureError, match=word):
            plan_port(scene(OUR_BRIDGE, *rows), wish)
    with pytest.raises(EnsureError, match="made by somebody else"):
        plan_removal(scene(OUR_BRIDGE, port, interface), "br", "me", "p")
    with pytest.raises(EnsureError, match="ensure the bridge first"):
        plan_port(scene(), wish)
    with pytest.raises(EnsureError, match="we made none"):
        plan_external_ids(scene(interface), "me", "p", {"a": "b"})
    with pytest.raises(EnsureError, match="mark of its owner"):
        plan_port(scene(OUR_BRIDGE), altered(wish, external_ids={"ringfence": "you"}))


# -- targets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("unix:/run/db.sock", Target("unix", path="/run/db.sock")),
        ("tcp:127.0.0.1:6640", Target("tcp", host="127.0.0.1", port=6640)),
        ("tcp:[::1]:6641", Target("tcp", host="::1", port=6641)),
    ],
)
def test_targets_are_read_and_written(text, target):
    assert parse_target(text) == target
    assert str(target) == text


def test_the_port_may_be_left_out():
    assert parse_target("ssl:db.example") == Target("ssl", host="db.example", port=6640)


@pytest.mark.parametrize(
    "text",
    ["", "db.sock", "unix:", "unix:" + "x" * 200, "unix:a\0b", "tcp:", "tcp:h:0", "tcp:h:65536", "tcp:h:x", "tcp:h:²"],
)
def test_bad_targets_are_refused(text):
    with pytest.raises(BadTarget):
        parse_target(text)


def test_ssl_needs_files_that_can_be_used(tmp_path):
    for tls in (None, Tls(str(tmp_path / "k"), str(tmp_path / "c"), str(tmp_path / "ca"))):
        with pytest.raises(BadTarget):
            connect(parse_target("ssl:127.0.0.1"), tls, Limits().connect_timeout_s)

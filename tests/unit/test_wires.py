"""The controller's side of a fabric: proofs that go round, forgers that are reported, groups as they are sent."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from intent.compiler.fabric import Bucket, GroupSpec, wiring
from intent.compiler.flow import IN_PORT, Group, Output
from ryu_apps.convergence import Desired
from ryu_apps.landmarks import Landmarks
from ryu_apps.link import Refused
from ryu_apps.reconciler import Reconciler
from ryu_apps.session import Listener
from ryu_apps.switches import Switches
from ryu_apps.wire import WireError
from ryu_apps.wire.groups import GroupCommand, decode_group_descs, encode_buckets, group_mod
from ryu_apps.wires import Wires
from ryu_apps.wiring import Wiring
from tests.unit.site_kit import bridge, port, site_of, uid
from topology import lldp
from topology.events import InterfaceRow
from topology.fabric import Fabric
from topology.paths import LinkEnd

A, B, C = LinkEnd(1, 5), LinkEnd(2, 6), LinkEnd(3, 7)
PORTS = {1: {5: "l1"}, 2: {6: "l2"}, 3: {7: "l3"}}


class Session:
    """A connected switch: what it is told to send, and which ports it has."""

    def __init__(self, dpid: int) -> None:
        self.dpid = dpid
        self.ports = PORTS[dpid]
        self.dead: frozenset[int] = frozenset()
        self.sent: list[tuple[int, bytes]] = []

    def send_packet(self, actions, data) -> None:
        (act,) = actions
        self.sent.append((act.port, data))


class Field:
    """Switches, a planner that takes links, a memory that keeps them."""

    def __init__(self, remembered=frozenset()) -> None:
        self.taken: list[frozenset] = []
        self.planner = SimpleNamespace(fabric=Fabric(PORTS), built=object(), wire=self.taken.append)
        self.kept = SimpleNamespace(links=remembered, keep_links=lambda _links: None)
        self.sessions = {dpid: Session(dpid) for dpid in PORTS}
        self.wires = Wires(self.planner, self.kept, self.sessions.get)

    def round(self, *pairs) -> None:
        """Let every port send, and what it sends arrive at the other end."""
        far = {one: other for pair in pairs for one, other in (pair, pair[::-1])}
        for turn in range(4):
            self.wires._ask(turn, 4)
        for session in self.sessions.values():
            for number, data in session.sent:
                end = far.get(LinkEnd(session.dpid, number))
                if end is not None:
                    self.hear(end, data)
            session.sent.clear()

    def hear(self, end: LinkEnd, data: bytes) -> None:
        self.wires.heard(self.sessions[end.dpid], SimpleNamespace(in_port=end.ofport, data=data))


@pytest.fixture
def field():
    return Field()


def test_a_wire_is_found_and_the_planner_told_once(field):
    field.round((A, B))
    field.round((A, B))
    assert field.taken == [frozenset({(A, B)})]
    assert field.wires.links() == {(A, B): True}
    assert not field.wires.reports()


def test_a_port_that_dies_takes_its_link_down_at_once(field):
    field.round((A, B))
    field.sessions[2].dead = frozenset({6})
    field.wires.ports_changed(field.sessions[2])
    assert field.taken[-1] == frozenset()
    assert field.wires.links() == {(A, B): False}


def test_ports_that_are_not_for_links_prove_nothing(field):
    field.planner.fabric = Fabric({1: {5: "l1"}})
    data = lldp.frame(field.wires._key, B, int(time.time()))
    field.hear(A, data)
    field.hear(LinkEnd(3, 7), lldp.frame(field.wires._key, A, int(time.time())))
    assert field.wires.links() == {}
    assert not field.taken


def test_who_forges_replays_or_relays_changes_nothing_and_is_reported_once(field):
    field.round((A, B))
    now = int(time.time())
    for _ in range(5):
        field.hear(C, lldp.frame(bytes(32), A, now))
        field.hear(C, lldp.frame(field.wires._key, A, now - 10))
        field.hear(C, lldp.frame(field.wires._key, A, now))
        field.hear(C, b"somebody else's LLDP")
    assert field.taken == [frozenset({(A, B)})]
    reports = field.wires.reports()
    assert [report.subject for report in reports] == ["link port 0000000000000003/7"] * 2
    assert {"pretends" in r.problem or "relays" in r.problem for r in reports} == {True}
    assert field.wires.reports() is reports


def test_links_are_remembered_over_a_restart_until_they_should_have_been_proven():
    field = Field(frozenset({(A, B)}))
    assert field.wires.links() == {(A, B): True}
    field.wires._forget()
    assert not field.taken


def test_links_of_ports_that_are_for_links_no_more_are_forgotten(field):
    field.round((A, B))
    field.planner.fabric = Fabric({1: {5: "l1"}})
    field.wires._forget()
    assert field.wires.links() == {}
    assert field.taken[-1] == frozenset()


# -- which ports are for links -------------------------------------------------------------------


def row(number: int, **ids: str) -> InterfaceRow:
    return InterfaceRow(uid(number), f"v{number}", ofport=number, external_ids=ids)


def test_only_ports_that_say_so_and_nothing_else_are_for_links():
    link = {"ringfence:link": "true"}
    rows = [row(1, **link), row(2, **{**link, "iface-id": "e2"}), row(3), row(4, **{"ringfence:link": "yes"})]
    site = site_of(bridge({1, 2, 3, 4}), *rows, *(port(n) for n in (1, 2, 3, 4)))
    wiring_ = Wiring(Landmarks())
    fabric = wiring_.follow(site, (), frozenset({(LinkEnd(1, 1), LinkEnd(9, 9))}))
    assert fabric.ports == {1: {1: "v1"}}
    assert fabric.links == frozenset()
    assert wiring_.follow(site, (), frozenset()) is fabric


# -- groups --------------------------------------------------------------------------------------

SPREAD = GroupSpec(spread=True, buckets=(Bucket(1, 1), Bucket(2, 2)))
FAILOVER = GroupSpec(spread=False, buckets=(Bucket(0, group=SPREAD.id), Bucket(3, 3), Bucket(4, IN_PORT)))


@pytest.mark.parametrize("spec", [SPREAD, FAILOVER])
def test_what_is_sent_of_a_group_is_what_its_description_says(spec):
    sent = group_mod(7, GroupCommand.ADD, spec.id, spec)
    body = sent[16:]
    described = (8 + len(body)).to_bytes(2, "big") + sent[10:11] + b"\0" + sent[12:16] + body
    assert list(decode_group_descs(described)) == [(spec.id, (spec.spread, encode_buckets(spec)))]


@pytest.mark.parametrize(
    "raw", ["00", "0008 01 00 000000", "0007 01 00 00000001", "0010 01 00 00000001", "0000 0100 00000001"]
)
def test_broken_descriptions_are_refused(raw):
    with pytest.raises(WireError):
        list(decode_group_descs(bytes.fromhex(raw)))


def test_groups_of_other_kinds_are_known_by_number_only():
    assert list(decode_group_descs(bytes.fromhex("0008 00 00 00000001"))) == [(1, None)]


def test_a_group_sends_nothing_to_a_port_that_is_another_interface_by_now():
    desired = Desired(1, 1, {}, groups={FAILOVER.id: FAILOVER, SPREAD.id: SPREAD})
    assert desired.groups_without(frozenset()) is desired.groups
    left = desired.groups_without(frozenset({2, 3}))
    assert left[SPREAD.id].buckets == (Bucket(1, 1),)
    assert left[FAILOVER.id].buckets == (Bucket(0, group=SPREAD.id), Bucket(4, IN_PORT))


def test_the_content_of_a_group_is_its_number():
    assert SPREAD.id == GroupSpec(spread=True, buckets=(Bucket(1, 1), Bucket(2, 2))).id
    assert len({SPREAD.id, FAILOVER.id, GroupSpec(spread=False, buckets=SPREAD.buckets).id}) == 3


def test_every_group_that_flows_or_groups_use_is_there():
    links = {(LinkEnd(a, 10 * a + b), LinkEnd(b, 10 * b + a)) for a in range(1, 5) for b in range(a + 1, 5)}
    ports = {n: {10 * n + m: f"l{m}" for m in range(1, 5) if m != n} for n in range(1, 5)}
    part = wiring(Fabric(ports, frozenset(links)), 1)
    used = {act.id for flow in part.flows for act in flow.body.actions if isinstance(act, Group)}
    used |= {bucket.group for spec in part.groups.values() for bucket in spec.buckets if bucket.group}
    assert used == set(part.groups)
    assert not any(act == Output(0) for flow in part.flows for act in flow.body.actions)


def test_a_second_switch_of_one_id_is_reported_once_and_refused_each_time():
    reconciler = Reconciler(1, 60.0)
    switches = Switches(reconciler, Listener(), None, ())
    first, second = (SimpleNamespace(peer=f"192.0.2.{n}:4000{n}", names=(), alive=lambda _s: True) for n in (1, 2))
    switches.admit(first, 7, 0)
    for _ in range(3):
        with pytest.raises(Refused):
            switches.admit(second, 7, 0)
    (report,) = switches.reports()
    assert (report.subject, "192.0.2.2," in report.problem) == ("switch 0000000000000007", True)

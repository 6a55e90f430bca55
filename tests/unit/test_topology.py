"""The topology: what is surveyed, since when it is so, what is told of it, and who may read that."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from types import SimpleNamespace

import pytest

from ryu_apps.annals import Annals
from tests.unit.site_kit import HOST, bridge, interface, port, site_of, uid
from topology.events import HostLost, InterfaceRow, PortRow, RootRow, RowsChanged
from topology.map import Map, Role, State, dated
from topology.model import Endpoint, Inventory, Location, Report, UnaddressedPort
from topology.news import Journal, News, differences, report_news
from topology.paths import LinkEnd
from topology.since import dump, load, without
from topology.site import reduce
from topology.survey import OFPP_LOCAL, Present, survey

T0 = datetime(2026, 5, 1, tzinfo=UTC)
LATER = T0 + timedelta(minutes=5)
WIRE = (LinkEnd(1, 2), LinkEnd(2, 1))
UP = Present(frozenset({1}), {WIRE: True}, {"shop", "empty"})


def endpoint(name: str, number: int, *, uid_of: int | None = None, **more: object) -> Endpoint:
    place = Location(1, number, f"v{number}", uid(uid_of or number))
    fields = {"labels": {"app": "a"}, "addresses": (ip_address(f"10.0.0.{number}"),), **more}
    return Endpoint(name, "shop", mac="02:00:00:00:00:01", ports=(), location=place, **fields)  # type: ignore[arg-type]


def site(*numbers: int):
    rows = [row for n in numbers for row in (interface(n), port(n))]
    return site_of(RootRow(uid(300), "3.1.0"), bridge(set(numbers)), *rows)


def people(*endpoints: Endpoint) -> Inventory:
    return Inventory({e.name: e for e in endpoints})


def test_a_survey_holds_each_thing_with_its_state_and_role():
    waiting = UnaddressedPort("new", "shop", "02:00:00:00:00:03", Location(1, 3, "v3", uid(3)))
    rows = [row for n in (1, 2, 3) for row in (interface(n), port(n))]
    tunnel = [InterfaceRow(uid(4), "g0", "geneve", ofport=9), PortRow(uid(104), "g0", frozenset({uid(4)}))]
    broken = [InterfaceRow(uid(5), "v5", ofport=-1, error="no device"), PortRow(uid(105), "v5", frozenset({uid(5)}))]
    own = [InterfaceRow(uid(6), "br", "internal", OFPP_LOCAL), PortRow(uid(106), "br", frozenset({uid(6)}))]
    whole = site_of(RootRow(uid(300), "3.1.0"), bridge({1, 2, 3, 4, 5, 6}), *rows, *tunnel, *broken, *own)
    found = survey(whole, Inventory({"web": endpoint("web", 1)}, (waiting,)), UP)

    assert (found.hosts[HOST].state, found.hosts[HOST].version) == (State.UP, "3.1.0")
    assert found.bridges[HOST, "br"].state is State.UP
    roles = {name: (node.role, node.state) for (_, _, name), node in found.ports.items()}
    assert roles == {
        "v1": (Role.ENDPOINT, State.UP),
        "v2": (Role.LINK, State.UP),
        "v3": (Role.ENDPOINT, State.UP),
        "v5": (Role.UNKNOWN, State.FAULTY),
        "g0": (Role.TUNNEL, State.UP),
        "br": (Role.LOCAL, State.UP),
    }
    assert found.tunnels[HOST, "br", "g0"].type == "geneve"
    assert found.links[WIRE].state is State.UP
    assert (found.networks["shop"].endpoints, found.networks["shop"].hosts) == (2, (HOST,))
    assert found.networks["empty"].state is State.IDLE
    assert (found.endpoints["web"].host, found.endpoints["web"].addresses) == (HOST, ("10.0.0.1",))
    assert found.endpoints["new"].state is State.WAITING


def test_bridges_of_others_are_named_and_not_looked_into():
    found = survey(site_of(bridge({1}, owner="else"), interface(1), port(1)), Inventory(), UP)
    assert found.bridges[HOST, "br"].state is State.FOREIGN
    assert not found.ports


def test_a_bridge_is_up_only_while_its_switch_is_connected_and_a_host_only_while_it_answers():
    lost = reduce(site(1), HostLost(HOST))
    found = survey(lost, Inventory(), Present())
    assert (found.hosts[HOST].state, found.bridges[HOST, "br"].state) == (State.DOWN, State.DOWN)
    assert found.ports[HOST, "br", "v1"].state is State.UP  # as last heard


def test_since_stays_while_a_state_lasts_and_begins_anew_when_it_changes():
    first = dated(Map(), survey(site(1), people(endpoint("web", 1)), UP), T0)
    assert {node.since for node in (*first.hosts.values(), *first.ports.values(), *first.links.values())} == {T0}
    second = dated(first, survey(site(1), people(endpoint("web", 1)), Present({1}, {WIRE: False}, UP.networks)), LATER)
    assert second.links[WIRE].since == LATER
    assert second.hosts is first.hosts
    assert second.endpoints["web"].since == T0


def test_other_labels_do_not_change_since_and_another_port_does():
    first = dated(Map(), survey(site(1, 2), people(endpoint("web", 1)), UP), T0)
    relabelled = dated(first, survey(site(1, 2), people(endpoint("web", 1, labels={"app": "b"})), UP), LATER)
    assert relabelled.endpoints["web"].since == T0
    moved = dated(relabelled, survey(site(1, 2), people(endpoint("web", 2)), UP), LATER)
    assert moved.endpoints["web"].since == LATER


def test_the_same_survey_is_the_same_map():
    first = dated(Map(), survey(site(1), people(endpoint("web", 1)), UP), T0)
    assert dated(first, survey(site(1), people(endpoint("web", 1)), UP), LATER) is first


def test_since_outlives_the_controller_and_what_went_and_came_again_is_news():
    def seen(*, wire: bool = True) -> Map:
        return survey(site(1, 2), people(endpoint("web", 1)), Present({1}, {WIRE: wire}, UP.networks))

    here = dated(Map(), seen(), T0)
    past = load(dump(here, {}, lambda: None))
    assert dated(Map(), seen(), LATER, past) == here
    waiting = dated(Map(), seen(wire=False), LATER, past)
    assert waiting.links[WIRE].since == LATER
    left = without(past, waiting)
    assert {part for part, things in left.items() if things} == {"links"}
    assert load(dump(waiting, left, lambda: None)) == past
    back = dated(waiting, seen(), LATER, left)
    assert back.links[WIRE].since == T0
    broken = dated(back, seen(wire=False), LATER, without(left, back))
    assert dated(broken, seen(), LATER, without(left, back)).links[WIRE].since == LATER


def test_who_is_plugged_in_elsewhere_after_a_restart_is_there_since_then():
    past = load(dump(dated(Map(), survey(site(1, 2), people(endpoint("web", 1)), UP), T0), {}, lambda: None))
    moved = dated(Map(), survey(site(1, 2), people(endpoint("web", 2)), UP), LATER, past)
    assert moved.endpoints["web"].since == LATER
    assert moved.hosts[HOST].since == T0


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b'["hosts", "h", "up", ""]',
        b'["cats", "h", "up", "", "2026-01-01T00:00:00+00:00"]',
        b'["hosts", "h", "up", "", "2026-01-01T00:00:00"]',
        b'["hosts", "h", "merry", "", "2026-01-01T00:00:00+00:00"]',
        b'["ports", 7, "up", "", "2026-01-01T00:00:00+00:00"]',
        b'["links", [[1, 2], [3]], "up", "", "2026-01-01T00:00:00+00:00"]',
        b"\xff",
    ],
)
def test_what_nobody_wrote_is_no_past_and_begins_anew(raw, caplog):
    with pytest.raises((ValueError, TypeError)):
        load(raw)
    annals = Annals(SimpleNamespace(since=raw))  # type: ignore[arg-type] # all that is asked
    assert annals.past == {}
    assert "dated anew" in caplog.text


def test_the_newest_map_is_written_once_and_soon():
    kept: list[bytes] = []
    annals = Annals(SimpleNamespace(since=None, keep_since=kept.append))  # type: ignore[arg-type] # all that is asked
    found = dated(Map(), survey(site(1), people(endpoint("web", 1)), UP), T0)
    annals.note(found)
    assert kept == []
    annals.keep(found)
    annals.keep(found)
    assert kept == [dump(found, {}, lambda: None)]


def kinds(before: Map, after: Map) -> list[tuple[str, str]]:
    return [(news.kind, news.subject) for news in differences(before, after)]


def test_what_happens_is_told_once_each():
    nothing = Map()
    here = dated(nothing, survey(site(1, 2), people(endpoint("web", 1)), UP), T0)
    assert kinds(nothing, here) == [
        ("host.connected", HOST),
        ("switch.connected", f"{1:016x}"),
        ("link.up", f"{1:016x}/2 {2:016x}/1"),
        ("endpoint.came", "web"),
    ]
    assert kinds(here, here) == []
    away = dated(here, survey(reduce(site(1, 2), HostLost(HOST)), people(), Present(links={WIRE: False})), LATER)
    assert kinds(here, away) == [
        ("host.disconnected", HOST),
        ("switch.disconnected", f"{1:016x}"),
        ("link.down", f"{1:016x}/2 {2:016x}/1"),
        ("endpoint.left", "web"),
    ]


@pytest.mark.parametrize(
    ("after", "kind"),
    [
        (endpoint("web", 2), "endpoint.moved"),
        (endpoint("web", 1, uid_of=9), "endpoint.moved"),
        (endpoint("web", 1, labels={"app": "b"}), "endpoint.changed"),
    ],
    ids=["another port", "plugged in anew", "another label"],
)
def test_an_endpoint_moves_when_its_place_changes(after, kind):
    first = dated(Map(), survey(site(1, 2), people(endpoint("web", 1)), UP), T0)
    second = dated(first, survey(site(1, 2), people(after), UP), LATER)
    assert kinds(first, second) == [(kind, "web")]


def test_a_tunnel_is_told_with_its_host():
    rows = (InterfaceRow(uid(4), "g0", "geneve", ofport=9), PortRow(uid(104), "g0", frozenset({uid(4)})))
    there = dated(Map(), survey(site_of(bridge({4}), *rows), Inventory(), UP), T0)
    found = list(differences(Map(tunnels={}), Map(tunnels=there.tunnels)))
    assert found == [News("tunnel.up", "g0", {"host": HOST, "type": "geneve", "remote": ""})]
    gone = reduce(site_of(bridge({4}), *rows), RowsChanged(HOST, (bridge(set()),), (uid(4), uid(104))))
    assert not survey(gone, Inventory(), UP).tunnels


def test_reports_are_raised_once_and_settled_once():
    old, new = Report("a", "p", "r"), Report("b", "p", "r")
    assert [(n.kind, n.subject) for n in report_news([old], [new, new])] == [
        ("report.settled", "a"),
        ("report.raised", "b"),
    ]


def test_a_journal_numbers_without_gaps_and_forgets_the_oldest():
    journal = Journal("a1", 3)
    assert journal.after(0, 10) == []
    assert journal.append((News("k", str(n)) for n in range(5)), T0) == 5
    assert [e.number for e in journal.after(2, 10) or ()] == [3, 4, 5]
    assert [e.number for e in journal.after(2, 2) or ()] == [3, 4]
    assert journal.after(1, 10) is None
    assert (journal.oldest, journal.last) == (2, 5)
    assert journal.after(5, 10) == []
    assert journal.after(6, 10) is None


@pytest.mark.parametrize("text", ["", "a1", "a1-", "b2-1", "a1-6", "a1--1", "a1-1 ", "a1-0x1", "a1-" + "9" * 16])
def test_a_journal_knows_only_its_own_ids(text):
    journal = Journal("a1", 3)
    journal.append([News("k", "s")] * 5, T0)
    assert journal.position(text) is None
    assert journal.position(journal.mark(4)) == 4

"""The surveyor: what it notices, and how readers follow it."""

from __future__ import annotations

import dataclasses
import threading
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from intent.api.ports import TooManyReaders
from ryu_apps import surveyor as module
from ryu_apps.convergence import Desired
from ryu_apps.reconciler import Reconciler
from ryu_apps.surveyor import Surveyor
from tests.unit.site_kit import HOST, INTENTS, bridge, interface, port, site_of
from topology.breathing import PIECE
from topology.events import BridgeRow, HostResynced, InterfaceRow, PortRow
from topology.map import Map, dated
from topology.model import Inventory, Report
from topology.site import empty_site, reduce
from topology.survey import Present, survey


class World:
    """A planner of plain values, a real reconciler, and a surveyor that looks when it is told to."""

    def __init__(self) -> None:
        built = SimpleNamespace(inventory=Inventory())
        self.planner = SimpleNamespace(site=site_of(), built=built, built_from=INTENTS)
        self.reconciler = Reconciler(0xA, 60.0)
        self.revision = 3
        self.surveyor = Surveyor(self.planner, self.reconciler, lambda: self.revision)  # type: ignore[arg-type]
        self.surveyor.look_now()

    def happened(self) -> list[str]:
        _, reader = self.surveyor.follow("oldest")
        assert reader
        found = reader.next(0.0)
        reader.close()
        return [f"{e.news.kind} {e.news.subject}" for _, e in found or []]

    def realize(self, revision: int | None) -> None:
        self.reconciler.want(1, Desired(1, 1, {}))
        self.reconciler.note(1, connected=True, realized=revision)
        self.surveyor.look_now()


@pytest.fixture
def world():
    return World()


def test_the_first_look_tells_of_what_is_there_but_not_of_old_revisions(world):
    assert world.happened() == [f"host.connected {HOST}"]


def test_what_changed_is_told_and_what_did_not_is_not(world):
    world.planner.site = site_of(bridge({1}), interface(1), port(1))
    world.reconciler.want(1, Desired(1, 1, {}))
    world.reconciler.note(1, connected=True)
    world.surveyor.look_now()
    world.surveyor.look_now()
    assert world.happened() == [f"host.connected {HOST}", f"switch.connected {1:016x}"]
    assert world.surveyor.look()[0] == "a-2"
    assert (HOST, "br") in world.surveyor.look()[1].bridges


def test_each_revision_is_applied_once_and_the_newest_realized_once(world):
    world.realize(3)
    world.revision = 5
    world.realize(4)
    world.realize(None)  # it connects anew
    world.realize(4)
    world.realize(5)
    news = [line for line in world.happened() if line.startswith("revision")]
    assert news == ["revision.realized 3", "revision.applied 4", "revision.applied 5", "revision.realized 4",
                    "revision.realized 5"]  # fmt: skip


def test_reports_of_the_inventory_and_of_others_are_told(world):
    world.planner.built = SimpleNamespace(inventory=Inventory(reports=(Report("a", "p", "r"),)))
    world.surveyor.reports = lambda: (Report("b", "p", "r"),)
    world.surveyor.look_now()
    world.surveyor.reports = lambda: ()
    world.surveyor.look_now()
    assert world.happened()[1:] == ["report.raised a", "report.raised b", "report.settled b"]


def test_a_reader_resumes_where_it_was_and_another_start_is_not_resumed(world):
    mark, _ = world.surveyor.look()
    world.revision = 4
    world.surveyor.look_now()
    begin, reader = world.surveyor.follow(mark)
    assert begin == mark
    assert reader
    assert [m for m, _ in reader.next(0.0) or []] == ["a-2"]
    assert reader.next(0.0) == []
    assert world.surveyor.follow("9-1") == ("a-2", None)
    assert world.surveyor.follow("a-7") == ("a-2", None)


def test_a_reader_that_falls_behind_is_let_go_and_nobody_waits_for_it(monkeypatch):
    monkeypatch.setattr(module, "KEPT", 10)
    world = World()
    _, slow = world.surveyor.follow("")
    _, quick = world.surveyor.follow("")
    assert slow
    assert quick
    for _ in range(4):
        world.revision += 5
        world.surveyor.look_now()
        assert len(quick.next(0.0) or []) == 5
    assert slow.next(0.0) is None
    assert world.surveyor.follow("a-1") == ("a-21", None)


def test_readers_are_bounded_and_a_closed_one_makes_room_once(world, monkeypatch):
    monkeypatch.setattr(module, "MAX_READERS", 2)
    _, first = world.surveyor.follow("")
    world.surveyor.follow("")
    with pytest.raises(TooManyReaders):
        world.surveyor.follow("")
    assert first
    first.close()
    first.close()
    world.surveyor.follow("")
    with pytest.raises(TooManyReaders):
        world.surveyor.follow("")


def test_the_thread_notices_by_itself_and_ends_with_its_readers(world):
    thread = threading.Thread(target=world.surveyor.run)
    thread.start()
    _, reader = world.surveyor.follow("")
    assert reader
    world.reconciler.want(1, Desired(1, 1, {}))
    world.reconciler.note(1, connected=True, realized=3)
    assert [e.news.kind for _, e in reader.next(60.0) or []] == ["revision.realized"]
    world.surveyor.stop()
    assert reader.next(60.0) is None
    thread.join(60.0)
    assert not thread.is_alive()


def test_a_sight_is_compared_by_what_is_in_it(world):
    seen = world.surveyor._sight
    assert module._same_things(seen, dataclasses.replace(seen, revision=99))
    assert not module._same_things(seen, dataclasses.replace(seen, connected=frozenset({1})))


def test_a_long_look_leaves_others_their_share_of_the_time(monkeypatch):
    slept = []
    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=slept.append, monotonic=time.monotonic))
    world = World()
    world.surveyor._breathe(0.05)
    assert slept[0] >= 0.05
    begun = time.monotonic() - 0.01
    world.surveyor._began = begun
    world.surveyor._breathe()
    assert slept[1] >= module.SHARE * 0.01
    assert world.surveyor._began > begun, "the next piece is measured from here"


def test_a_survey_of_many_breathes_and_says_the_same():
    numbers = range(1, 451)
    ports = [PortRow(f"p{n}", f"v{n}", frozenset({f"i{n}"})) for n in numbers]
    rows = [InterfaceRow(f"i{n}", f"v{n}", ofport=n) for n in numbers]
    whole = BridgeRow("b", "br", dpid=1, ports=frozenset(p.uid for p in ports), external_ids={"ringfence": "me"})
    site = reduce(empty_site("me", [HOST]), HostResynced(HOST, (whole, *ports, *rows)))
    breaths = []
    now = datetime.now(UTC)
    seen = survey(site, Inventory(), Present(), lambda: breaths.append(1))
    assert seen == survey(site, Inventory(), Present())
    before = len(breaths)
    assert before >= len(numbers) // PIECE
    assert dated(Map(), seen, now, breathe=lambda: breaths.append(1)) == dated(Map(), seen, now)
    assert len(breaths) - before == len(numbers) // PIECE


def test_a_look_that_has_begun_waits_for_what_is_under_way_but_not_for_ever(monkeypatch):
    slept, states = [], iter((True, True, False))
    world = World()
    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=slept.append, monotonic=lambda: 100.0))
    monkeypatch.setattr(module, "_is_under_way", lambda _: next(states))
    world.surveyor._began, world.surveyor._patient_until = 100.0, 100.5
    world.surveyor._breathe()
    assert slept == [0.0, module.PAUSE_S, module.PAUSE_S]
    world.surveyor._patient_until = 99.0
    world.surveyor._breathe()
    assert slept[3:] == [0.0], "its patience was over, so it did not ask"

"""The planner goes on: past intents that cannot be compiled, past a fault of its own, and when the clock is set."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest

from intent.compiler import CompileError, OutOfNumbers, spaces
from intent.model import Intents, Policy
from intent.schema import StoreUnavailableError
from ryu_apps import planner as module
from ryu_apps import threads
from ryu_apps.memory import Memory
from ryu_apps.planner import Planner
from ryu_apps.reconciler import Reconciler
from tests.fakes.fake_switch import until
from tests.unit.site_kit import site_of


class Shelf(dict):
    def state(self, key):
        return self.get(key)

    def put_state(self, values):
        self.update(values)


class Bench:
    """A planner without switches, whose compilations are recorded and can be made to fail."""

    def __init__(self, monkeypatch):
        self.intents = Intents(revision=1)
        self.compiled: list[int] = []
        self.fails: dict[int, Exception] = {}
        compile_all = module.compile_all

        def recorded(intents, *rest):
            self.compiled.append(intents.revision)
            if intents.revision in self.fails:
                raise self.fails[intents.revision]
            return compile_all(intents, *rest)

        monkeypatch.setattr(module, "compile_all", recorded)
        self.planner = Planner(Memory(Shelf()), Reconciler(1, 60.0), lambda: self.intents, site_of(), "br-ring")


@pytest.fixture
def bench(monkeypatch):
    return Bench(monkeypatch)


def test_intents_that_cannot_be_compiled_do_not_stop_those_before_them(bench):
    bench.planner.plan()
    bench.fails[2] = CompileError("too many")
    bench.intents = Intents(revision=2)
    bench.planner.plan()
    bench.planner.plan()
    assert bench.compiled == [1, 2, 1, 2, 1], "what is plugged in is followed with the intents of revision 1"
    assert (bench.planner.failure, bench.planner.failed_revision, bench.planner.planned_revision) == ("too many", 2, 1)
    bench.intents = Intents(revision=3)
    bench.planner.plan()
    assert (bench.planner.failure, bench.planner.planned_revision) == ("", 3)


def test_what_a_fault_interrupted_is_planned_again(bench, monkeypatch):
    monkeypatch.setattr(threads, "PAUSE_S", 0.01)
    bench.fails[1] = RuntimeError("the disk is full")
    threads.start(bench.planner)
    assert until(lambda: len(bench.compiled) >= 2), "nobody wakes it a second time"
    bench.fails.clear()
    assert until(lambda: bench.planner.planned_revision == 1)
    bench.planner.stop()


def test_what_the_disk_does_not_take_is_kept_until_it_does_and_every_switch_says_so(bench, monkeypatch):
    """Nothing is compiled anew meanwhile: the disk's fault costs no processor."""
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.01)
    full = [StoreUnavailableError("the disk is full")]
    put = bench.planner._memory.put

    def refused(draft):
        if full:
            raise full[0]
        put(draft)

    monkeypatch.setattr(bench.planner._memory, "put", refused)
    threads.start(bench.planner)
    assert until(lambda: "the disk is full" in bench.planner.stuck)
    assert bench.planner.planned_revision == 0, "no switch learns of numbers that are not durable"
    full.clear()
    assert until(lambda: bench.planner.planned_revision == 1)
    assert (bench.planner.stuck, bench.compiled) == ("", [1])
    bench.planner.stop()


@pytest.mark.parametrize("hours", [-1, 12], ids=["over", "to come"])
def test_a_clock_that_is_set_is_noticed_within_a_minute(bench, hours):
    ends = dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours)
    policy = Policy("p", "application", 0, (), expires=ends)
    bench.intents = dataclasses.replace(bench.intents, policies={"p": policy})
    bench.planner.plan()
    patience_s = bench.planner._patience_s(told=False)
    assert patience_s is not None
    assert patience_s <= module.CLOCK_S


def test_a_clock_that_is_set_forward_ends_no_rest_of_numbers(bench, monkeypatch):
    at_s = []
    compile_all = module.compile_all
    monkeypatch.setattr(module, "compile_all", lambda *args: at_s.append(args[-1]) or compile_all(*args))
    bench.planner.plan()

    class Set(dt.datetime):
        @classmethod
        def now(cls, tz=None):
            return dt.datetime.now(tz) + dt.timedelta(hours=1)

    monkeypatch.setattr(module, "datetime", Set)
    bench.planner.plan()
    assert 0 <= at_s[1] - at_s[0] < spaces.REST_S / 2


def test_without_policies_of_limited_time_the_clock_wakes_nobody(bench):
    bench.planner.plan()
    assert bench.planner._patience_s(told=False) is None


def test_who_wants_numbers_that_rest_is_looked_at_again_by_itself(bench):
    """Nothing else may happen, and the revision holds back all that come after it, revocations too."""
    bench.fails[1] = OutOfNumbers("all 31 numbers are in use or rest")
    bench.planner.plan()
    assert bench.planner._patience_s(told=False) == module.CLOCK_S
    bench.fails.clear()
    bench.planner.plan()
    assert (bench.planner._patience_s(told=False), bench.planner.planned_revision) == (None, 1)


def test_orders_whose_rules_get_other_priorities_are_told(caplog):
    module._say_who_moved(())
    assert not caplog.records
    module._say_who_moved([f"application/{n}" for n in range(7)])
    (record,) = caplog.records
    assert "the flows of 7 orders change" in record.message
    assert record.message.endswith("application/4, ...")

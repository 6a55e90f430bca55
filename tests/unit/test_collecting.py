"""What is made for good is passed by the collector, at once where it is much, and cycles of others are not."""

from __future__ import annotations

import dataclasses
import gc
import weakref

import pytest

from intent.model import Intents, Policy
from ryu_apps import collecting
from ryu_apps.collecting import FEW, is_little, uncollected
from topology.frozen import FrozenMap


@pytest.fixture(autouse=True)
def _as_before(monkeypatch):
    monkeypatch.setattr(collecting._Young, "count", 0)
    gc.collect()
    yield
    gc.unfreeze()
    assert gc.isenabled()


class Knot:
    """Something that only the collector can free."""

    def __init__(self) -> None:
        self.me = self


def tied() -> weakref.ref[Knot]:
    return weakref.ref(Knot())


def test_a_large_change_passes_by_what_it_made_and_frees_the_cycles_before_it():
    before, frozen = tied(), gc.get_freeze_count()
    with uncollected():
        made = [[n] for n in range(1000)]
        assert not gc.isenabled()
    assert before() is None
    assert gc.get_freeze_count() >= frozen + len(made)


def test_little_ones_leave_both_until_they_are_many(monkeypatch):
    monkeypatch.setattr(collecting, "MANY", 3000)
    frozen, made, knots = gc.get_freeze_count(), [], [tied()]
    with uncollected(little=True):
        made += [[n] for n in range(500)]
    assert gc.get_freeze_count() == frozen
    with uncollected(little=True):
        made += [[n] for n in range(4000)]
    assert gc.get_freeze_count() >= frozen + len(made)
    assert knots[0]() is None


def test_a_fault_leaves_the_collector_as_it_was():
    with pytest.raises(ZeroDivisionError), uncollected(little=True):
        _ = 1 / 0
    assert gc.isenabled()
    gc.disable()
    with uncollected():
        pass
    was_left_off = not gc.isenabled()
    gc.enable()
    assert was_left_off


def test_what_is_little_is_told_by_documents():
    policies = FrozenMap({f"p{n}": Policy(f"p{n}", "application", n, ()) for n in range(100)})
    whole = Intents(policies=policies)
    assert is_little(whole, dataclasses.replace(whole, revision=7))
    for count, little in ((1, True), (FEW, True), (FEW + 1, False)):
        changed = {f"p{n}": Policy(f"p{n}", "application", n + 1, ()) for n in range(count)}
        assert is_little(whole, dataclasses.replace(whole, policies=policies.but(changed))) is little
    assert not is_little(None, whole), "the first is never little"
    assert not is_little(whole, dataclasses.replace(whole, policies=dict(policies))), "to find out would take as long"

"""Numbers are kept change by change, and what is read back is what was kept, wherever the writing stopped."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest

from intent.clockwork import effective
from intent.compiler import Delta, IdMap
from intent.compiler.delta import apply
from intent.compiler.engine import Engine, IdChange
from intent.compiler.fields import REG, whole
from intent.compiler.flow import Flow, FlowBody, FlowKey, Load, OutputReg
from intent.compiler.spaces import Space
from intent.compiler.verdict import meters
from ryu_apps import journal as module
from ryu_apps.changes import changes_between
from ryu_apps.memory import Memory
from ryu_apps.outline import Outline
from ryu_apps.reach import flows_by_port
from ryu_apps.timers import timed
from tests.property.cases import DPID, EVERYTHING, NOW, OFFSETS, OTHER_DPID
from tests.property.choice import Seeded
from tests.property.histories import make_history

DPIDS = (DPID, OTHER_DPID)
OUTLINE_OF = Outline.of


class Shelf(dict):
    """A store whose next write can be made to fail."""

    full = False

    def state(self, key):
        return self.get(key)

    def put_state(self, values):
        if self.full:
            raise OSError("the disk is full")
        for key, value in values.items():
            self.pop(key, None) if value is None else self.update({key: value})


def _history(seed):
    for step, case in enumerate(make_history(Seeded(f"kept {seed}"), EVERYTHING, steps=8)):
        yield effective(case.intents, NOW, OFFSETS), case.inventory, 250.0 * step


def _used(ids):
    """Return an id map without the spaces that were never used."""
    return dataclasses.replace(ids, spaces={name: space for name, space in ids.spaces.items() if space != Space()})


@pytest.mark.parametrize("least", [0, 400, 1 << 20], ids=["whole each time", "sometimes whole", "journal"])
def test_what_is_read_back_is_what_was_kept(least, monkeypatch):
    monkeypatch.setattr(module, "MIN_JOURNAL", least)
    for seed in range(4):
        shelf = Shelf()
        memory, engine = Memory(shelf), Engine(IdMap())
        for intents, inventory, now_s in _history(seed):
            memory.keep(engine.update(intents, inventory, DPIDS, now_s).ids, {}, {})
            assert Memory(Shelf(shelf)).ids == _used(engine.ids())
        assert memory.ids == _used(engine.ids())


def test_a_journal_grows_no_longer_than_what_it_changes(monkeypatch):
    monkeypatch.setattr(module, "MIN_JOURNAL", 2000)
    shelf = Shelf()
    memory, engine = Memory(shelf), Engine(IdMap())
    for seed in range(6):
        for intents, inventory, now_s in _history(seed):
            memory.keep(engine.update(intents, inventory, DPIDS, now_s).ids, {}, {})
            journal = sum(len(value) for key, value in shelf.items() if key.startswith("ids/"))
            assert journal <= max(2000, len(shelf["ids"]))


def test_what_could_not_be_written_is_not_remembered():
    shelf = Shelf()
    memory, engine = Memory(shelf), Engine(IdMap())
    for intents, inventory, now_s in _history(1):
        change = engine.update(intents, inventory, DPIDS, now_s).ids
        if change:
            before, shelf.full = memory.ids, True
            with pytest.raises(OSError, match="full"):
                memory.keep(change, {}, {})
            shelf.full = False
            assert memory.ids == before == Memory(Shelf(shelf)).ids
        memory.keep(change, {}, {})
    assert memory.ids == _used(engine.ids())


def test_a_change_survives_json():
    engine = Engine(IdMap())
    for intents, inventory, now_s in _history(2):
        change = engine.update(intents, inventory, DPIDS, now_s).ids
        assert IdChange.from_json(change.to_json()) == change


@pytest.mark.parametrize("seed", range(4))
def test_an_outline_that_follows_deltas_is_that_of_the_program(seed):
    engine = Engine(IdMap())
    outline = None
    for intents, inventory, now_s in _history(seed):
        update = engine.update(intents, inventory, DPIDS, now_s)
        if DPID in update.whole:
            outline = Outline.of(engine.program(DPID))
        elif DPID in update.deltas:
            before, kept = outline, dict(outline.program.items())
            outline = outline.after(update.deltas[DPID])
            assert before.program == kept, "others may still be reading it"
            told = changes_between(before.program, outline.program, outline.lead)
            found = changes_between(before.program, outline.program)
            assert Counter(told) == Counter(found), "as if both were looked through, but for the order"
            assert [command for command, _ in told] == [command for command, _ in found], "deletions first"
        assert outline == Outline.of(engine.program(DPID))
        assert {port: set(keys) for port, keys in outline.of_port.items()} == flows_by_port(outline.program)
        assert outline.timed == timed(outline.program)
        assert outline.meters == meters(outline.program)


def _leaves_by(register, number):
    return Flow(FlowKey(9, number, ()), FlowBody((OutputReg(whole(register)),), 0))


def test_flows_that_leave_by_a_register_are_looked_through_only_for_the_first_and_the_last(monkeypatch):
    """What loads a register belongs to a port while any flow leaves by it; on wired switches each join brings one."""
    to_port = Flow(FlowKey(8, 1, ()), FlowBody((Load(whole(REG[3]), 7),), 0))
    first, second = _leaves_by(REG[3], 1), _leaves_by(REG[3], 2)
    made = []
    monkeypatch.setattr(Outline, "of", classmethod(lambda _, program: made.append(1) or whole_of(program)))
    whole_of, outline = OUTLINE_OF, OUTLINE_OF(dict([to_port]))
    program = dict([to_port])
    for delta, is_anew in (
        (Delta(adds=(first,)), True),
        (Delta(adds=(second,)), False),
        (Delta(deletes=(first.key,)), False),
        (Delta(deletes=(second.key,)), True),
    ):
        made.clear()
        program, outline = apply(program, delta), outline.after(delta)
        assert outline == OUTLINE_OF(program)
        assert dict(outline.of_port.items()) == flows_by_port(program)
        assert bool(made) == is_anew

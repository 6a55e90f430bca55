"""What the controller keeps between starts, and that a thread's fault does not end its part."""

from __future__ import annotations

import pytest

from intent.compiler import IdMap
from intent.compiler.engine import IdChange, SpaceChange
from ryu_apps import threads
from ryu_apps.memory import Damaged, Memory


class Shelf(dict):
    def state(self, key):
        return self.get(key)

    def put_state(self, values):
        self.update(values)
        self.writes = getattr(self, "writes", 0) + 1


def test_each_start_raises_the_generation_and_keeps_the_owner():
    shelf = Shelf()
    first, second = Memory(shelf), Memory(shelf)
    assert (first.generation, second.generation) == (1, 2)
    assert first.owner == second.owner


def test_numbers_are_written_only_when_they_change_and_read_back():
    shelf = Shelf()
    memory = Memory(shelf)
    change = IdChange(0.0, {"identity": SpaceChange({"a": 1, "b": 2}, {}, {}, 3)})
    memory.keep(change, {}, {})
    writes = shelf.writes
    memory.keep(IdChange(), {}, {})
    assert shelf.writes == writes
    assert Memory(shelf).ids == memory.ids == IdMap().with_space("identity", ["a", "b"], 0.0)


@pytest.mark.parametrize("key", ["generation", "ids", "claims", "learned"])
def test_a_damaged_key_is_named(key):
    with pytest.raises(Damaged, match=key):
        Memory(Shelf({key: b"\xff{"}))


def test_a_part_with_a_fault_begins_anew_and_a_stopped_one_does_not(monkeypatch, caplog):
    monkeypatch.setattr(threads, "PAUSE_S", 0.0)

    class Faulty:
        stopped = False
        runs = 0

        def run(self):
            self.runs += 1
            self.stopped = self.runs == 3
            raise RuntimeError("a fault")

    part = Faulty()
    threads._keep_running(part, "part")
    assert part.runs == 3
    assert len(caplog.records) == 2

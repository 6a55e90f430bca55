"""What the controller keeps between starts, and that a thread's fault does not end its part."""

from __future__ import annotations

import itertools
import sys
from ipaddress import ip_address

import pytest

from intent.compiler import IdMap
from intent.compiler.engine import IdChange, SpaceChange
from intent.inventory import ClaimKey
from ryu_apps import journal, threads
from ryu_apps.memory import Damaged, Memory
from topology.frozen import FrozenMap


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


def test_changes_of_numbers_that_nobody_asks_for_do_not_pile_up(monkeypatch):
    monkeypatch.setattr(journal, "MIN_JOURNAL", 400)
    memory = Memory(Shelf())
    held = []
    for n in range(100):
        gone = {f"k{n - 1}": n} if n else {}
        memory.keep(IdChange(n, {"identity": SpaceChange({f"k{n}": n + 1}, gone, {}, n + 2)}), {}, {})
        held.append(len(memory._numbers[1]))
    assert max(held[50:]) < 40
    assert memory.ids.spaces["identity"].live == {"k99": 100}
    assert len(memory.ids.spaces["identity"].resting) == 99


def test_no_number_is_lost_when_somebody_asks_for_all_at_any_instant_of_a_draft():
    """The compiler's thread drafts while another puts the map together: no step of one may see half of the other."""
    for step in itertools.count():
        memory = Memory(Shelf())
        for number in (1, 2):  # the first is written whole
            memory.keep(IdChange(0.0, {"identity": SpaceChange({f"k{number}": number}, {}, {}, number + 1)}), {}, {})
        steps = itertools.count()

        def trace(frame, event, _, memory=memory, steps=steps, step=step):
            frame.f_trace_opcodes = True
            if event == "opcode" and next(steps) == step:
                assert memory.ids.spaces["identity"].live == {"k1": 1, "k2": 2}
            return trace if frame.f_code is Memory._ids_after.__code__ else None

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            after = memory._ids_after(IdChange(1.0, {"identity": SpaceChange({"k3": 3}, {}, {}, 4)}))
        finally:
            sys.settrace(before)
        assert after.spaces["identity"].live == {"k1": 1, "k2": 2, "k3": 3}, f"step {step}"
        if next(steps) <= step:
            break
    assert step > 5


def test_claims_and_learned_addresses_are_kept_as_changes_in_one_write_with_the_numbers():
    shelf = Shelf()
    memory = Memory(shelf)
    claims = FrozenMap({ClaimKey("net", f"10.0.0.{n}"): f"uid/e{n}" for n in range(20)})
    learned = FrozenMap({"uid/e1": (ip_address("10.0.1.1"), ip_address("fd00::1"))})
    memory.keep(IdChange(), claims, learned)
    for n in range(20):
        claims = claims.but({ClaimKey("net", f"10.0.0.{n}"): "uid/other", ClaimKey("", f"name/{n}"): "x/y"})
        claims = claims.but(gone=[ClaimKey("net", f"10.0.0.{n + 1}")])
        learned = learned.but({f"uid/e{n}": (ip_address(f"10.0.2.{n}"),)}, [f"uid/e{n - 1}"])
        writes, whole = shelf.writes, shelf["claims"]
        memory.keep(IdChange(n, {"identity": SpaceChange({f"k{n}": n + 1}, {}, {}, n + 2)}), claims, learned)
        assert shelf.writes == writes + 1
        assert shelf["claims"] == whole, "only the change is written"
        again = Memory(Shelf({key: value for key, value in shelf.items() if value is not None}))
        assert (again.claims, again.learned) == (claims, learned)
        assert again.ids.spaces["identity"].live[f"k{n}"] == n + 1


@pytest.mark.parametrize("key", ["claims/1", "learned/1", "ids/1"])
@pytest.mark.parametrize("value", [b"\xff{", b"[1]", b'[["a"]]'])
def test_a_damaged_entry_is_named(key, value):
    with pytest.raises(Damaged, match=key.partition("/")[0]):
        Memory(Shelf({key: value}))


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

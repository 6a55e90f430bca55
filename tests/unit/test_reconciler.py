"""The reconciler against a fake switch: the difference and nothing else, and every fault survived."""

from __future__ import annotations

import pytest

from intent.compiler.flow import FlowBody, FlowKey, Goto, Meter
from ryu_apps import bundle, changes, conversation
from ryu_apps.link import Refused
from ryu_apps.reconciler import Reconciler
from ryu_apps.session import Listener, Role
from ryu_apps.switches import Switches
from tests.fakes.fake_switch import FakeSwitch, until
from tests.unit.reconciler_kit import DPID, Bench, program


@pytest.fixture
def bench():
    return Bench()


def test_installs_what_is_desired_in_one_bundle_and_then_says_realized(bench):
    switch = bench.connect(FakeSwitch())
    bench.want(program(1, 2))
    assert bench.realized()
    assert len(switch.tables) == 5
    assert switch.messages.count(33) == 3, "open, close, commit"
    assert bench.state().role is Role.MASTER


def test_nothing_is_written_before_something_is_desired(bench):
    switch = bench.connect(FakeSwitch())
    assert until(lambda: bench.state().role is Role.MASTER)
    assert switch.messages == [24]


def test_reconnect_sends_no_flow_mod_when_nothing_changed(bench):
    switch = bench.connect(FakeSwitch())
    bench.want(program(1, 2))
    assert bench.realized()
    switch.shut("gone")
    assert until(lambda: not bench.state().connected)
    assert not bench.reconciler.is_realized(1), "a switch that is away confirms nothing"
    again = bench.connect(FakeSwitch(switch.tables))
    assert bench.realized()
    assert again.flow_mods == 0
    assert set(again.messages) <= {24, 18, 13}, "role, dumps, and the question what it can do"


def test_of_a_bundle_that_is_done_nothing_is_kept(bench):
    """What is kept would be looked through at every message of the switch."""
    bench.connect(FakeSwitch())
    for revision in range(1, 5):
        bench.want(program(revision), revision)
        assert bench.realized(revision)
    session = bench.switches.session(DPID)
    assert not session.exchange._talks


@pytest.mark.parametrize("refused", [1, 3])
def test_what_the_switch_refuses_is_never_committed_by_reflex(bench, refused):
    """The commit follows the closing by itself, but not behind an error."""
    switch = FakeSwitch()
    switch.refuse = lambda count, _body: (4, 9) if count == refused else None
    bench.connect(switch)
    bench.want(program(1, 2))
    assert until(lambda: "refused" in bench.state().problem)
    assert not switch.tables
    assert switch.messages.count(33) == 3, "open, close, discard"


def test_a_change_sends_the_difference_only(bench):
    switch = bench.connect(FakeSwitch())
    bench.want(program(1, 2))
    assert bench.realized()
    sent = switch.flow_mods
    bench.want(program(1, 3), revision=2)
    assert bench.realized(2)
    assert switch.flow_mods - sent == 4, "two flows of port 2 go, two of port 3 come"


def test_foreign_flow_is_removed_and_missing_one_restored():
    bench = Bench(interval_s=0.1)
    switch = bench.connect(FakeSwitch())
    bench.want(program(1, 2))
    assert bench.realized()
    right = dict(switch.tables)
    lost = next(iter(right))
    del switch.tables[lost]
    switch.tables[9, 9, b"\x00\x01\x00\x04\x00\x00\x00\x00"] = (0, 0, b"")
    # metadata=1, a field that no program of ours matches
    switch.tables[9, 8, bytes.fromhex("0001001080000408 0000000000000001")] = (0, 0, b"")
    assert until(lambda: switch.tables == right)
    assert until(lambda: (bench.state().foreign_removed, bench.state().missing_restored) == (2, 1))


def test_disconnect_in_the_middle_of_a_bundle_is_mended_by_the_next_connection(bench):
    switch = FakeSwitch()
    switch.die_at_flow_mod = 3
    bench.connect(switch)
    bench.want(program(1, 2))
    assert until(lambda: not bench.state().connected)
    assert switch.tables == {}
    again = bench.connect(FakeSwitch(switch.tables))
    assert bench.realized()
    assert len(again.tables) == 5


def test_a_fault_of_ours_is_reported_and_the_switch_connects_anew(bench, monkeypatch):
    def fault(*_arguments: object, **_named: object) -> None:
        raise RuntimeError("not foreseen")

    monkeypatch.setattr(changes, "stages", fault)
    switch = bench.connect(FakeSwitch())
    bench.want(program(1))
    assert until(lambda: bool(switch.shut_reason)), "it would keep for ever what was revoked"
    assert "not foreseen" in bench.state().problem


def test_no_answer_to_a_commit_closes_the_connection(bench, monkeypatch):
    monkeypatch.setattr(bundle, "COMMIT_S", 0.1)
    switch = FakeSwitch()
    switch.deaf_to = {33}
    bench.connect(switch)
    bench.want(program(1))
    assert until(lambda: not bench.state().connected)
    assert "no answer" in switch.shut_reason


def test_an_endless_answer_closes_the_connection(bench, monkeypatch):
    monkeypatch.setattr(conversation, "MAX_ANSWER_BYTES", 100)
    switch = bench.connect(FakeSwitch())
    for n in range(10):
        switch.tables[n, 1, b"\x00\x01\x00\x04\x00\x00\x00\x00"] = (0, 0, b"")
    bench.want(program(1))
    assert until(lambda: "100 bytes" in switch.shut_reason)


def test_a_stale_generation_writes_nothing(bench):
    switch = FakeSwitch()
    switch.generation = 6
    bench.connect(switch)
    bench.want(program(1))
    assert until(lambda: bench.state().role is Role.STALE)
    assert switch.messages == [24]


def test_a_deposed_master_writes_nothing_more(bench):
    switch = bench.connect(FakeSwitch())
    bench.want(program(1))
    assert bench.realized()
    switch.demote(6)
    tables = dict(switch.tables)
    sent = switch.flow_mods
    bench.want(program(1, 2), revision=2)
    assert until(lambda: bench.state().role is Role.STALE)
    assert (switch.tables, switch.flow_mods) == (tables, sent)


def test_a_master_that_does_not_know_yet_is_stopped_by_the_switch(bench):
    switch = bench.connect(FakeSwitch())
    bench.want(program(1))
    assert bench.realized()
    switch.role = 3  # its role status message is still on its way
    tables = dict(switch.tables)
    bench.want(program(1, 2), revision=2)
    assert until(lambda: bench.state().role is Role.STALE)
    assert switch.tables == tables


def test_meters_come_before_the_flows_that_use_them_and_go_after(bench):
    switch = bench.connect(FakeSwitch())
    limited = {**program(1), FlowKey(3, 1, ()): FlowBody((Meter(4), Goto(5)), 0)}
    bench.want(limited)
    assert bench.realized()
    assert switch.meters == {4: 10}
    assert switch.messages.index(29) < switch.messages.index(34)
    bench.want(program(1), revision=2)
    assert bench.realized(2)
    assert until(lambda: switch.meters == {})


def test_a_meter_that_others_changed_is_put_right_by_the_next_connection(bench):
    limited = {FlowKey(3, 1, ()): FlowBody((Meter(4), Goto(5)), 0)}
    switch = FakeSwitch()
    switch.meters = {4: 999, 7: 1}
    bench.connect(switch)
    bench.want(limited)
    assert bench.realized()
    assert until(lambda: switch.meters == {4: 10})


def test_meters_that_others_delete_come_back_with_the_next_verification():
    bench = Bench(interval_s=0.05)
    switch = bench.connect(FakeSwitch())
    bench.want({FlowKey(3, 1, ()): FlowBody((Meter(4), Goto(5)), 0)})
    assert bench.realized()
    switch.meters = {5: 1}
    assert until(lambda: switch.meters == {4: 10}), "else the flows that use it are refused, and all changes with them"


def test_flows_of_a_gone_port_go_at_once_and_come_back_with_it(bench):
    switch = bench.connect(FakeSwitch())
    bench.want(program(1, 2), ports=(1, 2))
    assert bench.realized()
    session = bench.switches.session(DPID)
    assert session

    def status(reason: int, name: bytes) -> bytes:
        body = bytes([reason]) + bytes(7) + (2).to_bytes(4, "big") + (40).to_bytes(2, "big") + bytes(10)
        return b"\x05\x0c\x00\x38\x00\x00\x00\x00" + body + name.ljust(16, b"\0") + bytes(8)

    session.feed(status(1, b"v2"))
    assert until(lambda: len(switch.tables) == 3)
    session.feed(status(0, b"other"))
    bench.want(program(1, 2), revision=2, ports=(1, 2))
    assert bench.realized(2)
    assert len(switch.tables) == 3, "another interface under the old number inherits nothing"
    session.feed(status(2, b"v2"))
    assert until(lambda: len(switch.tables) == 5)


def test_a_second_connection_is_refused_as_long_as_the_first_lives(bench):
    first = bench.connect(FakeSwitch())
    with pytest.raises(Refused, match="second connection"):
        bench.switches.admit(FakeSwitch(), DPID, 0)
    first.alive = lambda _timeout: False
    bench.connect(FakeSwitch(first.tables))
    assert first.shut_reason


def test_admission_by_id_and_name():
    switches = Switches(Reconciler(1, 60), Listener(), {1}, {"sw.example"})
    named = FakeSwitch()
    named.names = ("sw.example",)
    switches.admit(named, 1, 0)
    with pytest.raises(Refused, match="not admitted"):
        switches.admit(named, 2, 0)
    with pytest.raises(Refused, match="certificate"):
        switches.admit(FakeSwitch(), 1, 0)
    with pytest.raises(Refused, match="auxiliary"):
        switches.admit(named, 1, 1)

"""Sessions and bundles against a real bridge: atomic, staged when large, roles by generation."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from plain_link import PlainLink

from intent.compiler.fields import IN_PORT, REG, Slice
from intent.compiler.flow import FlowBody, FlowKey, Goto, Load, Output, Program, exact, match_of
from ryu_apps import bundle, changes
from ryu_apps.changes import Bundle, changes_between, stages
from ryu_apps.session import Role, StaleGeneration


@pytest.fixture
def session(session_ovs, unique_bridge):
    with PlainLink(session_ovs.directory / f"{unique_bridge}.mgmt") as session:
        session.become_master(1)
        yield session


def large(count: int, identity: int = 1) -> Program:
    """One port, and `count` flows that only its packets meet."""
    reg = Slice(REG[1], 0, 32)
    flows = {FlowKey(0, 10, match_of([exact(IN_PORT, 1)])): FlowBody((Load(reg, identity), Goto(1)), 1)}
    for n in range(count):
        key = FlowKey(1, 10, match_of([exact(REG[1], identity), exact(REG[2], n)]))
        flows[key] = FlowBody((Output(1),), n)
    return flows


def held(session) -> Program:
    return {stats.flow.key: stats.flow.body for stats in session.dump().flows}


def send(session, actual: Program, desired: Program, **limit: int) -> list[bundle.CommitResult]:
    whole = Bundle(changes=changes_between(actual, desired))
    return list(bundle.commit_all(session, stages(whole, actual, desired, **limit)))


def test_what_is_committed_is_what_is_dumped(session):
    program = large(100)
    send(session, {}, program)
    assert held(session) == program


def test_a_refused_message_leaves_the_switch_as_it_was(session, monkeypatch):
    """Open vSwitch itself would commit the messages around the refused one."""
    send(session, {}, large(3))
    bad = FlowKey(200, 10, match_of([exact(IN_PORT, 7)]))
    desired = {**large(5), bad: FlowBody((Goto(254),), 0)}
    real = bundle.wire.bundle_flow_mods

    def with_a_bad_table(*arguments):
        messages, at = bytearray(b"".join(real(*arguments))), 0
        while at < len(messages):
            if messages[at + 40] == 200:  # table_id of the bundled flow-mod: goto must lead on, 254 to 254 does not
                messages[at + 40] = 254
            at += int.from_bytes(messages[at + 2 : at + 4])
        yield messages

    monkeypatch.setattr(bundle.wire, "bundle_flow_mods", with_a_bad_table)
    with pytest.raises(bundle.CommitFailed) as caught:
        send(session, large(3), desired)
    assert [f.subject[1].key for f in caught.value.failures] == [bad]
    assert held(session) == large(3)
    monkeypatch.undo()
    send(session, large(3), large(5))
    assert held(session) == large(5), "the session goes on"


def test_a_large_change_is_staged_and_every_bundle_is_small(session):
    before, after = large(2500, 1), large(2500, 2)
    send(session, {}, before)
    results = send(session, before, after, limit=1000)
    assert [r.messages for r in results] == [500, 1000, 1000, 1, 1000, 1000, 500], "fresh, the flip, what is left over"
    assert held(session) == after


def one_by_one(*programs: Program) -> Iterator[Bundle]:
    """Yield a bundle that adds each program."""
    return (Bundle(changes=changes_between({}, program)) for program in programs)


def rows(number: int) -> Program:
    """A few flows of a table of their own."""
    reg = Slice(REG[1], 0, 32)
    return {FlowKey(number, n, ()): FlowBody((Load(reg, n), Goto(number + 1)), n) for n in range(600)}


def test_of_several_bundles_those_before_a_refused_one_stay_and_none_after_it(session):
    """The third is sent with a bad flow while the second is committed; the fourth is never sent."""
    bad = {FlowKey(9, 1, ()): FlowBody((Goto(8),), 0)}  # a goto leads on, never back
    done = []
    with pytest.raises(bundle.CommitFailed):
        done.extend(bundle.commit_all(session, one_by_one(rows(1), rows(2), rows(3) | bad, rows(4))))
    assert held(session) == rows(1) | rows(2)
    assert [r.messages for r in bundle.commit_all(session, one_by_one(rows(3), rows(4)))] == [600, 600]
    assert held(session) == rows(1) | rows(2) | rows(3) | rows(4)


def test_who_stops_taking_results_leaves_no_half_sent_bundle(session):
    results = bundle.commit_all(session, one_by_one(rows(1), rows(2), rows(3)))
    assert next(results).messages == 600
    results.close()
    assert held(session) == rows(1), "the second was sent, and nothing of it happened"
    assert len(list(bundle.commit_all(session, one_by_one(rows(2), rows(3))))) == 2


def test_a_foreign_flow_goes_in_the_same_bundle(session, session_ovs, unique_bridge):
    session_ovs.ofctl("add-flow", unique_bridge, "table=3,priority=5,metadata=0x1/0xff,actions=NORMAL")
    dump = session.dump()
    assert len(dump.foreign) == 1
    bundle.commit(session, Bundle(tuple(dump.foreign), changes_between({}, large(1))))
    assert held(session) == large(1)
    assert not session.dump().foreign


def test_a_lower_generation_is_refused_and_the_old_master_is_told(session, session_ovs, unique_bridge):
    with PlainLink(session_ovs.directory / f"{unique_bridge}.mgmt") as second:
        second.become_master(2)
        send(second, {}, large(1))
        with pytest.raises(StaleGeneration):
            send(session, large(1), large(2))
        assert session.role is Role.STALE
        with pytest.raises(StaleGeneration):
            session.become_master(1)
        assert held(second) == large(1)


def test_twenty_thousand_flows_take_less_than_two_seconds(session):
    """A generous bound for a busy machine; the figure is printed."""
    program = large(20_000)
    results = send(session, {}, program)
    total_s = sum(r.seconds for r in results)
    print(f"20,000 flows in {len(results)} bundles: {total_s * 1000:.0f} ms")
    assert all(r.messages <= changes.MAX_MESSAGES for r in results)
    assert total_s < 2
    assert len(held(session)) == 20_001

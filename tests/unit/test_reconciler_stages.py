"""The order of a staged change, what a packet may meet, and the next step: all decided without a switch."""

from __future__ import annotations

import random

import pytest

from benchmarks.core import built, policy_of
from benchmarks.workloads import draw_policy, w
from intent.compiler import Delta, IdMap, allocate, compile_program
from intent.compiler.fields import CONJ_ID, CT_MARK, IN_PORT, REG, Slice
from intent.compiler.flow import Conjunction, FlowBody, FlowKey, Goto, Load, Move, Output, OutputReg, exact, match_of
from ryu_apps.changes import Bundle, Lead, changes_between, stages
from ryu_apps.convergence import Goal, Progress, Step, Withheld
from ryu_apps.reach import Reach, flows_by_port
from ryu_apps.staging import Sorter
from ryu_apps.wire import ForeignFlow
from tests.property.strategies import random_case
from topology.frozen import FrozenMap

A, B = Slice(REG[1], 0, 16), Slice(REG[1], 16, 16)
THIRD, SIXTH, FIFTH = Slice(REG[3], 0, 16), Slice(REG[6], 0, 16), Slice(REG[5], 0, 16)
OF_PACKET = Slice(CT_MARK, 0, 16)


def key(table: int, *terms) -> FlowKey:
    return FlowKey(table, 1, match_of(terms))


def test_a_first_installation_flips_with_the_first_table_only():
    case = random_case(3)
    new = compile_program(case.intents, case.inventory, case.dpid, allocate(case.intents, case.inventory, IdMap(), 0.0))
    parts = list(stages(Bundle(changes=changes_between({}, new)), {}, new, 10))
    tables = [{flow.key.table for _, flow in part.changes} for part in parts]
    assert tables[-1] == {0}
    assert all(0 not in t for t in tables[:-1])


def test_foreign_flows_go_before_a_staged_change():
    foreign = tuple(ForeignFlow(0, n, b"", 0, "", None) for n in range(3))
    new = {key(n): FlowBody((), 0) for n in range(5)}
    parts = list(stages(Bundle(foreign, changes_between({}, new)), {}, new, 2))
    assert [len(part.foreign) for part in parts[:2]] == [2, 1]
    assert not any(part.foreign for part in parts[2:])


def test_how_a_program_came_is_believed_only_of_these_very_objects():
    held = FrozenMap({key(1): FlowBody((), 0)})
    wanted = held.but({key(2): FlowBody((), 0)})
    lie = Lead(held, wanted, Delta())
    assert changes_between(held, wanted, lie) == ()
    for actual, desired in ((FrozenMap(dict(held)), wanted), (held, FrozenMap(dict(wanted)))):
        assert len(changes_between(actual, desired, lie)) == 1, "a switch that was read anew is looked through"


@pytest.mark.parametrize(
    ("flow", "met"),
    [
        (key(1, exact(REG[1], 0x00050000)), False),
        (key(1, exact(REG[1], 0x00020000)), True),
        (key(1, exact(REG[1], 0)), True),
        (key(1, exact(REG[2], 1)), False),
        (key(1, exact(REG[3], 1)), False),
        (key(1, exact(REG[3], 7)), True),
        (key(1, exact(REG[6], 7)), True),
        (key(1, exact(REG[6], 8)), False),
        (key(1, exact(REG[5], 1)), True),
        (key(1, exact(IN_PORT, 9)), True),
        (key(1, exact(CONJ_ID, 5)), True),
        (key(1, exact(CONJ_ID, 6)), False),
        (key(2), False),
    ],
    ids=[
        "never loaded",
        "loaded",
        "zero at first",
        "never written",
        "copied",
        "copied 7",
        "copied twice",
        "never copied",
        "of packet",
        "packet",
        "conj",
        "no conj",
        "no way",
    ],
)
def test_what_a_packet_may_meet(flow, met):
    program = {
        key(0): FlowBody(
            (Load(B, 2), Load(A, 0), Move(A, THIRD), Move(THIRD, SIXTH), Move(OF_PACKET, FIFTH), Goto(1)), 0
        ),
        key(1): FlowBody((Conjunction(5, 1, 2),), 0),
        key(1, exact(IN_PORT, 8)): FlowBody((Load(A, 7),), 0),
        key(3): FlowBody((Load(B, 5), Goto(2)), 0),
    }
    assert Reach(program).may_meet(flow) is met


def test_most_of_new_and_old_conjunctions_stays_out_of_the_flip():
    """A hundred policies come: the flip holds what says which of them hold, not all that they say."""
    world = w(300, 60, 100)
    core, _ = built(world)
    old = dict(core.program)
    chance = random.Random(1)
    for number in range(100):
        core.put_policy(policy_of(draw_policy(f"new{number}", 60, chance, 300)))
    new = dict(core.program)
    for here, there in ((old, new), (new, old)):
        whole = changes_between(here, there)
        assert len(whole) > 1500
        sorter = Sorter(here, there)
        early = list(sorter.early(whole))
        flip, late = sorter.flip_and_late()
        assert len(flip) < len(whole) // 3
        assert len(early) + len(flip) + len(late) < len(whole) * 1.2, "little is sent twice"


def test_slices_that_overlap_leave_doubt():
    wide = Slice(REG[1], 0, 32)
    program = {key(0): FlowBody((Load(B, 2), Load(wide, 7), Goto(1)), 0)}
    assert Reach(program).may_meet(key(1, exact(REG[1], 0x00030007)))


def test_flows_of_a_port():
    out = Slice(REG[4], 0, 16)
    program = {
        key(0, exact(IN_PORT, 3)): FlowBody((Goto(1),), 0),
        key(1): FlowBody((Load(out, 3), Goto(2)), 0),
        key(2): FlowBody((OutputReg(out),), 0),
        key(3): FlowBody((Output(4),), 0),
        key(4): FlowBody((Load(A, 3),), 0),
    }
    assert flows_by_port(program) == {3: {key(0, exact(IN_PORT, 3)), key(1)}, 4: {key(3)}}


def test_the_next_step_depends_on_what_is_known_and_wanted():
    goal, other = Goal(1, frozenset()), Goal(2, frozenset())
    progress = Progress()
    assert progress.next_step(None, 0.0) == (Step.WAIT, None), "nothing wanted: the switch keeps what it has"
    assert progress.next_step(goal, 0.0)[0] is Step.READ
    progress.read(0.0, 5.0)
    assert progress.next_step(goal, 0.0)[0] is Step.WRITE
    progress.confirmed(goal)
    assert progress.next_step(goal, 1.0) == (Step.WAIT, 4.0)
    assert progress.next_step(other, 1.0)[0] is Step.WRITE
    assert progress.next_step(goal, 5.0)[0] is Step.READ, "verification"
    progress.failed(other, 6.0)
    assert progress.next_step(other, 6.0)[0] is Step.READ, "a refused bundle says little: look"
    progress.read(6.0, 5.0)
    assert progress.next_step(other, 6.0) == (Step.WAIT, 1.0)
    assert progress.next_step(other, 7.0)[0] is Step.WRITE
    assert progress.next_step(goal, 6.0)[0] is Step.WRITE, "another goal need not wait"


def test_a_port_that_is_another_interface_is_withheld():
    meant = FrozenMap({1: "v1", 2: "a-name-that-openflow-cuts-off", 3: "v3"})
    withheld = Withheld()
    for there, numbers in (
        ({1: "v1", 2: "a-name-that-ope", 3: "v4"}, {3}),
        ({}, {1, 2, 3}),
        ({3: "v3"}, {1, 2}),
        ({1: "v1", 3: "v3", 9: "v9"}, {2}),
    ):
        assert withheld.follow(meant, FrozenMap(there)) == Withheld().follow(meant, FrozenMap(there)) == numbers
    assert withheld.follow(FrozenMap(), FrozenMap()) == set()

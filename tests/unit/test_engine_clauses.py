"""A program under change: long clauses edited in place, and flows that several owners want."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intent.compiler import CompileError
from intent.compiler.engine.clauses import Flows, clause, pattern
from intent.compiler.flow import Conjunction, Flow, FlowBody, FlowKey, Goto

KEY = FlowKey(50, 60000, ())
OTHER = KEY._replace(table=60)
PLACES, BOTH = ((50, 60000),), ((50, 60000), (60, 60000))
ANYTHING = (pattern(()),)


def _members(numbers):
    return [Conjunction(number, 1, 2) for number in numbers]


@given(
    st.integers(60, 399),
    st.lists(st.lists(st.tuples(st.booleans(), st.integers(1, 400)), max_size=6), max_size=5),
)
def test_a_long_clause_holds_after_each_change_what_a_set_would(length, changes):
    begin = random.Random(length).sample(range(1, 401), length)  # drawn one by one they would take most of the time
    flows, held = Flows(), set(begin)
    for member in _members(begin):
        flows.edits(PLACES).add(ANYTHING, clause(member, 0))
    flows.settle({})
    flows.forget()
    for change in changes:
        before = flows.program[KEY]
        for there, number in change:
            held ^= {number} if there != (number in held) else set()
            edits = flows.edits(PLACES)
            (edits.add if there else edits.remove)(ANYTHING, clause(*_members([number]), 0))
        flows.settle({})
        assert flows.program[KEY].actions == tuple(_members(sorted(held)))
        delta = flows.delta()
        assert len(delta) == (flows.program[KEY] != before)


@given(st.lists(st.sampled_from("abc")))
def test_a_flow_goes_with_the_last_of_those_who_want_it(turns):
    flows, owners = Flows(), {}
    for owner in turns:
        if owner in owners:
            flows.disclaim(owners.pop(owner))
        else:
            owners[owner] = flows.claim([Flow(KEY, FlowBody((), 1))])
        assert (KEY in flows.program) == bool(owners)


def test_who_wants_another_flow_for_the_same_match_is_refused():
    flows = Flows()
    flows.claim([Flow(KEY, FlowBody((), 1))])
    with pytest.raises(CompileError, match="two flows for one match in table 50, priority 60000"):
        flows.claim([Flow(KEY, FlowBody((Goto(51),), 1))])


def test_undoing_brings_back_what_was_there_at_the_last_delta():
    flows = Flows()
    kept, gone, new = (Flow(KEY._replace(table=n), FlowBody((), n)) for n in (1, 2, 3))
    flows.claim([kept, gone])
    flows.forget()
    flows.take(gone.key)
    flows.put(new)
    flows.put(Flow(kept.key, FlowBody((), 9)))
    flows.undo()
    assert flows.program == dict([kept, gone])


def test_a_program_says_that_it_changes_and_only_then():
    busy = {}
    flows = Flows(7, busy)
    flows.forget()
    flows.edits(PLACES).add(ANYTHING, clause(*_members([1]), 0))
    assert busy == {7: None}
    flows.settle({})
    assert len(flows.delta()) == 1
    assert not flows.delta()


@pytest.mark.parametrize("others", [0, 3, 100])
def test_a_conjunction_that_gets_another_number_of_clauses_is_replaced(others):
    """As when a rule loses its services: id and clause stay, and the flow holds the old one among any number."""
    flows = Flows()
    for member in (Conjunction(number, 1, 3) for number in range(others + 1)):
        flows.edits(PLACES).add(ANYTHING, clause(member, 0))
    flows.settle({})
    flows.forget()
    edits = flows.edits(PLACES)
    edits.remove(ANYTHING, clause(Conjunction(others, 1, 3), 0))
    edits.add(ANYTHING, clause(Conjunction(others, 1, 2), 0))
    flows.settle({})
    assert flows.program[KEY].actions == (*(Conjunction(n, 1, 3) for n in range(others)), Conjunction(others, 1, 2))
    assert len(flows.delta().changes) == 1


@pytest.mark.parametrize("alone_first", [True, False])
@pytest.mark.parametrize("more", [(), (2,), (2, 3, 4, 5, 6)])
def test_a_clause_that_moves_from_both_tables_to_one_stays_in_that_one(alone_first, more):
    """Rules of one side and of both share a priority. Whichever places are known first, what is added is there."""
    flows = Flows()
    both, alone = (clause(member, 0) for member in _members([1, 9]))
    flows.edits(BOTH).add(ANYTHING, both)
    flows.edits(PLACES).add(ANYTHING, alone)
    flows.settle({})
    flows.forget()
    if alone_first:
        flows.edits(PLACES).remove(ANYTHING, alone)
    flows.edits(BOTH).remove(ANYTHING, both)
    for member in _members(more):
        flows.edits(BOTH).add(ANYTHING, clause(member, 0))
    flows.edits(PLACES).remove(ANYTHING, alone)
    flows.edits(PLACES).add(ANYTHING, both)
    flows.settle({})
    assert flows.program[KEY].actions == tuple(_members((1, *more)))
    assert (flows.program[OTHER].actions if more else flows.program.get(OTHER)) == (tuple(_members(more)) or None)
    delta = flows.delta()
    assert (delta.deletes, {flow.key for flow in delta.changes}) == ((), {KEY, OTHER}) if more else ((OTHER,), {KEY})


def test_what_two_tables_say_alike_is_one_value():
    """So it is worked out, and encoded, once; where they say something else, each goes its own way."""
    flows = Flows()
    first, second, third = (clause(member, 0) for member in _members([1, 2, 3]))
    for each in (first, second):
        flows.edits(BOTH).add(ANYTHING, each)
    flows.settle({})
    assert flows.program[KEY] is flows.program[OTHER]
    flows.edits(PLACES).add(ANYTHING, third)
    flows.settle({})
    flows.edits(BOTH).remove(ANYTHING, first)
    flows.settle({})
    assert flows.program[KEY].actions == tuple(_members([2, 3]))
    assert flows.program[OTHER].actions == tuple(_members([2]))

"""One flow that a switch refuses does not keep the rest from it, where leaving it out cannot allow anything."""

from __future__ import annotations

import pytest

from intent.compiler import IdMap, allocate, compile_program
from intent.compiler.fields import CONJ_ID, ETH_TYPE, IN_PORT
from intent.compiler.flow import Conjunction, Flow, FlowBody, FlowKey, Goto, exact, match_of
from intent.compiler.interpreter import Conntrack, Interpreter
from intent.compiler.tables import Table
from ryu_apps.bundle import Failure
from ryu_apps.reach import is_clause
from ryu_apps.sparing import spared, without
from ryu_apps.wire import Command
from tests.fakes.fake_switch import FakeSwitch, until
from tests.property.strategies import random_case, random_frames
from tests.unit.reconciler_kit import Bench
from topology.frozen import FrozenMap

TIER = int(Table.EGRESS) + 1
BAD_REQUEST = (1, 6)


def refused(key, body):
    return [Failure((Command.ADD, Flow(key, body)), None)]


def rule(number, *actions):
    """A small conjunction: two clauses and what follows."""
    clauses = {
        FlowKey(TIER, 100 - number, match_of([exact(IN_PORT, number)])): FlowBody((Conjunction(number, 1, 2),), 7),
        FlowKey(TIER, 100 - number, match_of([exact(ETH_TYPE, 0x800)])): FlowBody((Conjunction(number, 2, 2),), 7),
    }
    return {**clauses, FlowKey(TIER, 100 - number, match_of([exact(CONJ_ID, number)])): FlowBody(actions, number)}


ALLOW, DENY = rule(1, Goto(Table.INGRESS)), rule(2)


@pytest.mark.parametrize("seed", range(25))
def test_what_is_left_out_never_allows_what_the_whole_denies(seed):
    case = random_case(seed)
    ids = allocate(case.intents, case.inventory, IdMap(), 0.0)
    program = FrozenMap(compile_program(case.intents, case.inventory, case.dpid, ids))
    frames = random_frames(case, seed, 25)
    for key, body in program.items():
        left_out = spared(program, refused(key, body))
        if not left_out:
            continue
        rest = without(program, left_out)
        assert key not in rest or rest[key] != body
        for frame in frames:
            whole, part = (Interpreter(dict(p.items())).run(frame, Conntrack()) for p in (program, rest))
            assert set(part.ports) <= set(whole.ports)
        if is_clause(body):
            break  # one is enough: each looks at everything


def test_only_what_allows_is_left_out():
    program = FrozenMap({**ALLOW, **DENY, FlowKey(0, 1, ()): FlowBody((Goto(TIER),), 0)})
    for key, body in program.items():
        assert spared(program, refused(key, body)) == ({1} if key in ALLOW else set())
    assert spared(program, [Failure(None, None)]) == set()
    assert without(program, {1}) == {key: body for key, body in program.items() if key not in ALLOW}
    assert without(program, ()) is program


def test_a_deny_comes_although_an_allow_is_refused():
    bench = Bench()
    switch = FakeSwitch()
    switch.refuse = lambda _count, body: BAD_REQUEST if int.from_bytes(body[8:16], "big") == 1 else None
    bench.connect(switch)
    bench.want({**ALLOW, **DENY})
    assert until(lambda: len(switch.tables) == len(DENY))
    assert until(lambda: "1 rules are not in force, the rest is" in bench.state().problem)
    assert not bench.reconciler.is_realized(1)
    bench.want(DENY, revision=2)
    assert bench.realized(2)
    assert bench.state().problem == ""


def test_nothing_changes_when_a_deny_is_refused():
    bench = Bench()
    switch = FakeSwitch()
    switch.refuse = lambda _count, body: BAD_REQUEST if int.from_bytes(body[8:16], "big") == 2 else None
    bench.connect(switch)
    bench.want({**ALLOW, **DENY})
    assert until(lambda: "refused" in bench.state().problem)
    assert not switch.tables

"""A staged change is, at every moment, the old program or the new one, for every packet."""

import pytest

from intent.compiler import IdMap, allocate, compile_program
from intent.compiler.interpreter import Conntrack, Interpreter
from ryu_apps.changes import Bundle, applied, changes_between, stages
from tests.property.strategies import random_case, random_change, random_frames
from topology.frozen import FrozenMap

LIMIT = 4


def fates(program, frames, conntrack):
    switch = Interpreter(program)
    results = [switch.run(frame, Conntrack(conntrack.entries)) for frame in frames]
    return [(result.ports, result.to_controller) for result in results]


@pytest.mark.parametrize("seed", range(60))
def test_every_packet_meets_the_old_program_or_the_new_one_and_all_turn_at_once(seed):
    case = random_case(seed)
    changed = random_change(random_change(case, seed), seed + 1000) if seed % 5 else random_case(seed + 500)
    ids = allocate(case.intents, case.inventory, IdMap(), 0.0)
    old = compile_program(case.intents, case.inventory, case.dpid, ids) if seed % 7 else {}
    new = compile_program(
        changed.intents, changed.inventory, case.dpid, allocate(changed.intents, changed.inventory, ids, 1.0)
    )
    frames = random_frames(case, seed, 20) + random_frames(changed, seed, 20)
    conntrack = Conntrack()
    for frame in frames[::3]:
        Interpreter(old).run(frame, conntrack)
    before, after = fates(old, frames, conntrack), fates(new, frames, conntrack)
    program, turned = FrozenMap(old), False
    parts = list(stages(Bundle(changes=changes_between(old, new)), old, new, LIMIT))
    for part in parts:
        program = applied(program, part.changes)
        now = fates(program, frames, conntrack)
        turned = turned or now != before
        assert now == (after if turned else before)
    assert program == new
    assert sum(len(part) > LIMIT for part in parts) <= 1, "only the flip may be large"

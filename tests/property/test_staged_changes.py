"""A staged change is, at every moment, the old program or the new one, for every packet."""

import random

import pytest

from intent.compiler import IdMap, allocate, compile_program
from intent.compiler.fields import ENTERED, IN_PORT, TURNED
from intent.compiler.flow import Ct, Load, Move
from intent.compiler.interpreter import Conntrack, Interpreter
from ryu_apps.changes import Bundle, applied, changes_between, stages
from ryu_apps.turning import TOP
from tests.property.strategies import random_case, random_change, random_frames
from topology.frozen import FrozenMap

LIMIT = 4
MOST_TURNSTILES = 5
SEEDS = range(60)


def fates(program, frames, conntrack):
    """What becomes of each packet: where it goes, who is told, what is kept, and in whose name it is dropped."""
    switch = Interpreter(program)
    results = [switch.run(frame, Conntrack(conntrack.entries)) for frame in frames]
    return [(r.ports, r.to_controller, r.committed, r.metered, r.cookies and r.reason) for r in results]


def programs_of(seed):
    """Return two programs, packets of both, and what conntrack knows from the first."""
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
    return old, new, frames, conntrack


def follow(old, new, frames, conntrack):
    """Take a switch from one program to another; return what it holds after each part."""
    before, after = fates(old, frames, conntrack), fates(new, frames, conntrack)
    program, turned = FrozenMap(old), False
    held = []
    for part in stages(Bundle(changes=changes_between(old, new)), old, new, LIMIT):
        program = applied(program, part.changes)
        now = fates(program, frames, conntrack)
        turned = turned or now != before
        assert now == (after if turned else before)
        held.append((part, program))
    assert program == new
    return held


@pytest.mark.parametrize("seed", SEEDS)
def test_every_packet_meets_the_old_program_or_the_new_one_and_all_turn_at_once(seed):
    old, new, frames, conntrack = programs_of(seed)
    parts = [part for part, _ in follow(old, new, frames, conntrack)]
    served = any(key.table == 0 and key.match and key.match[0].field is IN_PORT for key in old)
    largest = max(map(len, parts), default=0)
    assert not served or largest <= LIMIT + MOST_TURNSTILES, "nothing that packets wait for is large"
    assert sum(len(part) > LIMIT for part in parts) <= 1, "only the flip may be large"


@pytest.mark.parametrize("seed", SEEDS[1::4])
def test_a_change_that_was_cut_short_is_taken_up_by_another(seed):
    """The controller dies between two parts; its successor reads the switch and wants the old, or the new."""
    old, new, frames, conntrack = programs_of(seed)
    held = follow(old, new, frames, conntrack)
    chance = random.Random(seed)
    for _, program in chance.sample(held, min(4, len(held))):
        follow(program, chance.choice((old, new)), frames, conntrack)


def test_a_change_that_was_cut_short_among_its_turnstiles_is_taken_up_by_another():
    """The last of them are left when the controller dies: packets get the bit where conntrack hands them back."""
    found = 0
    for seed in SEEDS[:24]:
        old, new, frames, conntrack = programs_of(seed)
        for _, program in follow(old, new, frames, conntrack):
            tables = {key.table for key in program if key.priority == TOP}
            if tables and 0 not in tables:
                follow(program, old, frames, conntrack)
                found += 1
    assert found


@pytest.mark.parametrize("seed", SEEDS)
def test_programs_leave_to_a_turn_what_is_its_own(seed):
    for key, body in programs_of(seed)[1].items():
        assert key.priority < TOP
        assert not any(t.field is TURNED.field and t.mask & (TURNED.mask | ENTERED.mask) for t in key.match)
        for at, act in enumerate(body.actions):
            if isinstance(act, Load | Move) and act.dst.field is TURNED.field:
                assert not act.dst.mask & (TURNED.mask | ENTERED.mask)
            if isinstance(act, Ct) and act.table is not None:
                assert at == len(body.actions) - 1, "nothing follows where conntrack hands back"

"""A way up to conntrack that Open vSwitch remembers from the old program, and the rest of it in the new one.

Between commit and the end of its revalidators' round (law 3) packets go such ways: they must meet the verdict of
the old program or of the new one.
"""

import pytest

from intent.clockwork import effective
from intent.compiler import IdMap, allocate, compile_program
from intent.compiler import fields as f
from intent.compiler.cookie import Guard, Kind, Origin, encode
from intent.compiler.interpreter import Conntrack, Interpreter
from tests.property.cases import SITE
from tests.property.choice import Seeded
from tests.property.rerouted import make_detours
from tests.property.strategies import BASIC, EVERYTHING, NOW, OFFSETS, random_case, random_change, random_frames

SEEDS = 60
CHANGED_HANDS = encode(Origin(Kind.GUARD, Guard.CHANGED_HANDS))


class Remembering(Interpreter):
    """Goes by one program until conntrack hands the packet back, and then by another."""

    def __init__(self, before, after):
        super().__init__(before)
        self._after = Interpreter(after)

    def lookup(self, table, state):
        if state.get(f.CT_STATE):
            return self._after.lookup(table, state)
        return super().lookup(table, state)


def changed_cases(kind, seed):
    if kind == "ways":
        history = make_detours(Seeded(f"remembered {seed}"), steps=5)
        return history[0], history[-1]
    case = random_case(seed, {"basic": BASIC, "everything": EVERYTHING, "site": SITE}[kind])
    if seed % 3:
        return case, random_change(random_change(case, seed), seed + 1000)
    return case, random_case(seed + 50_000, {"basic": BASIC, "everything": EVERYTHING, "site": SITE}[kind])


def programs_of(kind, seed):
    ids, programs, frames = IdMap(), [], []
    for at_s, case in enumerate(changed_cases(kind, seed)):
        intents = effective(case.intents, NOW, OFFSETS)
        ids = allocate(intents, case.inventory, ids, float(at_s))
        programs.append(compile_program(intents, case.inventory, 1, ids))
        frames += random_frames(case, seed, 12)
    conntrack = Conntrack()
    for frame in frames[::3]:
        Interpreter(programs[0]).run(frame, conntrack)
    return *programs, frames, conntrack


@pytest.mark.parametrize("kind", ["basic", "everything", "site", "ways"])
def test_what_goes_a_remembered_way_meets_the_old_verdict_or_the_new_one(kind):
    differing = 0
    for seed in range(SEEDS):
        old, new, frames, conntrack = programs_of(kind, seed)
        switches = Interpreter(old), Interpreter(new), Remembering(old, new)
        for frame in frames:
            before, after, between = (s.run(frame, Conntrack(conntrack.entries)) for s in switches)
            differing += before.ports != after.ports
            if between.ports not in (before.ports, after.ports):
                # Conntrack was asked in a zone that the sender has left; its connections there are over.
                assert (between.ports, CHANGED_HANDS in between.cookies) == ([], True), (kind, seed, frame)
    assert differing > SEEDS // 2

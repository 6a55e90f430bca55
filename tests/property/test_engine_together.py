"""Switches that begin together share what most of them place; each program is that of a compilation of its own."""

from __future__ import annotations

import dataclasses

import pytest

from intent.clockwork import effective
from intent.compiler import IdMap, compile_program
from intent.compiler.engine import Engine
from intent.compiler.engine.blocks import Block
from intent.compiler.engine.judge import Judge
from tests.property.cases import BASIC, EVERYTHING, NOW, OFFSETS, Case
from tests.property.choice import Choice, Seeded
from tests.property.histories import make_history

DPIDS = range(1, 6)


def _spread(choice: Choice, case: Case) -> Case:
    """Plug the endpoints of a case into five switches; some get none."""
    moved = {
        name: dataclasses.replace(e, location=dataclasses.replace(e.location, dpid=choice.pick(DPIDS)))
        for name, e in case.inventory.endpoints.items()
    }
    inventory = dataclasses.replace(case.inventory, endpoints=moved, tunnels={}, uplinks=(), unaddressed=())
    return dataclasses.replace(case, inventory=inventory)


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_each_of_several_new_switches_equals_a_compilation_of_its_own(
    first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after a step. Some of the switches lack units of what most share, so that these are taken out again."""
    lacking = 0
    lay = Judge.lay

    def counted(self: Judge, block: Block) -> None:
        nonlocal lacking
        lacking += bool(block.units.keys() - self.meet().keys())
        lay(self, block)

    monkeypatch.setattr(Judge, "lay", counted)
    for seed in range(first, first + 10):
        choice = Seeded(f"together {seed}")
        engine = Engine(IdMap())
        for step, case in enumerate(make_history(choice, (EVERYTHING, BASIC)[seed % 3 == 0], steps=1)):
            spread = _spread(choice, case)
            intents = effective(spread.intents, NOW, OFFSETS)
            engine.update(intents, spread.inventory, DPIDS, step)
            for dpid in DPIDS:
                assert engine.program(dpid) == compile_program(intents, spread.inventory, dpid, engine.ids())
    assert lacking

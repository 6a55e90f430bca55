"""Every cell through the semantics, and through the compiled program and its interpreter."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime

from intent.compiler import IdMap, allocate, compile_program, cookie
from intent.compiler.interpreter import Conntrack, Interpreter
from intent.model import Action, Direction, Intents
from intent.semantics import judge
from tests.conformance.cases import Cell
from tests.conformance.cluster import DPID, World
from topology.packet import Frame

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def wrong_cells(world: World) -> Iterator[tuple[Cell, str]]:
    """Yield each cell that comes out otherwise, and how."""
    program = _Compiled(world)
    for cell, expected in world.step.expected.items():
        meant = _judged(world, cell)
        if meant != expected:
            yield cell, f"the semantics say {meant}, not {expected}"
        done = program.letters(world.frame(cell))
        if done != expected:
            yield cell, f"the program does {done}, not {expected}"


def _judged(world: World, cell: Cell) -> str:
    judgement = judge(world.intents, world.inventory, world.opening(cell), now=NOW)
    assert judgement.ingress is not None
    assert judgement.egress is not None
    actions = (judgement.ingress.action, judgement.egress.action, judgement.verdict)
    return "".join("A" if action is Action.ALLOW else "B" for action in actions)


class _Compiled:
    """A program asked for three letters.

    A frame that egress drops never reaches the ingress tables, so for those alone a second program, of the
    same policies without their egress side, says what ingress would do.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._whole = Interpreter(world.program)
        self._ingress: Interpreter | None = None

    def letters(self, frame: Frame) -> str:
        result = self._whole.run(frame, Conntrack())
        if self._arrives(result.ports, frame):
            return "AAA"
        assert not result.ports, result
        origin = cookie.decode(result.reason)
        assert origin is not None
        if origin.direction is Direction.INGRESS:
            return "BAB"
        assert origin.direction is Direction.EGRESS, origin
        if self._ingress is None:
            self._ingress = Interpreter(_only(self._world, Direction.INGRESS))
        passes = self._arrives(self._ingress.run(frame, Conntrack()).ports, frame)
        return "ABB" if passes else "BBB"

    def _arrives(self, ports: list[int], frame: Frame) -> bool:
        holder = next(e for e in self._world.inventory.endpoints.values() if e.mac == frame.eth_dst)
        return ports == [holder.location.ofport]


def _only(world: World, direction: Direction):
    """Return the program of the policies' one side."""
    policies = {
        name: dataclasses.replace(
            policy,
            directions=policy.directions & {direction},
            rules=tuple(rule for rule in policy.rules if rule.direction is direction),
        )
        for name, policy in world.intents.policies.items()
        if direction in policy.directions
    }
    intents: Intents = dataclasses.replace(world.intents, policies=policies)
    ids = allocate(intents, world.inventory, IdMap(), 0)
    return compile_program(intents, world.inventory, DPID, ids)

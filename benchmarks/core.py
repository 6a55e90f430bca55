"""The compiler in memory, whichever way it works: one `move` from world to world gives what to send.

`make_core` gives the incremental engine where the product has one, else the wholesale path. So rows measure what
the product does, and say which it was (`Core.name`).
"""

from __future__ import annotations

from typing import Protocol

from benchmarks.workloads import World
from intent.compiler import Delta, IdMap, allocate, compile_program, diff
from intent.compiler.flow import Program


class Core(Protocol):
    """What a controller keeps between changes."""

    name: str
    ids: IdMap

    @property
    def program(self) -> Program:
        """What the switch is to hold."""

    def move(self, world: World, now_s: float = 0.0) -> Delta:
        """Go to another world; return what to send."""


class Wholesale:
    """Everything compiled anew at every change, and compared."""

    name = "wholesale"

    def __init__(self) -> None:
        self.ids = IdMap()
        self._program: Program = {}

    @property
    def program(self) -> Program:
        """What the switch is to hold."""
        return self._program

    def move(self, world: World, now_s: float = 0.0) -> Delta:
        """Go to another world; return what to send."""
        self.ids = allocate(world.intents, world.inventory, self.ids, now_s)
        before, self._program = self._program, compile_program(world.intents, world.inventory, world.dpid, self.ids)
        return diff(before, self._program)


def make_core() -> Core:
    """Return a compiler that knows nothing yet."""
    return Wholesale()


def program_of(world: World) -> Program:
    """Return a world's program, compiled from nothing."""
    ids = allocate(world.intents, world.inventory, IdMap(), 0)
    return compile_program(world.intents, world.inventory, world.dpid, ids)

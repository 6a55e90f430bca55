"""The engine: from changes of intents and inventory to changes of numbers and flows.

What comes out is what `allocate` and `compile_program` would say of everything, given the same id map
and the same history. The cost follows the change.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
from collections.abc import Collection, Iterator, Mapping

from intent.compiler.delta import Delta
from intent.compiler.engine.inputs import Changes, Inputs
from intent.compiler.engine.journal import IdChange
from intent.compiler.engine.state import State
from intent.compiler.flow import Program
from intent.compiler.ids import IdMap
from intent.model import Intents, Policy
from topology.model import Endpoint, Inventory


@dataclasses.dataclass(frozen=True, slots=True)
class Update:
    """What one change did. The numbers must be durable before any switch learns of the flows."""

    ids: IdChange
    deltas: Mapping[int, Delta]
    """By datapath id: the switches whose program changed; their parts are in no order."""
    whole: frozenset[int] = frozenset()
    """Switches whose program was made from nothing: compare with what they hold."""

    def __bool__(self) -> bool:
        return bool(self.ids or self.deltas or self.whole)


class Engine:
    """Holds everything that was said, and the programs that follow. For one thread at a time."""

    def __init__(self, ids: IdMap) -> None:
        """Begin with the numbers as they were persisted, and with nothing else."""
        self._inputs = Inputs()
        self._ids = ids
        """Of no use while there is a state."""
        self._state: State | None = None
        self._programs: dict[int, Program] = {}

    def ids(self) -> IdMap:
        """Return all numbers, as a value of its own; takes time for everything."""
        return self._ids if self._state is None else self._state.ledger.id_map()

    def program(self, dpid: int) -> Program:
        """Return what a switch should hold. It changes with the next update: copy what you keep.

        Raises:
            KeyError: no program was wanted for it.
        """
        return self._programs[dpid]

    @property
    def dpids(self) -> frozenset[int]:
        """The switches that have a program."""
        return frozenset(self._programs)

    # -- changes --------------------------------------------------------------------------------

    def update(self, intents: Intents, inventory: Inventory, dpids: Collection[int], now_s: float) -> Update:
        """Follow to these intents and this inventory; objects that are the same as before cost next to nothing.

        Raises: as `change`.
        """
        return self._change(self._inputs.changes_to(intents, inventory, dpids), (intents, inventory), now_s)

    def join(self, endpoint: Endpoint, now_s: float) -> Update:
        """Follow an endpoint that came, or that is not as it was."""
        return self.change(Changes(endpoints={endpoint.name: endpoint}), now_s)

    def leave(self, name: str, now_s: float) -> Update:
        """Follow an endpoint that went."""
        return self.change(Changes(endpoints={name: None}), now_s)

    def put_policy(self, policy: Policy, now_s: float) -> Update:
        """Follow a policy that came, or that is not as it was."""
        return self.change(Changes(policies={policy.name: policy}), now_s)

    def drop_policy(self, name: str, now_s: float) -> Update:
        """Follow a policy that went, ended, or whose window shut."""
        return self.change(Changes(policies={name: None}), now_s)

    def change(self, wanted: Changes, now_s: float) -> Update:
        """Follow any number of changes at once; `now_s` in seconds since the epoch, from which freed numbers rest.

        When it raises, numbers and programs are as before. What was said is not forgotten: the next change
        tries with all of it, from the beginning.

        Raises:
            CompileError: a bound of a switch would be passed; the message names it.
            OutOfNumbers: a space of numbers is used up.
            KeyError: something names what does not exist.
        """
        return self._change(wanted, None, now_s)

    def _change(self, wanted: Changes, seen: tuple[Intents, Inventory] | None, now_s: float) -> Update:
        changes = self._inputs.apply(wanted)
        self._inputs.seen = seen
        if self._state is not None:
            return self._turn(self._state, changes, now_s)
        with _no_collector():
            self._state = State(self._inputs, self._ids)
            return self._turn(self._state, self._inputs.whole(), now_s)

    def _turn(self, state: State, changes: Changes, now_s: float) -> Update:
        try:
            done = state.turn(changes, now_s)
        except BaseException:
            self._undo(state)
            raise
        return self._finish(state, done)

    def _undo(self, state: State) -> None:
        state.ledger.undo()
        self._ids = state.ledger.id_map()
        self._state = None
        for switch in state.switches.values():
            if not switch.is_new:
                switch.flows.undo()

    def _finish(self, state: State, done: IdChange) -> Update:
        whole, deltas = set(), {}
        for switch in state.busy():
            dpid = switch.ports.dpid
            if switch.is_new:
                switch.is_new = False
                switch.flows.forget()
                self._programs[dpid] = switch.flows.program
                whole.add(dpid)
            elif delta := switch.flows.delta():
                deltas[dpid] = delta
        state.rest()
        if len(self._programs) > len(state.switches):
            for dpid in self._programs.keys() - state.switches.keys():
                del self._programs[dpid]
        return Update(done, deltas, frozenset(whole))


@contextlib.contextmanager
def _no_collector() -> Iterator[None]:
    """Let the garbage collector wait: what a build makes stays, and looking at it takes as long as making it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()

"""The product's compiler in memory: one event in, what to send out; and its oracle, compiling everything anew."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

from benchmarks.workloads import Document, World, text
from intent.compiler import Delta, IdMap, compile_program
from intent.compiler.engine import Changes, Engine, Update
from intent.compiler.flow import Flow, Program, make
from intent.model import Intents, Policy
from intent.schema import parse_documents
from intent.schema.convert import policy as meaning_of_policy
from intent.schema.documents import PolicyDoc
from topology.model import Endpoint, Inventory

NOW_S = 0.0
"""No policy of a workload has a time, and no number rests long enough to come back."""


class Core:
    """What a controller keeps between changes: the product's incremental engine, and how to check it.

    Every change returns what to send to the switch.
    """

    name = "incremental"

    def __init__(self, dpid: int = 1) -> None:
        self._dpid = dpid
        self._engine = Engine(IdMap())
        self._intents, self._policies, self._endpoints = Intents(), dict[str, Policy](), dict[str, Endpoint]()

    @property
    def ids(self) -> IdMap:
        """The numbers in use; takes time for everything."""
        return self._engine.ids()

    @property
    def program(self) -> Program:
        """What the switch is to hold. It changes with the next change: copy what you keep."""
        return self._engine.program(self._dpid)

    def build(self, intents: Intents, inventory: Inventory) -> Delta:
        """Take a whole world. The first time, what is returned brings an empty switch to it."""
        self._intents, self._policies = intents, dict(intents.policies)
        self._endpoints = dict(inventory.endpoints)
        update = self._engine.update(intents, inventory, (self._dpid,), NOW_S)
        if self._dpid in update.whole:
            return Delta(adds=tuple(map(make, itertools.repeat(Flow), self.program.items())))
        return self._delta(update)

    def put_endpoints(self, endpoints: Sequence[Endpoint]) -> Delta:
        """Plug endpoints in, or change the labels of those that are."""
        changed = {endpoint.name: endpoint for endpoint in endpoints}
        self._endpoints.update(changed)
        return self._delta(self._engine.change(Changes(endpoints=changed), NOW_S))

    def put_policy(self, policy: Policy) -> Delta:
        """Add or replace a policy."""
        self._policies[policy.name] = policy
        return self._delta(self._engine.put_policy(policy, NOW_S))

    def drop_policy(self, name: str) -> Delta:
        """Delete a policy."""
        del self._policies[name]
        return self._delta(self._engine.drop_policy(name, NOW_S))

    def _delta(self, update: Update) -> Delta:
        return update.deltas.get(self._dpid, Delta())

    def check(self) -> None:
        """Make sure that the program is what compiling everything anew, with the same numbers, gives.

        Raises:
            AssertionError: it is not.
        """
        intents = dataclasses.replace(self._intents, policies=self._policies)
        if compile_program(intents, Inventory(self._endpoints), self._dpid, self.ids) != self.program:
            raise AssertionError("the engine's program is not what compiling everything anew gives")


def make_core() -> Core:
    """Return a compiler that knows nothing yet."""
    return Core()


def built(world: World) -> tuple[Core, Delta]:
    """Return a compiler that knows a world, and what an empty switch lacks."""
    core = make_core()
    return core, core.build(world.intents, world.inventory)


def policy_of(document: Document) -> Policy:
    """Return what a policy's document means."""
    (parsed,) = parse_documents(text([document]), source="workload")
    if not isinstance(parsed, PolicyDoc):
        raise TypeError(f"{document['name']} is no policy")
    return meaning_of_policy(parsed)

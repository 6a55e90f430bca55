"""The compiler in memory, whichever way it works: one event in, what to send out.

`make_core` gives the incremental engine where the product has one, else the wholesale path. So rows measure what
the product does, and say which it was (`Core.name`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Protocol

from benchmarks.workloads import Document, World, text
from intent.compiler import Delta, IdMap, allocate, compile_program, diff
from intent.compiler.flow import Program
from intent.model import Intents, Policy
from intent.schema import parse_documents
from intent.schema.convert import policy as meaning_of_policy
from intent.schema.documents import PolicyDoc
from topology.model import Endpoint, Inventory


class Core(Protocol):
    """What a controller keeps between changes. Every method returns what to send to the switch."""

    name: str

    @property
    def ids(self) -> IdMap:
        """The numbers in use."""

    @property
    def program(self) -> Program:
        """What the switch is to hold."""

    def build(self, intents: Intents, inventory: Inventory) -> Delta:
        """Take a whole world."""

    def put_endpoints(self, endpoints: Iterable[Endpoint]) -> Delta:
        """Plug endpoints in, or change the labels of those that are."""

    def put_policy(self, policy: Policy) -> Delta:
        """Add or replace a policy."""

    def drop_policy(self, name: str) -> Delta:
        """Delete a policy."""


class Wholesale:
    """Everything compiled anew at every change, and compared. Also what an incremental core is checked against."""

    name = "wholesale"

    def __init__(self, dpid: int = 1) -> None:
        self._dpid = dpid
        self._intents, self._inventory = Intents(), Inventory()
        self._ids = IdMap()
        self._program: Program = {}

    @property
    def ids(self) -> IdMap:
        """The numbers in use."""
        return self._ids

    @property
    def program(self) -> Program:
        """What the switch is to hold."""
        return self._program

    def build(self, intents: Intents, inventory: Inventory) -> Delta:
        """Take a whole world."""
        self._intents, self._inventory = intents, inventory
        self._ids = allocate(intents, inventory, self._ids, 0)
        before, self._program = self._program, compile_program(intents, inventory, self._dpid, self._ids)
        return diff(before, self._program)

    def put_endpoints(self, endpoints: Iterable[Endpoint]) -> Delta:
        """Plug endpoints in, or change the labels of those that are."""
        known = {**self._inventory.endpoints, **{e.name: e for e in endpoints}}
        return self.build(self._intents, Inventory(known))

    def put_policy(self, policy: Policy) -> Delta:
        """Add or replace a policy."""
        return self._with_policies({**self._intents.policies, policy.name: policy})

    def drop_policy(self, name: str) -> Delta:
        """Delete a policy."""
        return self._with_policies({n: p for n, p in self._intents.policies.items() if n != name})

    def _with_policies(self, policies: dict[str, Policy]) -> Delta:
        return self.build(dataclasses.replace(self._intents, policies=policies), self._inventory)


def make_core() -> Core:
    """Return a compiler that knows nothing yet."""
    return Wholesale()


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

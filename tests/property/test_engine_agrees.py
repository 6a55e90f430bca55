"""The law of the engine: what it says of a change is what the compiler says of everything.

Numbers and programs are equal to those of `allocate` and `compile_program`, and its deltas to `diff`, at each step of
random histories, which are also run reversed, split, squashed, duplicated and with everything gone in between.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intent.clockwork import effective
from intent.compiler import Delta, IdMap, allocate, compile_program, diff, seats
from intent.compiler.delta import in_order
from intent.compiler.engine import Changes, Engine, Update
from intent.compiler.flow import Program
from intent.model import Intents
from tests.property.cases import BASIC, DPID, NOW, OFFSETS, OTHER_DPID, SITE, Case
from tests.property.choice import Drawn, Seeded
from tests.property.histories import expansions, make_history
from topology.model import Inventory

SEEDS = 36
SLICE = 6
STEP_S = 250
"""Three steps are longer than a number rests."""
DPIDS = (DPID, OTHER_DPID)


class Follower:
    """An engine, and beside it the compiler from scratch with the same history."""

    def __init__(self, dpids: Collection[int] = DPIDS) -> None:
        self.dpids = dpids
        self.engine = Engine(IdMap())
        self.ids = IdMap()
        self.programs: dict[int, Program] = {}
        self.now_s = 0.0

    def follow(self, case: Case) -> None:
        intents = effective(case.intents, NOW, OFFSETS)
        self.now_s += STEP_S
        self.check(self.engine.update(intents, case.inventory, self.dpids, self.now_s), intents, case.inventory)

    def change(self, changes: Changes, intents: Intents, inventory: Inventory) -> None:
        self.now_s += 1
        self.check(self.engine.change(changes, self.now_s), intents, inventory)

    def check(self, update: Update, intents: Intents, inventory: Inventory) -> None:
        self.ids = allocate(intents, inventory, self.ids, self.now_s)
        assert self.engine.ids() == self.ids
        assert self.engine.dpids == set(self.dpids)
        assert update.whole == set(self.dpids) - self.programs.keys(), "nothing is made from nothing but what is new"
        self.programs = {dpid: held for dpid, held in self.programs.items() if dpid in self.dpids}
        for dpid in self.dpids:
            desired = compile_program(intents, inventory, dpid, self.ids)
            assert self.engine.program(dpid) == desired
            if dpid not in update.whole:
                assert _in_order(update.deltas.get(dpid, Delta())) == diff(self.programs[dpid], desired)
            self.programs[dpid] = desired


def _in_order(delta: Delta) -> Delta:
    parts = ({flow.key: flow for flow in flows} for flows in (delta.adds, delta.changes))
    adds, changes = (tuple(part[key] for key in in_order(part)) for part in parts)
    return Delta(tuple(in_order(delta.deletes)), adds, changes)


@pytest.mark.parametrize("first", range(0, SEEDS, SLICE))
def test_every_step_of_a_history_equals_a_compilation_of_everything(first: int) -> None:
    for seed in range(first, first + SLICE):
        history = make_history(Seeded(f"history {seed}"), (SITE, BASIC)[seed % 3 == 0], steps=7)
        for _, expanded in expansions(history):
            follower = Follower()
            for case in expanded:
                follower.follow(case)


@pytest.mark.parametrize("seed", range(6))
def test_bands_that_are_split_equal_a_compilation_of_everything(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With so small a shard that most bands are split over several priorities, and merged again."""
    monkeypatch.setattr(seats, "SHARD", 2)
    history = make_history(Seeded(f"shards {seed}"), SITE, steps=7)
    follower = Follower()
    for case in [*history, *history[::-1]]:
        follower.follow(case)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_every_step_of_a_drawn_history_equals_a_compilation_of_everything(data: st.DataObject) -> None:
    """Slower, but a disagreement shrinks to its core."""
    follower = Follower()
    for case in make_history(Drawn(data.draw), SITE, steps=4):
        follower.follow(case)


@pytest.mark.parametrize("first", range(0, SEEDS, SLICE))
def test_changes_split_to_single_things_equal_a_compilation_of_everything(first: int) -> None:
    """Endpoints and policies one by one: each comes after what it names, and goes before it."""
    for seed in range(first, first + SLICE):
        history = make_history(Seeded(f"split {seed}"), SITE, steps=5)
        follower = Follower()
        follower.follow(history[0])
        for before, after in itertools.pairwise(history):
            _split(follower, effective(before.intents, NOW, OFFSETS), before.inventory,
                   effective(after.intents, NOW, OFFSETS), after.inventory)  # fmt: skip


def _split(follower: Follower, here: Intents, held: Inventory, there: Intents, wanted: Inventory) -> None:
    for name in sorted(here.policies.keys() | held.endpoints.keys()):
        policies = {n: p for n, p in here.policies.items() if n != name or there.policies.get(n) is p}
        endpoints = {n: e for n, e in held.endpoints.items() if n != name or wanted.endpoints.get(n) is e}
        if len(policies) + len(endpoints) < len(here.policies) + len(held.endpoints):
            here, held = dataclasses.replace(here, policies=policies), dataclasses.replace(held, endpoints=endpoints)
            gone = Changes(
                policies={} if name in policies else {name: None}, endpoints={} if name in endpoints else {name: None}
            )
            follower.change(gone, here, held)
    here = dataclasses.replace(there, policies=here.policies) if here.tiers == there.tiers else there
    held = dataclasses.replace(wanted, endpoints=held.endpoints)
    follower.check(follower.engine.update(here, held, DPIDS, follower.now_s), here, held)
    for name in sorted(there.policies.keys() | wanted.endpoints.keys()):
        policy, endpoint = there.policies.get(name), wanted.endpoints.get(name)
        if policy is not None and here.policies.get(name) is not policy:
            here = dataclasses.replace(here, policies={**here.policies, name: policy})
            follower.check(follower.engine.put_policy(policy, follower.now_s), here, held)
        if endpoint is not None and held.endpoints.get(name) is not endpoint:
            held = dataclasses.replace(held, endpoints={**held.endpoints, name: endpoint})
            follower.check(follower.engine.join(endpoint, follower.now_s), here, held)


@pytest.mark.parametrize("seed", range(8))
def test_an_engine_that_begins_with_persisted_numbers_goes_on_as_if_it_had_never_stopped(seed: int) -> None:
    history = make_history(Seeded(f"restart {seed}"), SITE, steps=6)
    follower = Follower()
    for case in history:
        follower.follow(case)
        follower.engine, follower.programs = Engine(IdMap.from_json(follower.engine.ids().to_json())), {}

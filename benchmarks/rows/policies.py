"""Policies of W(2000,200,1000) added, edited and deleted, one at a time: in memory, and as durable POSTs beside OVN."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from benchmarks import ovn as peer
from benchmarks.agreement import check_ours, samples
from benchmarks.core import Core, built, policy_of
from benchmarks.harness import REPEATS, Bound, Result
from benchmarks.openflow import modifications, timed
from benchmarks.ovn import Ovn
from benchmarks.product import Product
from benchmarks.rows.sides import Sides, beside_ovn, settled
from benchmarks.rows.steps import check_minimal, check_program, fsync_ms, timed_steps, within_budget
from benchmarks.switches import BRIDGE, control, fresh_bridge, fresh_switch
from benchmarks.workloads import Document, World, draw_policy, w
from intent.compiler import Delta
from intent.model import Policy
from mininet_scenarios.janitor import Janitor

SIZE = (2000, 200, 1000)
NAME = "W(2000,200,1000)"
CHANGES, PRODUCT_CHANGES = 200, 40
"""Of each kind: in memory, and as POSTs in each turn."""
OVN_CHANGES = 4
"""Of each kind in each turn: OVN takes so long to build this and come to rest that more pass ten minutes."""


def policy_change() -> Iterator[Result]:
    """Measure adds, edits and deletes of policies: in memory, to the barrier reply, and as durable POSTs beside OVN."""
    world = w(*SIZE)
    yield from _policies_in_memory(world)
    drawn = {kind: _policies(kind, PRODUCT_CHANGES) for kind in ("add", "edit")}
    sides = beside_ovn(world, lambda product: _by_post(product, drawn), lambda ovn: _in_ovn(ovn, drawn))
    fsync = fsync_ms()
    for kind in ("add", "edit", "delete"):
        yield _posted(kind, sides, fsync)


def _posted(kind: str, sides: Sides, fsync: float) -> Result:
    return Result(
        "policy_change",
        f"{NAME}: {kind} a policy, durable POST to committed",
        "ms",
        [s * 1000 for s in sides.ours[kind]],
        [s * 1000 for s in sides.theirs[kind]],
        peer.NAME,
        [Bound("ours", "<=", 5 + fsync), Bound("ratio", "<=", 0.05)],
        sides.memory_mb,
        sides.peer_memory_mb,
        sides.agreed,
        f"one fsync takes {fsync:.3g} ms here; {sides.note()}; OVN {REPEATS} turns of {OVN_CHANGES}",
    )


def _policies(kind: str, count: int) -> list[Document]:
    """Return policies to add, or what their edits make of them."""
    chance = random.Random(f"{kind} of policies")
    return [draw_policy(f"new-{n}", SIZE[1], chance, SIZE[0]) for n in range(count)]


def _policies_in_memory(world: World) -> Iterator[Result]:
    adds, edits = ([policy_of(d) for d in _policies(kind, CHANGES)] for kind in ("add", "edit"))
    in_memory: dict[str, list[float]] = {}
    to_barrier: dict[str, list[float]] = {}
    with Janitor() as janitor, fresh_switch(janitor) as ovs:
        core, delta = built(world)
        with fresh_bridge(ovs) as channel, control(ovs) as ask:
            timed(channel, modifications(delta))
            agreed = check_ours(samples(world), ask, BRIDGE, core.ids)
            for kind, policies in (("add", adds), ("edit", edits)):
                known = policies[: len(in_memory["add"])] if kind == "edit" else policies
                in_memory[kind], to_barrier[kind] = timed_steps(channel, [_put(core, p) for p in known])
            drops = [_drop(core, policy.name) for policy in adds[: len(in_memory["add"])]]
            in_memory["delete"], to_barrier["delete"] = timed_steps(channel, drops)
            check_program(core, channel)
            check_minimal(core, [_put(core, policy) for policy in adds[:3]])
    note = f"{core.name} compiler; changes sent are the difference of two whole programs"
    for kind, values in in_memory.items():
        bounds = [Bound("ours", "<=", 1)]
        yield Result(
            "policy_change", f"{NAME}: {kind} in memory", "ms", values, bounds=bounds, agreed=agreed, note=note
        )
        yield Result("policy_change", f"{NAME}: {kind} in memory to barrier reply", "ms", to_barrier[kind], note=note)


def _put(core: Core, policy: Policy) -> Callable[[], Delta]:
    return lambda: core.put_policy(policy)


def _drop(core: Core, name: str) -> Callable[[], Delta]:
    return lambda: core.drop_policy(name)


def _by_post(product: Product, drawn: dict[str, list[Document]]) -> dict[str, list[float]]:
    steps = {"add": within_budget(lambda d: product.apply([d]), drawn["add"])}
    added = len(steps["add"])
    steps["edit"] = [product.apply([d]) for d in drawn["edit"][:added]]
    steps["delete"] = [product.delete("policies", d["name"]) for d in drawn["add"][:added]]
    return steps


def _in_ovn(ovn: Ovn, drawn: dict[str, list[Document]]) -> dict[str, list[float]]:
    adds, edits = drawn["add"][:OVN_CHANGES], drawn["edit"][:OVN_CHANGES]
    return {
        "add": [settled(ovn, ovn.add_policy(policy)) for policy in adds],
        "edit": [settled(ovn, ovn.edit_policy(policy)) for policy in edits],
        "delete": [settled(ovn, ovn.drop_policy(policy["name"])) for policy in adds],
    }

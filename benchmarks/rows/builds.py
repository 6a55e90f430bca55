"""Empty to enforced: the three-tier workload with single changes after it, and the cold build of W(2000,200,1000)."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

from benchmarks import ovn as peer
from benchmarks.core import Core, make_core
from benchmarks.harness import Bound, Result, undisturbed
from benchmarks.links import committed_s, cut, session_with
from benchmarks.openflow import bundle_bytes, modifications
from benchmarks.ovn import Ovn
from benchmarks.product import Product
from benchmarks.rows.sides import Sides, beside_ovn, settled
from benchmarks.switches import fresh_bridge, fresh_switch
from benchmarks.workloads import Document, World, endpoint, text, three_tier, three_tier_labels, three_tier_policy, w
from intent.compiler.flow import Flow
from intent.schema import parse_documents, to_intents
from mininet_scenarios.janitor import Janitor
from mininet_scenarios.private_ovs import PrivateOvs
from ryu_apps.wire import Command
from topology.model import Inventory

ENDPOINTS = 1000
JOINS, RULES = 8, 4
"""Single changes of each kind in one turn."""
COLD = (2000, 200, 1000)
LAYERS = ("read", "compile", "commit")
ROUNDS = 5


def three_tiers() -> Iterator[Result]:
    """Measure build, join, rule add and rule delete, one at a time, through REST and through OVN's databases."""
    world = three_tier(ENDPOINTS)
    joiners = [endpoint(n, three_tier_labels(n - ENDPOINTS)) for n in range(ENDPOINTS, ENDPOINTS + JOINS)]
    rules = [three_tier_policy(n) | {"name": f"more-{n}", "rules": _one_rule(n)} for n in range(RULES)]

    def ours(product: Product) -> dict[str, list[float]]:
        steps = {
            "join": [product.apply([joiner]) for joiner in joiners],
            "rule add": [product.apply([rule]) for rule in rules],
            "rule delete": [product.delete("policies", rule["name"]) for rule in rules],
        }
        for joiner in joiners:
            product.delete("endpoints", joiner["name"])
        return steps

    def theirs(ovn: Ovn) -> dict[str, list[float]]:
        return {
            "rule add": [settled(ovn, ovn.add_policy(rule)) for rule in rules],
            "rule delete": [settled(ovn, ovn.drop_policy(rule["name"])) for rule in rules],
            "join": [settled(ovn, ovn.join(joiner)) for joiner in joiners],
        }

    sides = beside_ovn(world, ours, theirs)
    for step in ("build", "join", "rule add", "rule delete"):
        yield _result("three_tier", f"three tiers, {ENDPOINTS} endpoints: {step}, POST to enforced", sides, step, 0.05)


def _one_rule(app: int) -> list[Document]:
    rule = three_tier_policy(app)["rules"][1]
    return [rule | {"services": ["tcp/9090"]}]


def cold_build() -> Iterator[Result]:
    """Measure W(2000,200,1000) from documents to committed: through REST beside OVN, in memory beside raw replay."""
    world = w(*COLD)
    name = f"W{COLD}".replace(" ", "")
    sides = beside_ovn(world, lambda _: {}, lambda _: {})
    yield _result("cold_build", f"{name}: POST of all documents to enforced", sides, "build", 0.1)
    yield from _in_memory(world, name)


def _in_memory(world: World, name: str) -> Iterator[Result]:
    documents = text(world.documents())
    took: list[float] = []
    replays: list[float] = []
    layers: dict[str, list[float]] = {layer: [] for layer in LAYERS}
    with Janitor() as janitor, fresh_switch(janitor) as ovs:
        for _ in range(ROUNDS):
            passed, changes, pieces = _built_once(ovs, documents, world.inventory)
            took.append(sum(passed))
            for values, seconds in zip(layers.values(), passed, strict=True):
                values.append(seconds)
            with fresh_bridge(ovs) as channel, undisturbed():
                begin = time.perf_counter()
                channel.replay(pieces)
                replays.append(time.perf_counter() - begin)
            flows = len(changes)
            del changes, pieces  # what a round leaves goes before the next begins
    work, note = f"{name}: documents in memory to committed", f"{flows} flows, {Core.name} compiler"
    bounds = [Bound("ratio", "<=", 4)]
    yield Result("cold_build", work, "s", took, replays, "raw replay of the same bytes", bounds, note=note)
    for layer, values in layers.items():
        yield Result("cold_build", f"{name}: of which {layer}", "s", values)


def _built_once(
    ovs: PrivateOvs, documents: str, inventory: Inventory
) -> tuple[list[float], list[tuple[Command, Flow]], list[bytes]]:
    """Return the seconds of each layer, and the changes that were sent, also as bytes.

    A function of its own, so that what it built is gone when it returns: that is not the next round's work.
    """
    core = make_core()
    with fresh_bridge(ovs) as channel, session_with(channel.management) as session, undisturbed():
        marks = [time.perf_counter()]
        intents = to_intents(parse_documents(documents, source="bench", max_bytes=len(documents)))
        marks.append(time.perf_counter())
        delta = core.build(intents, inventory)
        marks.append(time.perf_counter())
        changes = modifications(delta)
        committed_s(session, cut(changes, desired=core.program))
        marks.append(time.perf_counter())
    passed = [end - begin for begin, end in itertools.pairwise(marks)]
    return passed, changes, [bundle_bytes(piece.changes) for piece in cut(changes)]


def _result(row: str, work: str, sides: Sides, step: str, ratio: float) -> Result:
    return Result(
        row,
        work,
        "s",
        sides.ours[step],
        sides.theirs[step],
        peer.NAME,
        [Bound("ratio", "<=", ratio)],
        sides.memory_mb,
        sides.peer_memory_mb,
        sides.agreed,
        sides.note(),
    )

"""Rules as conjunctive matches over identities and services: n + m flows, not n * m.

In a band (tier, order) each action has one priority. A rule is a conjunction of up to three clauses
(client, server, service); the flows of clauses are shared by all rules of the same priority, so an
identity costs one flow a band and direction however many rules name it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from intent.compiler import cookie, handling, resolve
from intent.compiler import fields as f
from intent.compiler.cookie import Kind, Origin
from intent.compiler.flow import Conjunction, Flow, FlowBody, FlowKey, Term, exact, make, match_of
from intent.compiler.ids import IdMap
from intent.compiler.resolve import Identity, Membership, Variant
from intent.compiler.services import service_alternatives
from intent.compiler.tables import Lane, Priority
from intent.compiler.terms import flow, goto, is_
from intent.compiler.verdict import Verdicts
from intent.model import Action, Direction, Intents, Policy, Posture, Rule

RULE_SIDES = {None: (Direction.EGRESS, Direction.INGRESS)} | {d: (d,) for d in Direction}


@dataclasses.dataclass(frozen=True, slots=True)
class Placed:
    """One variant of one rule, with its numbers and its place."""

    table: int
    priority: int
    conjunction: int
    variant: Variant
    expires_at: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """What is to happen when a variant's conjunction holds."""

    placed: Placed
    policy: Policy
    rule: Rule
    direction: Direction


def rule_key(policy: Policy, rule: Rule) -> str:
    """Return the stable name of a rule in the id map."""
    return f"{policy.name}/{rule.name}"


def expires_at(policy: Policy, rule: Rule) -> int:
    """Return when the flows of a rule end by themselves; only an allow does (DESIGN, "Time")."""
    if policy.expires is None or rule.action is not Action.ALLOW:
        return 0
    return int(policy.expires.timestamp())


def conjunction_key(policy: Policy, rule: Rule, variant: Variant) -> str:
    """Return the stable name of a rule's part in the id map."""
    return f"{rule_key(policy, rule)}#{variant.suffix}"


class PolicyTables:
    """Collects the flows of all policy tables of one lane of one switch."""

    def __init__(self, intents: Intents, members: Membership, ids: IdMap, verdicts: Verdicts) -> None:
        """Take `intents` as of this lane: each of their policies decides."""
        self._verdicts = verdicts
        self._lane = verdicts.lane
        self._intents = intents
        self._members = members
        self._ids = ids
        self._numbers = {i: resolve.on_wire(i, ids.number("identity", i.key)) for i in members.identities}
        self._clauses: dict[FlowKey, set[Conjunction]] = {}
        self._used: set[tuple[Direction, int]] = set()
        self._decisions: list[Decision] = []
        self._timed: dict[tuple[int, int], int] = {}
        """When the flows of a priority end by themselves; it belongs to one rule."""

    def flows(self) -> Iterator[Flow]:
        """Yield every flow of the egress and ingress stages."""
        tiers = {tier.name: index for index, tier in enumerate(self._intents.tiers)}
        isolation = list(self._isolation(tiers))
        for _, policy in sorted(self._intents.policies.items()):
            self._add_policy(policy, tiers[policy.tier])
        yield from self._clause_flows()
        yield from (self._decision(d) for d in self._decisions)
        yield from isolation
        for direction in Direction:
            yield from self._chain(direction)

    def _add_policy(self, policy: Policy, tier: int) -> None:
        for rule in policy.rules:
            rule_variants = resolve.variants(self._intents, self._members, policy, rule)
            for direction in RULE_SIDES[rule.direction]:
                for variant in rule_variants:
                    key = conjunction_key(policy, rule, variant)
                    table = self._lane.tier(direction, tier)
                    ends, number = expires_at(policy, rule), self._ids.number("conjunction", key)
                    seat = rule_key(policy, rule) if ends else key
                    priority = self._ids.priority(policy.tier, policy.order, rule.action, seat, timed=bool(ends))
                    placed = Placed(table, priority, number, variant, ends)
                    if self._place(placed):
                        self._used.add((direction, tier))
                        self._decisions.append(Decision(placed, policy, rule, direction))

    def _place(self, placed: Placed) -> bool:
        """Add a variant's clauses; False if no packet could ever match."""
        dimensions = [d for d in self._dimensions(placed.variant) if d is not None]
        if any(not d for d in dimensions):
            return False
        if not dimensions:
            dimensions = [[(is_(f.DIRECTION, d),) for d in (f.FORWARD, f.REPLY, f.RELATED)]]
        self._timed[placed.table, placed.priority] = placed.expires_at
        if len(dimensions) == 1:
            dimensions.append([()])  # a conjunction has at least two clauses; the second holds always
        for clause, alternatives in enumerate(dimensions, start=1):
            member = Conjunction(placed.conjunction, clause, len(dimensions))
            for terms in alternatives:
                key = FlowKey(placed.table, placed.priority, match_of(terms))
                self._clauses.setdefault(key, set()).add(member)
        return True

    def _dimensions(self, variant: Variant) -> Iterator[list[tuple[Term, ...]] | None]:
        for side, identities in ((f.CLIENT_ID, variant.clients), (f.SERVER_ID, variant.servers)):
            yield None if identities is None else [(is_(side, self._numbers[i]),) for i in identities]
        if variant.services is None:
            yield None
        else:
            yield list(dict.fromkeys(a for m in variant.services for a in service_alternatives(m)))

    def _clause_flows(self) -> Iterator[Flow]:
        for key, conjunctions in self._clauses.items():
            ordered = tuple(sorted(conjunctions, key=lambda c: (c.id, c.clause)))
            ends = self._timed.get((key.table, key.priority), 0)
            yield Flow(key, FlowBody(ordered, cookie.CLAUSE, expires_at=ends))

    def _decision(self, decision: Decision) -> Flow:
        placed, direction = decision.placed, decision.direction
        number = self._ids.number("rule", rule_key(decision.policy, decision.rule))
        origin = origin_of(self._lane, Kind.RULE, number, direction)
        if decision.rule.action is Action.PASS:
            actions = goto(after_tier(self._lane, direction, self._used_by(direction), placed.table))
        else:
            marks = handling.marks(decision.rule, self._ids.number)
            actions = self._verdicts.of(decision.rule.action, direction, origin, marks)
        key = FlowKey(placed.table, placed.priority, (exact(f.CONJ_ID, placed.conjunction),))
        return Flow(key, FlowBody(actions, origin, 0, placed.expires_at))

    def _used_by(self, direction: Direction) -> set[int]:
        return {tier for d, tier in self._used if d is direction}

    def _isolation(self, tiers: dict[str, int]) -> Iterator[Flow]:
        """End of an isolating tier: its subjects are denied (DESIGN: "A tier may be isolating")."""
        for tier in self._intents.tiers:
            for direction in Direction if tier.isolating else ():
                for identity in self._isolated(tier.name, direction):
                    self._used.add((direction, tiers[tier.name]))
                    yield isolation_flow(self._verdicts, direction, tiers[tier.name], self._numbers[identity])

    def _isolated(self, tier: str, direction: Direction) -> set[Identity]:
        subjects = (
            p.subject
            for p in self._intents.policies.values()
            if p.tier == tier and p.subject is not None and direction in p.directions
        )
        return {i for s in subjects for i in self._members.selected(s)}

    def _chain(self, direction: Direction) -> Iterator[Flow]:
        """Yield entry, the miss of every tier in use, and the postures."""
        yield from entry_flows(self._verdicts, direction)
        yield from miss_flows(self._lane, direction, self._used_by(direction))
        routed = {name for router in self._intents.routers.values() for name in router.networks}
        for identity in self._members.identities:
            if not identity.is_world:
                name = identity.network
                whose = self._numbers[identity] if name in routed else None
                number, posture = self._ids.number("network", name), self._intents.networks[name].posture
                yield posture_flow(self._verdicts, direction, Posed(number, posture), whose)


# -- one flow at a time ------------------------------------------------------------------------------


def origin_of(lane: Lane, kind: Kind, number: int, direction: Direction) -> int:
    """Return the cookie of a decision in a lane; in the candidate lane it changes no verdict."""
    if lane is Lane.CANDIDATE:
        kind, number = Kind.CANDIDATE, number if kind is Kind.RULE else 0
    return cookie.encode(make(Origin, (kind, number, direction, 0)))


def after_tier(lane: Lane, direction: Direction, used: Iterable[int], table: int) -> int:
    """Return the table of the next tier in use after one, or that of the posture."""
    later = [number for tier in used if (number := lane.tier(direction, tier)) > table]
    return min(later, default=lane.posture(direction))


def isolation_flow(verdicts: Verdicts, direction: Direction, tier: int, identity: int) -> Flow:
    """Return the flow that denies a subject at the end of an isolating tier."""
    lane = verdicts.lane
    side = f.CLIENT_ID if direction is Direction.EGRESS else f.SERVER_ID
    origin = origin_of(lane, Kind.ISOLATION, tier, direction)
    denied = verdicts.of(Action.DENY, direction, origin)
    return flow(lane.tier(direction, tier), Priority.ISOLATION, (is_(side, identity),), denied, origin)


def entry_flows(verdicts: Verdicts, direction: Direction) -> Iterator[Flow]:
    """Yield what a judgement begins and ends with: world has none, and who has no network is denied."""
    world = f.CLIENT_WORLD if direction is Direction.EGRESS else f.SERVER_WORLD
    yield flow(verdicts.lane.entry(direction), 10, (is_(world, 1),), verdicts.skip(direction))
    nobody = verdicts.of(Action.DENY, direction, cookie.PIPELINE)
    yield flow(verdicts.lane.posture(direction), Priority.LAST, (), nobody)


def miss_flows(lane: Lane, direction: Direction, used: Collection[int]) -> Iterator[Flow]:
    """Yield what leads from the entry through the tiers in use to the posture."""
    for table in (int(lane.entry(direction)), *(lane.tier(direction, tier) for tier in used)):
        yield flow(table, Priority.LAST, (), goto(after_tier(lane, direction, used, table)))


class Posed(NamedTuple):
    """A network's number and posture."""

    network: int
    posture: Posture


def posture_flow(verdicts: Verdicts, direction: Direction, posed: Posed, identity: int | None = None) -> Flow:
    """Return what a network says when no rule decides; of one in a router, about each of its identities."""
    origin = origin_of(verdicts.lane, Kind.POSTURE, posed.network, direction)
    actions = verdicts.of(Action.ALLOW if posed.posture is Posture.ALLOW else Action.DENY, direction, origin)
    side = f.CLIENT_ID if direction is Direction.EGRESS else f.SERVER_ID
    where = is_(f.NETWORK, posed.network) if identity is None else is_(side, identity)
    return flow(verdicts.lane.posture(direction), 10, (where,), actions, origin)

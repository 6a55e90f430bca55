"""Rules as conjunctive matches over identities and services: n + m flows, not n * m.

In a band (tier, order) each action has one priority. A rule is a conjunction of up to three clauses
(client, server, service); the flows of clauses are shared by all rules of the same priority, so an
identity costs one flow a band and direction however many rules name it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from intent.compiler import cookie, resolve
from intent.compiler import fields as f
from intent.compiler.cookie import Kind, Origin
from intent.compiler.flow import Conjunction, Flow, FlowBody, FlowKey, Term, exact, match_of
from intent.compiler.ids import IdMap, band_key
from intent.compiler.resolve import CompileError, Identity, Membership, Variant
from intent.compiler.services import service_alternatives
from intent.compiler.tables import Lane, Priority
from intent.compiler.terms import flow, goto, is_
from intent.compiler.verdict import Verdicts
from intent.model import Action, Direction, Intents, Policy, Posture, Rule

MAX_CONJUNCTIONS = 1000
"""On one flow: each costs about 55 ns an upcall (DESIGN section 5)."""

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
        self._numbers = {i: ids.number("identity", i.key) for i in members.identities}
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
        band = self._ids.bands[policy.tier][policy.order]
        seats = self._ids.timers.get(band_key(policy.tier, policy.order), {})
        for rule in policy.rules:
            rule_variants = resolve.variants(self._intents, self._members, policy, rule)
            for direction in RULE_SIDES[rule.direction]:
                for variant in rule_variants:
                    number = self._ids.number("conjunction", conjunction_key(policy, rule, variant))
                    table = self._lane.tier(direction, tier)
                    priority = band.priority(rule.action, seats.get(rule_key(policy, rule)))
                    placed = Placed(table, priority, number, variant, expires_at(policy, rule))
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
            if len(conjunctions) > MAX_CONJUNCTIONS:
                raise CompileError(
                    f"{len(conjunctions)} rules of one band name the same peer or service; at most "
                    f"{MAX_CONJUNCTIONS}: give some of these policies another order"
                )
            ordered = tuple(sorted(conjunctions, key=lambda c: (c.id, c.clause)))
            ends = self._timed.get((key.table, key.priority), 0)
            yield Flow(key, FlowBody(ordered, cookie.CLAUSE, expires_at=ends))

    def _decision(self, decision: Decision) -> Flow:
        placed, direction = decision.placed, decision.direction
        number = self._ids.number("rule", rule_key(decision.policy, decision.rule))
        match = (exact(f.CONJ_ID, placed.conjunction),)
        if decision.rule.action is Action.PASS:
            actions = goto(self._after_tier(direction, placed.table))
        else:
            actions = self._verdicts.of(decision.rule.action, direction, number)
        found = flow(placed.table, placed.priority, match, actions, self._origin(Kind.RULE, number, direction))
        return found._replace(body=found.body._replace(expires_at=placed.expires_at))

    def _origin(self, kind: Kind, number: int, direction: Direction) -> int:
        if self._lane is Lane.CANDIDATE:
            kind, number = Kind.CANDIDATE, number if kind is Kind.RULE else 0
        return cookie.encode(Origin(kind, number, direction))

    def _after_tier(self, direction: Direction, table: int) -> int:
        later = [number for d, t in self._used if d is direction and (number := self._lane.tier(d, t)) > table]
        return min(later, default=self._lane.posture(direction))

    def _isolation(self, tiers: dict[str, int]) -> Iterator[Flow]:
        """End of an isolating tier: its subjects are denied (DESIGN: "A tier may be isolating")."""
        for tier in self._intents.tiers:
            if not tier.isolating:
                continue
            for direction, side in ((Direction.EGRESS, f.CLIENT_ID), (Direction.INGRESS, f.SERVER_ID)):
                table = self._lane.tier(direction, tiers[tier.name])
                origin = self._origin(Kind.ISOLATION, tiers[tier.name], direction)
                denied = self._verdicts.of(Action.DENY, direction)
                for number in sorted(self._numbers[i] for i in self._isolated(tier.name, direction)):
                    self._used.add((direction, tiers[tier.name]))
                    yield flow(table, Priority.ISOLATION, (is_(side, number),), denied, origin)

    def _isolated(self, tier: str, direction: Direction) -> set[Identity]:
        subjects = (
            p.subject
            for p in self._intents.policies.values()
            if p.tier == tier and p.subject is not None and direction in p.directions
        )
        return {i for s in subjects for i in self._members.selected(s)}

    def _chain(self, direction: Direction) -> Iterator[Flow]:
        """Yield entry, the miss of every tier in use, and the postures."""
        world = f.CLIENT_WORLD if direction is Direction.EGRESS else f.SERVER_WORLD
        entry = self._lane.entry(direction)
        yield flow(entry, 10, (is_(world, 1),), self._verdicts.skip(direction))
        yield flow(entry, Priority.LAST, (), goto(self._after_tier(direction, entry)))
        for used, tier in sorted(self._used):
            if used is direction:
                table = self._lane.tier(direction, tier)
                yield flow(table, Priority.LAST, (), goto(self._after_tier(direction, table)))
        yield from self._postures(direction)

    def _postures(self, direction: Direction) -> Iterator[Flow]:
        table = self._lane.posture(direction)
        for name in sorted({i.network for i in self._members.identities}):
            number = self._ids.number("network", name)
            allowed = self._intents.networks[name].posture is Posture.ALLOW
            actions = self._verdicts.of(Action.ALLOW if allowed else Action.DENY, direction)
            origin = self._origin(Kind.POSTURE, number, direction)
            yield flow(table, 10, (is_(f.NETWORK, number),), actions, origin)
        yield flow(table, Priority.LAST, (), self._verdicts.of(Action.DENY, direction))

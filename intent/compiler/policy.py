"""Rules as conjunctive matches over identities and services: n + m flows, not n * m.

In a band (tier, order) each action has one priority. A rule is a conjunction of up to three clauses
(client, server, service); the flows of clauses are shared by all rules of the same priority, so an
identity costs one flow a band and direction however many rules name it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from functools import lru_cache

from intent.compiler import cookie, resolve
from intent.compiler import fields as f
from intent.compiler.cookie import Kind, Origin
from intent.compiler.flow import Actions, Conjunction, Flow, FlowBody, FlowKey, Term, exact, match_of
from intent.compiler.ids import IdMap, band_priority
from intent.compiler.resolve import CompileError, Identity, Membership, Variant
from intent.compiler.tables import AFTER, ENTRY, POSTURE, Priority, tier_table
from intent.compiler.terms import (
    DST_PORT,
    ICMP_CODE,
    ICMP_FAMILY,
    ICMP_TYPE,
    IPV4,
    IPV6,
    SRC_PORT,
    flow,
    goto,
    is_,
    masks,
    protocol,
)
from intent.model import Action, Direction, Intents, Policy, PortRange, Posture, Rule, ServiceMatch
from topology.packet import ICMP, ICMPV6

MAX_CONJUNCTIONS = 1000
"""On one flow: each costs about 55 ns an upcall (DESIGN section 5)."""

REPLY_TYPE = {ICMP: {8: 0, 13: 14, 15: 16}, ICMPV6: {128: 129}}
"""ICMP types that open a connection, and what answers them (RFC 792, RFC 4443; OVS conntrack)."""

RULE_SIDES = {None: (Direction.EGRESS, Direction.INGRESS)} | {d: (d,) for d in Direction}


@dataclasses.dataclass(frozen=True, slots=True)
class Placed:
    """One variant of one rule, with its numbers and its place."""

    table: int
    priority: int
    conjunction: int
    variant: Variant


def rule_key(policy: Policy, rule: Rule) -> str:
    """Return the stable name of a rule in the id map."""
    return f"{policy.name}/{rule.name}"


def conjunction_key(policy: Policy, rule: Rule, variant: Variant) -> str:
    """Return the stable name of a rule's part in the id map."""
    return f"{rule_key(policy, rule)}#{variant.suffix}"


class PolicyTables:
    """Collects the flows of all policy tables of one switch."""

    def __init__(self, intents: Intents, members: Membership, ids: IdMap) -> None:
        self._intents = intents
        self._members = members
        self._ids = ids
        self._numbers = {i: ids.number("identity", i.key) for i in members.identities}
        self._clauses: dict[FlowKey, set[Conjunction]] = {}
        self._used: set[tuple[Direction, int]] = set()
        self._decisions: list[tuple[Placed, Policy, Rule, Direction]] = []

    def flows(self) -> Iterator[Flow]:
        """Yield every flow of the egress and ingress stages."""
        tiers = {tier.name: index for index, tier in enumerate(self._intents.tiers)}
        isolation = list(self._isolation(tiers))
        for policy in resolve.in_force(self._intents):
            self._add_policy(policy, tiers[policy.tier])
        yield from self._clause_flows()
        yield from (self._decision(*d) for d in self._decisions)
        yield from isolation
        for direction in Direction:
            yield from self._chain(direction)

    def _add_policy(self, policy: Policy, tier: int) -> None:
        slot = self._ids.slots[policy.tier][policy.order]
        for rule in policy.rules:
            rule_variants = resolve.variants(self._intents, self._members, policy, rule)
            for direction in RULE_SIDES[rule.direction]:
                for variant in rule_variants:
                    number = self._ids.number("conjunction", conjunction_key(policy, rule, variant))
                    table = tier_table(direction, tier)
                    placed = Placed(table, band_priority(slot, rule.action), number, variant)
                    if self._place(placed):
                        self._used.add((direction, tier))
                        self._decisions.append((placed, policy, rule, direction))

    def _place(self, placed: Placed) -> bool:
        """Add a variant's clauses; False if no packet could ever match."""
        dimensions = [d for d in self._dimensions(placed.variant) if d is not None]
        if any(not d for d in dimensions):
            return False
        if not dimensions:
            dimensions = [[(is_(f.DIRECTION, d),) for d in (f.FORWARD, f.REPLY, f.RELATED)]]
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
            yield Flow(key, FlowBody(ordered, cookie.CLAUSE))

    def _decision(self, placed: Placed, policy: Policy, rule: Rule, direction: Direction) -> Flow:
        number = self._ids.number("rule", rule_key(policy, rule))
        origin = cookie.encode(Origin(Kind.RULE, number, direction))
        match = (exact(f.CONJ_ID, placed.conjunction),)
        return flow(placed.table, placed.priority, match, self._verdict(rule, direction, placed.table), origin)

    def _verdict(self, rule: Rule, direction: Direction, table: int) -> Actions:
        match rule.action:
            case Action.ALLOW:
                return goto(AFTER[direction])
            case Action.PASS:
                return goto(self._after_tier(direction, table))
            case Action.DENY:
                return ()
            case Action.REJECT:
                raise CompileError(f"rule {rule.name}: reject is not supported; use deny")

    def _after_tier(self, direction: Direction, table: int) -> int:
        later = [tier_table(d, t) for d, t in self._used if d is direction and tier_table(d, t) > table]
        return min(later, default=POSTURE[direction])

    def _isolation(self, tiers: dict[str, int]) -> Iterator[Flow]:
        """End of an isolating tier: its subjects are denied (DESIGN: "A tier may be isolating")."""
        for tier in self._intents.tiers:
            if not tier.isolating:
                continue
            for direction, side in ((Direction.EGRESS, f.CLIENT_ID), (Direction.INGRESS, f.SERVER_ID)):
                table = tier_table(direction, tiers[tier.name])
                origin = cookie.encode(Origin(Kind.ISOLATION, tiers[tier.name], direction))
                for number in sorted(self._numbers[i] for i in self._isolated(tier.name, direction)):
                    self._used.add((direction, tiers[tier.name]))
                    yield flow(table, Priority.ISOLATION, (is_(side, number),), (), origin)

    def _isolated(self, tier: str, direction: Direction) -> set[Identity]:
        subjects = (
            p.subject
            for p in resolve.in_force(self._intents)
            if p.tier == tier and p.subject is not None and direction in p.directions
        )
        return {i for s in subjects for i in self._members.selected(s)}

    def _chain(self, direction: Direction) -> Iterator[Flow]:
        """Yield entry, the miss of every tier in use, and the postures."""
        world = f.CLIENT_WORLD if direction is Direction.EGRESS else f.SERVER_WORLD
        entry = ENTRY[direction]
        yield flow(entry, 10, (is_(world, 1),), goto(AFTER[direction]))
        yield flow(entry, Priority.LAST, (), goto(self._after_tier(direction, entry)))
        for used, tier in sorted(self._used):
            if used is direction:
                table = tier_table(direction, tier)
                yield flow(table, Priority.LAST, (), goto(self._after_tier(direction, table)))
        yield from self._postures(direction)

    def _postures(self, direction: Direction) -> Iterator[Flow]:
        present = {i.network for i in self._members.identities}
        for name in sorted(present):
            number = self._ids.number("network", name)
            allowed = self._intents.networks[name].posture is Posture.ALLOW
            actions = goto(AFTER[direction]) if allowed else ()
            origin = cookie.encode(Origin(Kind.POSTURE, number, direction))
            yield flow(POSTURE[direction], 10, (is_(f.NETWORK, number),), actions, origin)
        yield flow(POSTURE[direction], Priority.LAST, (), ())


# -- services ----------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def service_alternatives(match: ServiceMatch) -> tuple[tuple[Term, ...], ...]:
    """Return the matches of a service clause: with the opening, of replies, and of ICMP errors about it."""
    if match.protocol is None:
        raise ValueError("a service of every protocol is no clause")
    number = match.protocol
    if number in ICMP_TYPE and match.icmp_type is not None:
        return _icmp_alternatives(number, match.icmp_type, match.icmp_code)
    if isinstance(match.port, PortRange):
        return tuple(_port_alternatives(number, match.port))
    itself = is_(f.NOT_RELATED, 0)
    quoted = (is_(f.DIRECTION, f.RELATED), Term(f.CT_STATE, RELATED_STATE, RELATED_STATE))
    families = (IPV4, IPV6) if number not in ICMP_FAMILY else (ICMP_FAMILY[number],)
    return tuple(
        alternative
        for family in families
        for alternative in (
            (itself, family, protocol(number)),
            (*quoted, family, exact(f.CT_NW_PROTO, number)),
        )
    )


RELATED_STATE = f.CS_REL | f.CS_TRK


def _port_alternatives(number: int, ports: PortRange) -> Iterator[tuple[Term, ...]]:
    forward, reply = is_(f.DIRECTION, f.FORWARD), is_(f.DIRECTION, f.REPLY)
    related = (is_(f.DIRECTION, f.RELATED), Term(f.CT_STATE, RELATED_STATE, RELATED_STATE))
    for family in (IPV4, IPV6):
        for value, mask in masks(ports.first, ports.last):
            yield (forward, family, protocol(number), *_masked(DST_PORT[number], value, mask))
            yield (reply, family, protocol(number), *_masked(SRC_PORT[number], value, mask))
            yield (*related, family, exact(f.CT_NW_PROTO, number), *_masked(f.CT_TP_DST, value, mask))


def _masked(field: f.Field, value: int, mask: int) -> Iterable[Term]:
    return (Term(field, value, mask),) if mask else ()


def _icmp_alternatives(number: int, kind: int, code: int | None) -> tuple[tuple[Term, ...], ...]:
    """A type that can open no connection matches nothing: conntrack calls such packets invalid."""
    answer = REPLY_TYPE[number].get(kind)
    if answer is None:
        return ()
    family, types, codes = ICMP_FAMILY[number], ICMP_TYPE[number], ICMP_CODE[number]
    related = (is_(f.DIRECTION, f.RELATED), Term(f.CT_STATE, RELATED_STATE, RELATED_STATE))
    by_code = () if code is None else (exact(codes, code),)
    quoted = () if code is None else (exact(f.CT_TP_DST, code),)
    here = (family, protocol(number))
    return (
        (is_(f.DIRECTION, f.FORWARD), *here, exact(types, kind), *by_code),
        (is_(f.DIRECTION, f.REPLY), *here, exact(types, answer), *by_code),
        (*related, family, exact(f.CT_NW_PROTO, number), exact(f.CT_TP_SRC, kind), *quoted),
    )

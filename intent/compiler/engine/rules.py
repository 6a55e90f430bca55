"""Policies taken apart: a plan for each policy and rule, and units, each of which one conjunction says.

A plan knows nothing of switches. Its units name casts, so they stay as they are while identities come and
go; only whether anybody could ever meet them changes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from typing import NamedTuple, TypeAlias

from intent.compiler import fields as f
from intent.compiler.cookie import Kind
from intent.compiler.engine.clauses import Pattern, Place, Solo, clause, pattern
from intent.compiler.engine.ledger import Ledger
from intent.compiler.engine.people import Cast, Leaf, People, PortKey, Split, WantedPorts
from intent.compiler.flow import Actions, Conjunction, Flow, FlowBody, FlowKey, exact, make, match_of
from intent.compiler.handling import marks
from intent.compiler.ids import band_key
from intent.compiler.policy import RULE_SIDES, expires_at, origin_of, rule_key
from intent.compiler.resolve import Reader, flatten
from intent.compiler.seats import TIMED
from intent.compiler.services import service_alternatives
from intent.compiler.tables import Lane
from intent.compiler.terms import is_
from intent.compiler.verdict import Verdicts
from intent.model import (
    Action,
    CidrPeer,
    Direction,
    EndpointPeer,
    GroupPeer,
    Intents,
    Mode,
    Peer,
    Policy,
    PortName,
    PortRange,
    Rule,
    Selector,
    SelectorPeer,
    ServiceMatch,
    Tier,
    WorldPeer,
)

Way: TypeAlias = tuple[Lane, Direction]
"""One chain of tiers."""


class Isolation(NamedTuple):
    """A judgement at whose end subjects are denied."""

    lane: Lane
    tier: str
    direction: Direction


@dataclasses.dataclass(frozen=True)
class Layout:
    """What the whole policy part of every switch depends on."""

    tiers: tuple[Tier, ...]
    observing: bool

    @cached_property
    def places(self) -> Mapping[str, int]:
        """The place of each tier."""
        return {tier.name: place for place, tier in enumerate(self.tiers)}

    @cached_property
    def verdicts(self) -> tuple[Verdicts, ...]:
        """The lanes in use."""
        enforced = Verdicts(Lane.ENFORCED, self.observing)
        return (enforced, Verdicts(Lane.CANDIDATE)) if self.observing else (enforced,)


class Spot(NamedTuple):
    """One place where a unit is judged."""

    lane: Lane
    direction: Direction
    tier: int
    table: int
    decision: Flow
    """Of a pass, where it leads to depends on the switch."""


class Unit:
    """A part of a rule that one conjunction says."""

    __slots__ = ("clients", "fixed", "key", "live", "members", "number", "places", "plan", "port", "priority",
                 "servers", "services", "spots")  # fmt: skip

    def __init__(
        self, plan: RulePlan, port: PortKey | None, servers: Cast | None, services: tuple[Pattern, ...] | None
    ) -> None:
        self.plan = plan
        self.port = port
        self.key = f"{plan.key}#" if port is None else f"{plan.key}#{port[0]}/{port[1]}"
        self.clients = plan.clients
        self.servers = servers
        self.services = services
        """What a packet must be like; None for any."""
        self.live = False
        """Whether anybody plugged in anywhere could meet it."""
        self.number = self.priority = 0
        self.members: tuple[Solo | None, Solo | None] = (None, None)
        """The clauses of clients and servers."""
        self.fixed: list[tuple[tuple[Pattern, ...], Solo]] = []
        """The clauses that do not depend on who is there."""
        self.spots: tuple[Spot, ...] = ()
        self.places: tuple[Place, ...] = ()
        """Of its clauses: tables and priority."""

    @property
    def is_live(self) -> bool:
        """Whether each side that is named has a member."""
        return (self.clients is None or bool(self.clients.members)) and (
            self.servers is None or bool(self.servers.members)
        )

    def where(self) -> Iterable[int] | None:
        """Return the datapath ids of switches that may have to judge by it; None for all."""
        sides = [cast.members for cast in (self.clients, self.servers) if cast is not None]
        if not sides:
            return None
        return {dpid for party in min(sides, key=len) for dpid in party.where}

    def number_clauses(self, number: int) -> None:
        """Make the clauses; there are at least two."""
        sides = [self.clients is not None, self.servers is not None]
        whole = sum(sides) + (self.services is not None)
        of, ends = max(whole, 2), self.plan.expires_at
        members = [clause(make(Conjunction, (number, n, of)), ends) for n in range(1, of + 1)]
        self.number = number
        self.members = (members[0] if sides[0] else None, members[sum(sides) - 1] if sides[1] else None)
        self.fixed = [] if self.services is None else [(self.services, members[sum(sides)])]
        if not whole:
            self.fixed = [(_EVERY_DIRECTION, members[0])]
        if whole <= 1:
            self.fixed.append(((_ALWAYS,), members[1]))

    def priority_now(self, ledger: Ledger) -> int:
        """Return the priority that the numbers as they are now give it."""
        plan = self.plan
        policy, action = plan.policy.policy, plan.rule.action
        kind, key = (TIMED, plan.key) if plan.expires_at else (action, self.key)
        return ledger.band(policy.tier, policy.order).priority(action, ledger.seat(plan.policy.band, kind, key))

    def place(self, ledger: Ledger, layout: Layout) -> None:
        """Work out priority and places, from the numbers as they are now."""
        plan = self.plan
        policy, action = plan.policy.policy, plan.rule.action
        number = ledger.number("rule", plan.key)
        self.number_clauses(ledger.number("conjunction", self.key))
        self.priority = self.priority_now(ledger)
        tier = layout.places[policy.tier]
        wanted = marks(plan.rule, ledger.number)
        met, spots = (exact(f.CONJ_ID, self.number),), []
        for verdicts in layout.verdicts if policy.mode is Mode.ENFORCE else layout.verdicts[1:]:
            for direction in plan.directions:
                table = verdicts.lane.tier(direction, tier)
                origin = origin_of(verdicts.lane, Kind.RULE, number, direction)
                actions = () if action is Action.PASS else verdicts.of(action, direction, origin, wanted)
                key = make(FlowKey, (table, self.priority, met))
                decision = make(Flow, (key, make(FlowBody, (actions, origin, 0, plan.expires_at))))
                spots.append(make(Spot, (verdicts.lane, direction, tier, table, decision)))
        self.spots = tuple(spots)
        self.places = tuple([(spot.table, self.priority) for spot in spots])


_EVERY_DIRECTION = tuple(pattern((is_(f.DIRECTION, d),)) for d in (f.FORWARD, f.REPLY, f.RELATED))
_ALWAYS = pattern(())


class RulePlan:
    """One rule: whom and what it names, and its units."""

    def __init__(self, policy: PolicyPlan, rule: Rule) -> None:
        self.policy = policy
        self.rule = rule
        self.key = rule_key(policy.policy, rule)
        self.expires_at = expires_at(policy.policy, rule)
        self.directions = RULE_SIDES[rule.direction]
        self.clients: Cast | None = None
        self.servers: Cast | None = None
        self._base: Cast | None = None
        self._split: Split | None = None
        self.units: dict[PortKey | None, Unit] = {}
        """By the number of a named port; None for the part without."""

    def enter(self, casting: Casting) -> None:
        """Take the casts; then make the units."""
        people, policy, rule = casting.people, self.policy.policy, self.rule
        subject = None if policy.subject is None else people.cast((SelectorPeer(policy.subject),))
        clients = None if rule.from_ is None else casting.cast(rule.from_)
        servers = None if rule.to is None else casting.cast(rule.to)
        if rule.direction is Direction.EGRESS:
            clients, subject = subject, clients
        elif rule.direction is Direction.INGRESS:
            servers, subject = subject, servers
        if subject is not None:
            people.release(subject)  # what a one-sided rule does not use
        self.clients, self.servers = clients, servers
        self._make_units(casting)

    def _make_units(self, casting: Casting) -> None:
        if self.rule.services is None:
            self.add_unit(None, self.servers, None)
            return
        people, matches = casting.people, tuple(flatten(casting.intents, self.rule.services))
        plain = tuple(m for m in matches if not isinstance(m.port, PortName))
        if plain:
            everything = any(m.protocol is None for m in plain)
            self.add_unit(None, self.servers, None if everything else casting.patterns(plain))
        wanted: WantedPorts = frozenset((m.protocol, m.port.name) for m in matches if isinstance(m.port, PortName))
        if wanted:
            self._base = self.servers or people.cast((SelectorPeer(Selector()),))
            self._split = people.split(self._base, wanted, self)
            for port, part in self._split.parts.items():
                self.add_part(port, part)

    def add_part(self, port: PortKey, part: Cast) -> Unit:
        """Add the unit of one number that named ports stand for."""
        return self.add_unit(port, part, patterns(ServiceMatch(port[0], PortRange(port[1], port[1]))))

    def add_unit(self, port: PortKey | None, servers: Cast | None, services: tuple[Pattern, ...] | None) -> Unit:
        """Add a unit, and tell its casts."""
        unit = self.units[port] = Unit(self, port, servers, services)
        if unit.clients is not None:
            unit.clients.clients[unit] = None
        if servers is not None:
            servers.servers[unit] = None
        return unit

    def drop_unit(self, unit: Unit) -> None:
        """Forget a unit, and let its casts do so."""
        del self.units[unit.port]
        if unit.clients is not None:
            del unit.clients.clients[unit]
        if unit.servers is not None:
            del unit.servers.servers[unit]

    def leave(self, people: People) -> None:
        """Give the casts back; the units are gone before."""
        if self._split is not None and self._base is not None:
            people.unsplit(self._base, self._split, self)
            if self.servers is None:
                people.release(self._base)
        for cast in (self.clients, self.servers):
            if cast is not None:
                people.release(cast)


class PolicyPlan:
    """One policy in force: its rules, what it reads, whom it isolates."""

    def __init__(self, policy: Policy, intents: Intents) -> None:
        self.policy = policy
        self.band = band_key(policy.tier, policy.order)
        self.rules = [RulePlan(self, rule) for rule in policy.rules]
        reader = Reader(intents)
        reader.read(policy)
        self.reads = reader.vocabulary()
        self.groups, self.services = reader.groups, reader.services
        self.subject: Cast | None = None

    @property
    def isolations(self) -> Iterator[Isolation]:
        """Where its subjects are isolated, if the tier isolates."""
        for direction in self.policy.directions if self.policy.subject is not None else ():
            if self.policy.mode is Mode.ENFORCE:
                yield Isolation(Lane.ENFORCED, self.policy.tier, direction)
            yield Isolation(Lane.CANDIDATE, self.policy.tier, direction)

    def enter(self, casting: Casting) -> None:
        """Take the casts of everybody it names."""
        if self.policy.subject is not None:
            self.subject = casting.people.cast((SelectorPeer(self.policy.subject),))
            for isolation in self.isolations:
                self.subject.isolations[isolation] = self.subject.isolations.get(isolation, 0) + 1
        for rule in self.rules:
            rule.enter(casting)

    def leave(self, people: People) -> None:
        """Give them back. Its rules know it, so it forgets them: nothing in a cycle is left for the collector."""
        for rule in self.rules:
            rule.leave(people)
        self.rules = []
        if self.subject is not None:
            for isolation in self.isolations:
                self.subject.isolations[isolation] -= 1
                if not self.subject.isolations[isolation]:
                    del self.subject.isolations[isolation]
            people.release(self.subject)


class Casting:
    """Gives rules their casts and patterns, by the same intents: rules name the same peers and services all over.

    They are known by the objects that they are, which the intents hold: to read them takes longer than all else here.
    """

    def __init__(self, people: People, intents: Intents) -> None:
        self.people = people
        self.intents = intents
        self._known: dict[tuple[int, ...], Cast] = {}
        self._patterns: dict[int, tuple[Pattern, ...]] = {}
        """By service."""
        self._unions: dict[tuple[int, ...], tuple[Pattern, ...]] = {}

    def cast(self, peers: tuple[Peer, ...]) -> Cast:
        """Return the cast of whom peers describe, one user more."""
        known = tuple(map(id, peers))
        cast = self._known.get(known)
        if cast is None or not cast.refs:  # none, or given back since
            cast = self._known[known] = self.people.cast(leaves(self.intents, peers))
        else:
            cast.refs += 1
        return cast

    def patterns(self, services: tuple[ServiceMatch, ...]) -> tuple[Pattern, ...]:
        """Return what packets of any of these services look like, each once."""
        known = tuple(map(id, services))
        union = self._unions.get(known)
        if union is None:
            union = self._unions[known] = tuple(dict.fromkeys(self._each(services)))
        return union

    def _each(self, services: tuple[ServiceMatch, ...]) -> list[Pattern]:
        each: list[Pattern] = []
        for service in services:
            found = self._patterns.get(id(service))
            if found is None:
                found = self._patterns[id(service)] = patterns(service)
            each += found
        return each


def leaves(intents: Intents, peers: Iterable[Peer]) -> Iterator[Leaf]:
    """Yield the peers that groups stand for."""
    for peer in peers:
        match peer:
            case GroupPeer(name):
                yield from leaves(intents, intents.groups[name].members)
            case SelectorPeer() | CidrPeer() | EndpointPeer() | WorldPeer():
                yield peer


@lru_cache(maxsize=65536)
def patterns(service: ServiceMatch) -> tuple[Pattern, ...]:
    """Return what packets of a service look like, each once."""
    return tuple(dict.fromkeys([pattern(match_of(terms)) for terms in service_alternatives(service)]))


def pass_flow(spot: Spot, actions: Actions) -> Flow:
    """Return the decision of a pass, now that it is known where it leads."""
    return Flow(spot.decision.key, spot.decision.body._replace(actions=actions))

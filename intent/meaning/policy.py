"""What policy says of a packet that opens a connection: section 4 of the design, read aloud.

An opening has up to two judgements: the egress of the endpoint it leaves and the ingress of the
endpoint it enters; world has none. A judgement asks the tiers in order, a tier asks its bands in
order, a band knows no order: deny beats reject beats allow beats pass. The rest is who (peers),
what (services) and when (expiry, schedule).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias, TypeVar, assert_never

from intent.meaning.places import holder
from intent.meaning.rulings import ByIsolation, ByPosture, ByRules, Decider, Handling, Judgement, Ruling
from intent.model import (
    Action,
    CidrPeer,
    Direction,
    EndpointPeer,
    GroupPeer,
    Intents,
    Mode,
    Operator,
    Peer,
    Policy,
    PortName,
    PortRange,
    Posture,
    Requirement,
    Rule,
    Schedule,
    Selector,
    SelectorPeer,
    ServiceMatch,
    ServiceName,
    Tier,
    Window,
    WorldPeer,
)
from topology.model import Endpoint, Inventory, IPAddress
from topology.packet import Opening

Offsets: TypeAlias = Mapping[str, timedelta]
"""By IANA zone: local time minus UTC at the instant that is asked about."""

NO_ZONES: Offsets = MappingProxyType({})

PRECEDENCE = (Action.DENY, Action.REJECT, Action.ALLOW, Action.PASS)
"""Inside one band, strongest first."""

Part: TypeAlias = Literal["from", "to", "services", "subject", "standing"]
"""What of a rule, or of the policy it stands in, may not fit an opening."""
PARTS: tuple[Part, ...] = ("subject", "from", "to", "services", "standing")

_Trail: TypeAlias = tuple[str, ...]
"""From the rule through the groups or services it names: where we are reading."""

_Named = TypeVar("_Named")


class UnknownName(KeyError):
    """A name that means nothing: nobody defined it, or it is defined by itself."""

    def __init__(self, path: str, name: str, remedy: str) -> None:
        super().__init__(path, name, remedy)
        self.path = path
        self.name = name

    def __str__(self) -> str:
        path, name, remedy = self.args
        return f"{path}: {name} has no meaning; {remedy}"


class _Party(NamedTuple):
    """One end of an opening: the address, and the endpoint of that routing domain which holds it."""

    address: IPAddress
    endpoint: Endpoint | None


class _Scene(NamedTuple):
    """What does not change while one opening is judged."""

    intents: Intents
    in_force: Sequence[Policy]
    opening: Opening
    source: _Party
    destination: _Party


def judge(
    intents: Intents, inventory: Inventory, opening: Opening, *, now: datetime, offsets: Offsets = NO_ZONES
) -> Judgement:
    """Say what the enforced policies of one instant make of an opening.

    Args:
        intents: what people asked for; names in it must resolve.
        inventory: who is plugged in, with which labels and addresses, at that instant.
        opening: the packet that opens the connection.
        now: the instant, with a time zone.
        offsets: offset from UTC at `now` of every zone that a schedule names.

    Raises:
        UnknownName: a tier, group, service, network or zone that was needed has no meaning.
        ValueError: `now` has no zone, or a rule has a direction without a subject or the reverse.
    """
    source, destination = (
        _Party(address, holder(intents, inventory, opening.network, address)) for address in (opening.src, opening.dst)
    )
    scene = _Scene(intents, _in_force(intents, now, offsets), opening, source, destination)
    return Judgement(
        egress=_ruling(scene, Direction.EGRESS, source.endpoint),
        ingress=_ruling(scene, Direction.INGRESS, destination.endpoint),
    )


def candidate_set(intents: Intents) -> Intents:
    """Return the intents as they would be were every policy in `observe` enforced."""
    policies = {
        name: dataclasses.replace(policy, mode=Mode.ENFORCE) if policy.mode is Mode.OBSERVE else policy
        for name, policy in intents.policies.items()
    }
    return dataclasses.replace(intents, policies=policies)


def shortfalls(
    intents: Intents, inventory: Inventory, opening: Opening, *, now: datetime, offsets: Offsets
) -> Iterator[tuple[Policy, Rule, list[Part]]]:
    """Yield each rule that allows something, with what of it does not fit the opening.

    That is any of `from`, `to`, `services`, `subject`, and `standing`: its policy decides nothing at that instant.
    Arguments and errors are those of `judge`.
    """
    ends = [_Party(a, holder(intents, inventory, opening.network, a)) for a in (opening.src, opening.dst)]
    scene = _Scene(intents, (), opening, *ends)
    for policy in intents.policies.values():
        stands = _is_in_force(policy, now, offsets)
        for rule in policy.rules:
            if rule.action is Action.ALLOW:
                fitting = {**_fitting(scene, policy, rule), "standing": stands}
                yield policy, rule, [part for part in PARTS if not fitting[part]]


def _fitting(scene: _Scene, policy: Policy, rule: Rule) -> dict[Part, bool]:
    """Say of each thing that a rule asks whether it fits."""
    judged = (scene.source if rule.direction is Direction.EGRESS else scene.destination).endpoint
    at = f"policies/{policy.name}.rules/{rule.name}"
    return {
        "subject": policy.subject is None or (judged is not None and selects(policy.subject, judged.labels)),
        "from": _any_peer(scene.intents, rule.from_, scene.source, f"{at}.from"),
        "to": _any_peer(scene.intents, rule.to, scene.destination, f"{at}.to"),
        "services": _any_service(scene, rule, at),
    }


# -- order: tiers, bands, isolation, posture ------------------------------------------------------


def _ruling(scene: _Scene, direction: Direction, judged: Endpoint | None) -> Ruling | None:
    """Tier after tier until one decides; then the posture of the judged endpoint's own network."""
    if judged is None:
        return None
    for tier in scene.intents.tiers:
        ruling = _ruling_of_tier(scene, direction, judged, tier)
        if ruling is not None:
            return ruling
    network = _named(scene.intents.networks, judged.network, (f"endpoints/{judged.name}.network",))
    action = Action.ALLOW if network.posture is Posture.ALLOW else Action.DENY
    return Ruling(action, ByPosture(network.name))


def _ruling_of_tier(scene: _Scene, direction: Direction, judged: Endpoint, tier: Tier) -> Ruling | None:
    """Return the ruling of the first band with a match; None leaves it to the next tier."""
    policies = [policy for policy in scene.in_force if policy.tier == tier.name]
    for order in sorted({policy.order for policy in policies}):
        matches = _matches(scene, direction, judged, [p for p in policies if p.order == order])
        for action in PRECEDENCE:
            if action in matches:
                deciders = frozenset(matches[action])
                decided = Ruling(action, ByRules(tier.name, order, deciders), _wanted(scene, deciders))
                return None if action is Action.PASS else decided
    return _isolation(direction, judged, tier, policies) if tier.isolating else None


def _wanted(scene: _Scene, deciders: frozenset[Decider]) -> frozenset[Handling]:
    """Return what each decider wants of what it allows; no other rule names a queue or a mirror."""
    policies = scene.intents.policies
    rules = (r for d in deciders for r in policies[d.policy].rules if r.name == d.rule)
    return frozenset(Handling(rule.queue, rule.mirror) for rule in rules)


def _matches(
    scene: _Scene, direction: Direction, judged: Endpoint, band: Sequence[Policy]
) -> dict[Action, set[Decider]]:
    """Return the matching rules of a band by action."""
    matches: dict[Action, set[Decider]] = {}
    for policy in band:
        for rule in policy.rules:
            if _speaks_of(policy, rule, direction, judged) and _describes_opening(scene, policy, rule):
                matches.setdefault(rule.action, set()).add(Decider(policy.name, rule.name))
    return matches


def _speaks_of(policy: Policy, rule: Rule, direction: Direction, judged: Endpoint) -> bool:
    """Say whether a rule is part of this judgement: one of two sides is always, of one side if it is the subject."""
    if (policy.subject is None) != (rule.direction is None):
        raise ValueError(
            f"policies/{policy.name}.rules/{rule.name}: rules have a direction exactly when the policy has a subject"
        )
    return policy.subject is None or (rule.direction is direction and selects(policy.subject, judged.labels))


def _isolation(direction: Direction, judged: Endpoint, tier: Tier, policies: Sequence[Policy]) -> Ruling | None:
    """Deny whom a policy of an isolating tier selects in that direction, with or without a rule."""
    isolating = frozenset(
        policy.name
        for policy in policies
        if direction in policy.directions and policy.subject is not None and selects(policy.subject, judged.labels)
    )
    return Ruling(Action.DENY, ByIsolation(tier.name, isolating)) if isolating else None


# -- who and what ---------------------------------------------------------------------------------


def _describes_opening(scene: _Scene, policy: Policy, rule: Rule) -> bool:
    """From, to and services must all fit; one that is left out fits everything."""
    at = f"policies/{policy.name}.rules/{rule.name}"
    return (
        _any_peer(scene.intents, rule.from_, scene.source, f"{at}.from")
        and _any_peer(scene.intents, rule.to, scene.destination, f"{at}.to")
        and _any_service(scene, rule, at)
    )


def _any_service(scene: _Scene, rule: Rule, at: str) -> bool:
    return rule.services is None or any(_serves(scene, s, (f"{at}.services",)) for s in rule.services)


def _any_peer(intents: Intents, peers: Sequence[Peer] | None, party: _Party, at: str) -> bool:
    return peers is None or any(_is(intents, peer, party, (at,)) for peer in peers)


def _is(intents: Intents, peer: Peer, party: _Party, trail: _Trail) -> bool:
    """Say whether a peer describes one end of the opening."""
    match peer:
        case SelectorPeer():
            return party.endpoint is not None and selects(peer.selector, party.endpoint.labels)
        case EndpointPeer():
            return party.endpoint is not None and party.endpoint.name == peer.name
        case WorldPeer():
            return party.endpoint is None
        case CidrPeer():
            return party.address in peer.cidr and not any(party.address in hole for hole in peer.exceptions)
        case GroupPeer():
            group, trail = _follow(intents.groups, "groups", peer.name, trail)
            return any(_is(intents, member, party, trail) for member in group.members)
        case _:
            assert_never(peer)


def selects(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Say whether all requirements hold; a selector without any selects every endpoint."""
    return all(_holds(requirement, labels) for requirement in selector.requirements)


def _holds(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case Operator.IN:
            return value in requirement.values
        case Operator.NOT_IN:
            return value not in requirement.values
        case Operator.EXISTS:
            return value is not None
        case Operator.DOES_NOT_EXIST:
            return value is None
        case _:
            assert_never(requirement.operator)


def _serves(scene: _Scene, service: ServiceMatch | ServiceName, trail: _Trail) -> bool:
    """Say whether the opening is one that a service describes."""
    if isinstance(service, ServiceName):
        named, trail = _follow(scene.intents.services, "services", service.name, trail)
        return any(_serves(scene, match, trail) for match in named.matches)
    return (
        service.protocol in {None, scene.opening.protocol}
        and _port_fits(service.port, scene.opening, scene.destination.endpoint)
        and service.icmp_type in {None, scene.opening.icmp_type}
        and service.icmp_code in {None, scene.opening.icmp_code}
    )


def _port_fits(port: PortRange | PortName | None, opening: Opening, server: Endpoint | None) -> bool:
    """Compare the destination port; a name means what the endpoint at the destination says."""
    match port:
        case None:
            return True
        case PortRange():
            return opening.dport is not None and port.first <= opening.dport <= port.last
        case PortName():
            here = () if server is None else server.ports
            wanted = (port.name, opening.protocol, opening.dport)
            return any((p.name, p.protocol, p.number) == wanted for p in here)
        case _:
            assert_never(port)


# -- when -----------------------------------------------------------------------------------------


def _in_force(intents: Intents, now: datetime, offsets: Offsets) -> list[Policy]:
    """Return the policies that are enforced, unexpired and inside their schedule."""
    if now.utcoffset() is None:
        raise ValueError("`now` needs a time zone: pass an aware datetime")
    tiers = {tier.name: tier for tier in intents.tiers}
    for policy in intents.policies.values():
        _named(tiers, policy.tier, (f"policies/{policy.name}.tier",))
    return [p for p in intents.policies.values() if _is_in_force(p, now, offsets)]


def _is_in_force(policy: Policy, now: datetime, offsets: Offsets) -> bool:
    if policy.mode is not Mode.ENFORCE or (policy.expires is not None and now >= policy.expires):
        return False
    return policy.schedule is None or _is_open(policy.schedule, policy.name, now, offsets)


def _is_open(schedule: Schedule, policy: str, now: datetime, offsets: Offsets) -> bool:
    """Ask the local clock: so a time that is skipped is never seen, one that is repeated counts twice."""
    offset = _named(offsets, schedule.zone, (f"policies/{policy}.schedule.zone",))
    local = now.astimezone(UTC) + offset
    return any(_is_inside(window, local) for window in schedule.windows)


def _is_inside(window: Window, local: datetime) -> bool:
    """Half-open; a window whose end is not after its start ends on the next day."""
    minute = local.hour * 60 + local.minute
    today, yesterday = local.weekday() in window.days, (local.weekday() - 1) % 7 in window.days
    if window.start_minute < window.end_minute:
        return today and window.start_minute <= minute < window.end_minute
    return (today and window.start_minute <= minute) or (yesterday and minute < window.end_minute)


# -- names ----------------------------------------------------------------------------------------


def _named(things: Mapping[str, _Named], name: str, trail: _Trail) -> _Named:
    """Look a name up; one that nobody defined is an error at the place that uses it."""
    if name not in things:
        raise UnknownName(trail[-1], name, f"define it or name one of: {', '.join(sorted(things)[:16]) or 'none'}")
    return things[name]


def _follow(things: Mapping[str, _Named], kind: str, name: str, trail: _Trail) -> tuple[_Named, _Trail]:
    """Look up a name inside a definition; one that leads back to itself defines nothing."""
    thing, place = _named(things, name, trail), f"{kind}/{name}"
    if place in trail:
        raise UnknownName(trail[-1], name, "break the cycle: it is part of its own definition")
    return thing, (*trail, place)

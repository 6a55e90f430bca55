"""Histories of cases: sequences of worlds that drift towards other random worlds, one thing at a time or in leaps."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from intent.model import GroupPeer, Intents, Peer, Policy, ServiceMatch, ServiceName
from tests.property.cases import DPID, OTHER_DPID, Case, Features, change_case, make_case
from tests.property.choice import Choice
from topology.model import Endpoint, Inventory, UnaddressedPort


def make_history(choice: Choice, features: Features, steps: int) -> list[Case]:
    """Return a case and what becomes of it; each step keeps all names resolvable and the inventory's invariant."""
    targets = [make_case(choice, features) for _ in range(3)]
    history = [targets[0]]
    while len(history) <= steps:
        history.append(step_of(choice, history[-1], choice.pick(targets)))
    return history


def step_of(choice: Choice, case: Case, target: Case) -> Case:
    """Return what becomes of a case that drifts towards another."""
    kinds = (*_STEPS, "endpoint", "policy", "change", "leap")
    kind = choice.pick(kinds)
    if kind == "leap":
        return target
    return change_case(choice, case) if kind == "change" else _STEPS[kind](choice, case, target)


def _edit(case: Case, **parts: object) -> Case:
    return dataclasses.replace(case, intents=dataclasses.replace(case.intents, **parts))


def _with_endpoint(choice: Choice, case: Case, target: Case) -> Case:
    """Let an endpoint of the target in, wherever it is free; those it collides with leave."""
    if not target.inventory.endpoints:
        return case
    new = target.inventory.endpoints[choice.pick(tuple(target.inventory.endpoints))]
    kept = {n: e for n, e in case.inventory.endpoints.items() if n != new.name and not _collide(e, new)}
    unaddressed = tuple(p for p in case.inventory.unaddressed if p.name != new.name and not _collide(p, new))
    networks = {new.network: target.intents.networks[new.network], **case.intents.networks}
    case = _edit(case, networks=networks)
    return dataclasses.replace(case, inventory=_inventory(case, {**kept, new.name: new}, unaddressed))


def _collide(one: object, other: Endpoint) -> bool:
    place = one.location
    if (place.dpid, place.ofport) == (other.location.dpid, other.location.ofport):
        return True
    if one.network != other.network:
        return False
    return one.mac == other.mac or bool(set(getattr(one, "addresses", ())) & set(other.addresses))


def _with_unaddressed(choice: Choice, case: Case, target: Case) -> Case:
    endpoints, ports = case.inventory.endpoints, target.inventory.unaddressed
    fine = tuple(p for p in ports if p.network in case.intents.networks
                 and not any(p.name == e.name or _collide(p, e) for e in endpoints.values()))  # fmt: skip
    kept = tuple(p for p in fine if choice.chance(60))
    return dataclasses.replace(case, inventory=_inventory(case, endpoints, kept))


def _with_tunnels(choice: Choice, case: Case, target: Case) -> Case:
    """Take over one tunnel end, or its absence."""
    dpid = choice.pick((DPID, OTHER_DPID))
    ends = {d: (target if d == dpid else case).inventory.tunnels.get(d) for d in (DPID, OTHER_DPID)}
    tunnels = {d: end for d, end in ends.items() if end is not None}
    return dataclasses.replace(case, inventory=dataclasses.replace(case.inventory, tunnels=tunnels))


def _inventory(case: Case, endpoints: Mapping[str, Endpoint], unaddressed: tuple[UnaddressedPort, ...]) -> Inventory:
    return dataclasses.replace(case.inventory, endpoints=endpoints, unaddressed=unaddressed)


def _with_policy(choice: Choice, case: Case, target: Case) -> Case:
    """Take a policy over, under its own name or another's, with what it names."""
    tiers = {tier.name for tier in case.intents.tiers}
    fitting = [p for p in target.intents.policies.values() if p.tier in tiers]
    if not fitting:
        return case
    name = choice.pick(tuple({**case.intents.policies, **target.intents.policies}))
    policy = dataclasses.replace(choice.pick(fitting), name=name)
    groups, services = _named(policy, target.intents)
    return _edit(
        case,
        policies={**case.intents.policies, name: policy},
        groups={**{g: target.intents.groups[g] for g in groups}, **case.intents.groups},
        services={**{s: target.intents.services[s] for s in services}, **case.intents.services},
    )


def _with_mode(choice: Choice, case: Case, target: Case) -> Case:
    policies = dict(case.intents.policies)
    if not policies or not target.intents.policies:
        return case
    name = choice.pick(tuple(policies))
    other = target.intents.policies[choice.pick(tuple(target.intents.policies))]
    news = {"mode": other.mode, "order": other.order, "expires": other.expires}
    policies[name] = dataclasses.replace(policies[name], **news)
    return _edit(case, policies=policies)


def _with_definition(choice: Choice, case: Case, target: Case) -> Case:
    """Give a group, service or network the meaning that it has in the target."""
    kind = choice.pick(("groups", "services", "networks", "queues"))
    here, there = getattr(case.intents, kind), getattr(target.intents, kind)
    if not there:
        return case
    name = choice.pick(tuple(there))
    needed = {} if kind == "networks" else there
    return _edit(case, **{kind: {**needed, **here, name: there[name]}})


def _with_ways(choice: Choice, case: Case, target: Case) -> Case:
    """Take over the routers of the target, its uplinks, or both."""
    if choice.chance(70):
        case = _edit(case, routers=target.intents.routers)
    if choice.chance(50):
        case = dataclasses.replace(
            case, inventory=dataclasses.replace(case.inventory, uplinks=target.inventory.uplinks)
        )
    if choice.chance(50):
        case = dataclasses.replace(
            case, inventory=dataclasses.replace(case.inventory, mirrors=target.inventory.mirrors)
        )
    return case


_STEPS = {
    "ways": _with_ways,
    "endpoint": _with_endpoint,
    "unaddressed": _with_unaddressed,
    "tunnels": _with_tunnels,
    "policy": _with_policy,
    "mode": _with_mode,
    "definition": _with_definition,
}


def _named(policy: Policy, intents: Intents) -> tuple[set[str], set[str]]:
    """Return the groups and services behind a policy's names."""
    groups: set[str] = set()
    services: set[str] = set()
    peers: list[Peer] = [p for r in policy.rules for p in (*(r.from_ or ()), *(r.to or ()))]
    while peers:
        peer = peers.pop()
        if isinstance(peer, GroupPeer) and peer.name not in groups:
            groups.add(peer.name)
            peers += intents.groups[peer.name].members
    matches: list[ServiceMatch | ServiceName] = [s for r in policy.rules for s in r.services or ()]
    while matches:
        match = matches.pop()
        if isinstance(match, ServiceName) and match.name not in services:
            services.add(match.name)
            matches += intents.services[match.name].matches
    return groups, services


def expansions(history: list[Case]) -> Iterator[tuple[str, list[Case]]]:
    """Yield a history in all the ways in which it may reach the controller."""
    yield "as it is", history
    yield "reversed", history[::-1]
    yield "there and back", [*history, *history[-2::-1]]
    yield "squashed", [history[0], history[-1]]
    yield "duplicated", [case for case in history for _ in range(2)]
    yield "every other", history[::2]
    empty = dataclasses.replace(history[0], intents=Intents(), inventory=Inventory())
    yield "with empties", [each for case in history for each in (case, empty)]

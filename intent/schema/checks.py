"""What only all documents together can show: names that nothing bears, cycles, addresses given twice."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TypeVar, cast

from intent.model import DEFAULT_TIERS, Intents, Tier
from intent.schema import convert
from intent.schema.documents import (
    Document,
    EndpointDoc,
    GroupDoc,
    NetworkDoc,
    PeerDoc,
    PolicyDoc,
    RouterDoc,
    ServiceDoc,
    ServiceReference,
    TiersDoc,
    UplinkDoc,
)
from intent.schema.dump import AnyRule
from intent.schema.handling import MAX_QUEUES, MirrorDoc, QueueDoc
from intent.schema.holding import shared_things
from intent.schema.problems import MAX_PROBLEMS, DocumentError, Place, Problem, did_you_mean, echo
from intent.schema.references import reference_problems
from intent.schema.routing import Plan, routing_problems
from intent.schema.scalars import parse_address, parse_block
from topology.frozen import frozen

D = TypeVar("D", bound=Document)
_RULE_LISTS = ("rules", "ingress", "egress")


def to_intents(documents: Iterable[Document]) -> Intents:
    """Return what the documents mean together, at revision 0.

    Raises:
        DocumentError: with every problem of every document.
    """
    site = _Site(documents)
    problems = list(itertools.islice(site.problems(), MAX_PROBLEMS))
    if problems:
        raise DocumentError(problems)
    return Intents(
        networks={name: doc.meaning(convert.network) for name, doc in site.networks.items()},
        groups={name: doc.meaning(convert.group) for name, doc in site.groups.items()},
        services={name: doc.meaning(convert.service) for name, doc in site.services.items()},
        policies={name: doc.meaning(convert.policy) for name, doc in site.policies.items()},
        endpoints={name: doc.meaning(convert.endpoint) for name, doc in site.endpoints.items()},
        tiers=site.tiers,
        routers={name: doc.meaning(convert.router) for name, doc in site.routers.items()},
        uplinks={name: doc.meaning(convert.uplink) for name, doc in site.uplinks.items()},
        queues={name: doc.meaning(convert.queue) for name, doc in site.queues.items()},
        mirrors={name: doc.meaning(convert.mirror) for name, doc in site.mirrors.items()},
    )


def after_policies(before: Intents, put: Sequence[PolicyDoc], gone: Iterable[str]) -> Intents:
    """Return what `to_intents` would say of all documents after only policies changed: nothing refers to a policy.

    The cost follows the change; the policies are then a `FrozenMap`, which shares what did not change.

    Raises:
        DocumentError: with every problem of the policies that are put.
    """
    site = _Site(put)
    site.known_groups, site.known_services, site.tiers = before.groups, before.services, before.tiers
    site.known_handling = {"queue": before.queues, "mirror": before.mirrors}
    problems = list(itertools.islice((p for doc in put for p in site.problems_of(doc)), MAX_PROBLEMS))
    if problems:
        raise DocumentError(problems)
    policies = frozen(before.policies).but({doc.name: doc.meaning(convert.policy) for doc in put}, gone)
    return dataclasses.replace(before, policies=policies)


def after_endpoints(
    before: Intents, put: Sequence[EndpointDoc], gone: Iterable[str], around: Iterable[Document]
) -> Intents | None:
    """Return what `to_intents` would say of all documents after only endpoints changed: nothing refers to one.

    The cost follows the change; the endpoints are then a `FrozenMap`, which shares what did not change.

    Args:
        before: the meaning of all documents as they are.
        put: the endpoints that came or changed. They share nothing with others, says `Holders.fit`.
        gone: names of those that went.
        around: the networks, routers and uplinks.

    Returns:
        None where something is wrong; what it is, `to_intents` says.
    """
    site = _Site((*around, *put))
    plan = Plan(site.networks, site.routers, site.uplinks, site.endpoints)
    problems = itertools.chain(*map(site.problems_of, put), routing_problems(plan))
    if next(problems, None) is not None:
        return None
    endpoints = frozen(before.endpoints).but({doc.name: doc.meaning(convert.endpoint) for doc in put}, gone)
    return dataclasses.replace(before, endpoints=endpoints)


class _Site:
    """All documents, by kind and name."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self.documents = list(documents)
        self._kinds: dict[type, list[Document]] = {}
        for document in self.documents:
            self._kinds.setdefault(type(document), []).append(document)
        self.networks = self._named(NetworkDoc)
        self.groups = self._named(GroupDoc)
        self.services = self._named(ServiceDoc)
        self.policies = self._named(PolicyDoc)
        self.endpoints = self._named(EndpointDoc)
        self.routers = self._named(RouterDoc)
        self.uplinks = self._named(UplinkDoc)
        self.queues = self._named(QueueDoc)
        self.mirrors = self._named(MirrorDoc)
        self.known_handling: dict[str, Collection[str]] = {"queue": self.queues, "mirror": self.mirrors}
        listed = self._named(TiersDoc).get("default")
        self.known_groups: Collection[str] = self.groups
        """Names that may be referred to."""
        self.known_services: Collection[str] = self.services
        self.tiers: tuple[Tier, ...] = DEFAULT_TIERS if listed is None else convert.tiers(listed)

    @functools.cached_property
    def _tier_names(self) -> frozenset[str]:
        return frozenset(tier.name for tier in self.tiers)

    def _named(self, kind: type[D]) -> dict[str, D]:
        return {doc.name: doc for doc in cast("list[D]", self._kinds.get(kind, []))}

    def problems(self) -> Iterator[Problem]:
        yield from _duplicates(self.documents)
        for doc in self.documents:
            yield from self.problems_of(doc)
        yield from reference_problems(self.groups, self.services)
        yield from shared_things((*self.uplinks.values(), *self.mirrors.values(), *self.endpoints.values()))
        for doc in list(self.queues.values())[MAX_QUEUES:]:
            yield doc.problem((), f"it is beyond the {MAX_QUEUES} queues that there may be", "let rules share queues")
        yield from routing_problems(Plan(self.networks, self.routers, self.uplinks, self.endpoints))

    def problems_of(self, doc: Document) -> Iterator[Problem]:
        """Yield what is wrong with one document, given the others."""
        if isinstance(doc, EndpointDoc):
            yield from self._endpoint(doc)
        elif isinstance(doc, PolicyDoc):
            yield from self._policy(doc)
        elif isinstance(doc, GroupDoc):
            yield from self._peers(doc, ("members",), doc.members)
        elif isinstance(doc, ServiceDoc):
            yield from self._services(doc, ("matches",), doc.matches)
        elif isinstance(doc, TiersDoc):
            for index, name in _repeated([tier.name for tier in doc.tiers]):
                yield doc.problem(("tiers", index, "name"), f"the tier `{name}` is listed twice", "keep one")

    # -- references ---------------------------------------------------------------------------

    def _policy(self, doc: PolicyDoc) -> Iterator[Problem]:
        if doc.tier not in self._tier_names:
            names = [tier.name for tier in self.tiers]
            remedy = did_you_mean(doc.tier, names, f"the tiers are {', '.join(names)}")
            yield doc.problem(("tier",), f"there is no tier `{doc.tier}`", remedy)
        elif not (doc.rules or doc.ingress or doc.egress or self._isolates(doc)):
            message = f"the policy has no rules and the tier `{doc.tier}` does not isolate: it would do nothing"
            yield doc.problem((), message, "add `ingress` or `egress`, or choose an isolating tier")
        for field in _RULE_LISTS:
            for index, rule in enumerate(getattr(doc, field) or ()):
                yield from self._rule(doc, rule, (field, index))
        yield from _repeated_rules(doc)

    def _rule(self, doc: PolicyDoc, rule: AnyRule, place: Place) -> Iterator[Problem]:
        for end in ("from_", "to"):
            if peers := getattr(rule, end, None):
                yield from self._peers(doc, (*place, end.rstrip("_")), peers)
        if rule.services:
            yield from self._services(doc, (*place, "services"), rule.services)
        for what, known in self.known_handling.items():
            if (name := getattr(rule, what)) is not None and name not in known:
                yield _unknown(doc, (*place, what), what, name, known)

    def _isolates(self, doc: PolicyDoc) -> bool:
        return any(tier.isolating for tier in self.tiers if tier.name == doc.tier)

    def _peers(self, doc: Document, place: Place, peers: Sequence[PeerDoc]) -> Iterator[Problem]:
        for index, peer in enumerate(peers):
            if peer.group is not None and peer.group not in self.known_groups:
                yield _unknown(doc, (*place, index, "group"), "group", peer.group, self.known_groups)
            elif peer.except_ is not None:
                yield from _outside_block(doc, (*place, index), peer)

    def _services(self, doc: Document, place: Place, items: Sequence[str | ServiceReference]) -> Iterator[Problem]:
        for index, item in enumerate(items):
            if not isinstance(item, str) and item.service not in self.known_services:
                yield _unknown(doc, (*place, index, "service"), "service", item.service, self.known_services)

    # -- endpoints ----------------------------------------------------------------------------

    def _endpoint(self, doc: EndpointDoc) -> Iterator[Problem]:
        if doc.network is None:
            return
        network = self.networks.get(doc.network)
        if network is None:
            yield _unknown(doc, ("network",), "network", doc.network, self.networks)
        elif network.subnets is not None:
            subnets = [parse_block(text) for text in network.subnets]
            for index, text in enumerate(doc.addresses or ()):
                if not any(parse_address(text) in subnet for subnet in subnets):
                    message = f"{text} lies in no subnet of the network `{network.name}`"
                    remedy = f"choose one in {', '.join(network.subnets)}, or add its subnet to the network"
                    yield doc.problem(("addresses", index), message, remedy)


def _unknown(doc: Document, place: Place, what: str, name: str, known: Iterable[str]) -> Problem:
    if not doc.is_read:  # a stored document: it is not that one which is wrong, but the change
        message = f"it names the {what} {echo(name)}, which there would not be"
        return doc.problem(place, message, "change or delete this document as well, in the same revision or before")
    remedy = did_you_mean(name, known, f"declare it, in the same apply or before: `kind: {what.capitalize()}`")
    return doc.problem(place, f"there is no {what} {echo(name)}", remedy)


def _outside_block(doc: Document, place: Place, peer: PeerDoc) -> Iterator[Problem]:
    for index, text in enumerate(peer.except_ or ()):
        block, inside = parse_block(peer.cidr or text), parse_block(text)
        if block.version != inside.version or not inside.subnet_of(block):  # type: ignore[arg-type]  # same version
            yield doc.problem((*place, "except", index), f"{text} is not inside {block}", "leave it out")


def _repeated(names: Iterable[str]) -> Iterator[tuple[int, str]]:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            yield index, name
        seen.add(name)


def _repeated_rules(doc: PolicyDoc) -> Iterator[Problem]:
    named = [
        ((field, index, "name"), rule.name)
        for field in _RULE_LISTS
        for index, rule in enumerate(getattr(doc, field) or ())
        if rule.name is not None
    ]
    if len(named) < 2:  # noqa: PLR2004 - to be the same
        return
    for index, name in _repeated(name for _, name in named):
        yield doc.problem(named[index][0], f"another rule is named `{name}`", "give each rule its own name, or none")


def _duplicates(documents: Iterable[Document]) -> Iterator[Problem]:
    seen: set[tuple[str, str]] = set()
    for doc in documents:
        if (doc.kind, doc.name) in seen:
            yield doc.problem(("name",), f"there are two documents {doc.kind}/{doc.name}", "keep one of them")
        seen.add((doc.kind, doc.name))

"""Documents to the values of `intent.model`. They were validated: nothing here can fail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache

from intent.model import (
    Action,
    Binding,
    CidrPeer,
    Direction,
    EndpointIntent,
    EndpointPeer,
    Group,
    GroupPeer,
    Mirror,
    Mode,
    MulticastGroup,
    Network,
    Operator,
    Peer,
    Policy,
    PortForward,
    Posture,
    Queue,
    Requirement,
    Router,
    Rule,
    Schedule,
    Selector,
    SelectorPeer,
    Service,
    ServiceMatch,
    ServiceName,
    Tier,
    Uplink,
    Window,
    WorldPeer,
    router_mac,
)
from intent.schema.base import BindingDoc
from intent.schema.documents import (
    EndpointDoc,
    ExpressionDoc,
    GroupDoc,
    MulticastDoc,
    NetworkDoc,
    PeerDoc,
    PolicyDoc,
    RouterDoc,
    ScheduleDoc,
    ServiceDoc,
    ServiceReference,
    TiersDoc,
    UplinkDoc,
)
from intent.schema.dump import AnyRule, rule_names
from intent.schema.handling import MirrorDoc, QueueDoc
from intent.schema.scalars import CACHED, parse_address, parse_block
from intent.schema.services import parse_forwarded, parse_match, parse_named_port
from topology.model import NamedPort

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def network(doc: NetworkDoc) -> Network:
    """Return the network a document declares."""
    return Network(
        name=doc.name,
        posture=Posture(doc.posture),
        subnets=tuple(parse_block(text) for text in doc.subnets or ()),
        dhcp_server=doc.dhcp_server,
        learn=frozenset(doc.learn or ()),
        learn_limit=doc.learn_limit,
        gateways=tuple(sorted(map(parse_address, doc.gateways or ()), key=lambda a: a.version)),
        multicast=tuple(_multicast(each) for each in doc.multicast or ()),
    )


def _multicast(doc: MulticastDoc) -> MulticastGroup:
    return MulticastGroup(parse_address(doc.group), _selector(doc.members.labels, doc.members.expressions))


def group(doc: GroupDoc) -> Group:
    """Return the group a document declares."""
    return Group(doc.name, tuple(_peer(member) for member in doc.members))


def service(doc: ServiceDoc) -> Service:
    """Return the service a document declares."""
    return Service(doc.name, _matches(doc.matches))


def endpoint(doc: EndpointDoc) -> EndpointIntent:
    """Return the endpoint a document declares."""
    ports = [NamedPort(name, *parse_named_port(text)) for name, text in sorted(doc.ports.items())]
    addresses = None
    if doc.addresses is not None:
        addresses = tuple(map(parse_address, doc.addresses))
        if len(addresses) > 1:
            addresses = tuple(sorted(addresses, key=lambda a: (a.version, int(a))))
    where = _binding(doc.binding)
    return EndpointIntent(doc.name, where, doc.network, dict(doc.labels), doc.mac, addresses, tuple(ports))


def router(doc: RouterDoc) -> Router:
    """Return the router a document declares."""
    return Router(doc.name, doc.networks, doc.mac or router_mac(doc.name), doc.uplink)


def uplink(doc: UplinkDoc) -> Uplink:
    """Return the uplink a document declares."""
    snat = tuple(map(parse_address, doc.snat or ()))
    return Uplink(doc.name, _binding(doc.binding), doc.next_hop, snat, _forwards(doc))


def _forwards(doc: UplinkDoc) -> tuple[PortForward, ...]:
    found = []
    for forward in doc.forwards or ():
        to = forward.to.endpoint if forward.to.address is None else parse_address(forward.to.address)
        held = parse_forwarded(forward.service)
        found.append(PortForward(parse_address(forward.address), *held, to or "", forward.to_port))
    return tuple(found)


def queue(doc: QueueDoc) -> Queue:
    """Return the queue a document declares."""
    return Queue(doc.name, doc.max_rate)


def mirror(doc: MirrorDoc) -> Mirror:
    """Return the mirror a document declares."""
    return Mirror(doc.name, _binding(doc.binding))


def _binding(doc: BindingDoc) -> Binding:
    return Binding(doc.iface_id, doc.bridge, doc.interface)


def tiers(doc: TiersDoc) -> tuple[Tier, ...]:
    """Return the tiers a document lists."""
    return tuple(Tier(tier.name, tier.isolating) for tier in doc.tiers)


def policy(doc: PolicyDoc) -> Policy:
    """Return the policy a document declares."""
    return Policy(
        name=doc.name,
        tier=doc.tier,
        order=doc.order,
        rules=_rules(doc),
        mode=Mode(doc.mode),
        subject=None if doc.subject is None else _selector(doc.subject.labels, doc.subject.expressions),
        directions=directions(doc),
        owner=doc.owner,
        description=doc.description,
        expires=None if doc.expires is None else datetime.fromisoformat(doc.expires),
        schedule=None if doc.schedule is None else _schedule(doc.schedule),
    )


def directions(doc: PolicyDoc) -> frozenset[Direction]:
    """Return the directions of a one-sided policy: those it says, else those it has rules for."""
    if doc.subject is None:
        return frozenset()
    if doc.directions is not None:
        return frozenset(Direction(text) for text in doc.directions)
    return frozenset(d for d in Direction if getattr(doc, d.value) is not None)


def _rules(doc: PolicyDoc) -> tuple[Rule, ...]:
    given = ((None, doc.rules), (Direction.INGRESS, doc.ingress), (Direction.EGRESS, doc.egress))
    sides: list[tuple[Direction | None, Sequence[AnyRule]]] = [(side, rules) for side, rules in given if rules]
    taken = {rule.name for _, rules in sides for rule in rules if rule.name is not None}
    return tuple(
        _rule(name, rule, side)
        for side, rules in sides
        for name, rule in zip(rule_names(rules, side or "", taken), rules, strict=True)
    )


def _rule(name: str, doc: AnyRule, direction: Direction | None) -> Rule:
    return Rule(
        name=name,
        action=Action(doc.action),
        from_=_peers(getattr(doc, "from_", None)),
        to=_peers(getattr(doc, "to", None)),
        services=None if doc.services is None else _matches(doc.services),
        direction=direction,
        queue=doc.queue,
        mirror=doc.mirror,
    )


def _peers(docs: Sequence[PeerDoc] | None) -> tuple[Peer, ...] | None:
    return None if docs is None else tuple(_peer(doc) for doc in docs)


def _peer(doc: PeerDoc) -> Peer:
    if doc.group is not None:
        return _group_peer(doc.group)
    if doc.cidr is not None:
        return CidrPeer(parse_block(doc.cidr), tuple(parse_block(text) for text in doc.except_ or ()))
    if doc.endpoint is not None:
        return EndpointPeer(doc.endpoint)
    return WorldPeer() if doc.world else SelectorPeer(_selector(doc.labels, doc.expressions))


_group_peer = lru_cache(CACHED)(GroupPeer)
"""Rules name the same groups again and again."""


def _selector(labels: dict[str, str] | None, expressions: Sequence[ExpressionDoc] | None) -> Selector:
    wanted = (Requirement(key, Operator.IN, frozenset({value})) for key, value in sorted((labels or {}).items()))
    further = (Requirement(e.key, Operator(e.operator), frozenset(e.values or ())) for e in expressions or ())
    return Selector((*wanted, *further))


def _matches(items: Iterable[str | ServiceReference]) -> tuple[ServiceMatch | ServiceName, ...]:
    return tuple(ServiceName(i.service) if isinstance(i, ServiceReference) else parse_match(i) for i in items)


def _schedule(doc: ScheduleDoc) -> Schedule:
    windows = (Window(frozenset(map(_DAYS.index, w.days)), _minutes(w.start), _minutes(w.end)) for w in doc.windows)
    return Schedule(doc.zone, tuple(windows))


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])

"""May A open a service to B, and why: from names and words to openings, and from judgements to answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import Literal, NamedTuple

from pydantic_core import PydanticCustomError

from intent.api.nearest import nearest
from intent.api.requests import unprocessable
from intent.api.scene import Scene
from intent.api.verdict_answers import (
    DeciderAnswer,
    HandlingAnswer,
    OpeningAnswer,
    PartyAnswer,
    RulingAnswer,
    VerdictAnswer,
)
from intent.meaning.guards import hearers
from intent.meaning.places import domain_of, holder, router_of
from intent.model import Action, Intents, PortName, ServiceMatch, ServiceName
from intent.schema.problems import did_you_mean, echo
from intent.schema.services import match_text, parse_match
from intent.semantics import (
    ByIsolation,
    ByPosture,
    ByRules,
    Handling,
    Judgement,
    Ruling,
    can_open,
    judge,
)
from topology.model import Endpoint, IPAddress
from topology.packet import ICMP, ICMPV6, SCTP, TCP, UDP, Opening

MAX_OPENINGS = 64
"""Openings one verdict judges: pairs of addresses times matches of the service."""
MAX_NAMED = 8
"""Networks that an error lists."""
_ANY_SPORT = 49152
"""Source port of the openings that are judged; no rule reads it."""
_WITH_PORTS = (TCP, UDP, SCTP)
_ECHO_REQUEST = {ICMP: 8, ICMPV6: 128}
_FAMILY_OF = {ICMP: 4, ICMPV6: 6}

Word = Literal["allow", "deny", "reject", "mixed"]


class Party(NamedTuple):
    """One end: the addresses asked about, and the endpoint that holds them, if one does."""

    addresses: tuple[IPAddress, ...]
    endpoint: Endpoint | None


def verdict(scene: Scene, ends: tuple[str, str], service: str, network: str) -> VerdictAnswer:
    """Judge every opening that `from` and `to` (endpoint names or addresses) and a service mean.

    Raises:
        RequestError: a name, address, network or service that is unknown, ambiguous or no packet.
    """
    source, destination = (
        _party(scene, text, path) for text, path in zip(ends, ("query.from", "query.to"), strict=True)
    )
    matches = matches_of(scene.intents, service)
    require_network(scene.intents, network)
    if _apart(scene.intents, source, destination):
        reason = "the endpoints are in different networks, and no router joins them: nothing passes between them"
        return VerdictAnswer(verdict="deny", reason=reason, revision=scene.intents.revision, openings=[])
    where = _network(scene, source, destination, network)
    if destination.addresses[0].is_multicast:
        return _to_group(scene, where, (source, destination.addresses[0]), matches)
    found = list(_openings(where, source, destination, matches))
    if not found:
        message = "the two have no addresses of one family that the service fits"
        raise unprocessable("query.service", message, "ask for another service, or name addresses")
    return _judged(scene, found)


def _judged(scene: Scene, found: Sequence[tuple[Opening, ServiceMatch]]) -> VerdictAnswer:
    if len(found) > MAX_OPENINGS:
        raise unprocessable("query", f"this means more than {MAX_OPENINGS} packets", "name addresses, or one match")
    openings = [_answer(scene, opening, match) for opening, match in found]
    return VerdictAnswer(
        verdict=_together(o.verdict for o in openings), revision=scene.intents.revision, openings=openings
    )


def _to_group(
    scene: Scene, where: str, ends: tuple[Party, IPAddress], matches: Sequence[ServiceMatch]
) -> VerdictAnswer:
    """Judge what is sent to a multicast group: one opening for each member but the sender."""
    source, address = ends
    network = scene.intents.networks[where]
    group = next((g for g in network.multicast if g.address == address), None)
    datagrams = [match for match in matches if match.protocol == UDP]
    sender = source.endpoint or holder(scene.intents, scene.inventory, where, source.addresses[0])
    members = hearers(network, scene.inventory, group) if group is not None and sender is not None else []
    parties = [Party((own,), member) for member, own in members if member is not sender]
    found = [opening for party in parties for opening in _openings(where, source, party, datagrams, lenient=True)]
    if found:
        return _judged(scene, found)
    reason = f"the network {where} does not list the multicast group {address}" if group is None else ""
    reason = reason or ("nobody else hears the group" if datagrams else "only UDP is copied to the members of a group")
    return VerdictAnswer(verdict="deny", reason=reason, revision=scene.intents.revision, openings=[])


def require_network(intents: Intents, network: str) -> None:
    """Refuse the name of a network that there is not; an empty one asks about all.

    Raises:
        RequestError: 422.
    """
    if network and network not in intents.networks:
        known = ", ".join(sorted(intents.networks)[:MAX_NAMED])
        remedy = did_you_mean(network, intents.networks, f"there are {known}" if known else "declare one")
        raise unprocessable("query.network", f"there is no network {echo(network)}", remedy)


def cell(scene: Scene, source: Endpoint, destination: Endpoint, matches: Sequence[ServiceMatch]) -> str:
    """Return one cell of the matrix: the verdict in a word, over all openings."""
    if source.name == destination.name:
        return "-"
    if destination.network not in domain_of(scene.intents, source.network):
        return "unreachable"
    ends = Party(source.addresses, source), Party(destination.addresses, destination)
    words = {_word(scene, opening)[0] for opening, _ in _openings(source.network, *ends, matches, lenient=True)}
    return _together(iter(words)) if words else "unreachable"


def matches_of(intents: Intents, service: str) -> list[ServiceMatch]:
    """Return the matches that a word or the name of a Service stands for; each means one packet.

    Raises:
        RequestError: unknown, or a match that is a range or every port.
    """
    if service in intents.services:
        found = list(dict.fromkeys(_flat(intents, service)))
    else:
        try:
            found = [parse_match(service)]
        except PydanticCustomError as error:
            context = error.context or {}
            remedy = did_you_mean(service, intents.services, str(context.get("remedy")))
            raise unprocessable("query.service", str(context.get("message")), remedy) from None
    for match in found:
        _require_one_packet(match)
    return found


def _flat(intents: Intents, service: str) -> Iterator[ServiceMatch]:
    """Follow names; the schema refused cycles."""
    for match in intents.services[service].matches:
        if isinstance(match, ServiceName):
            yield from _flat(intents, match.name)
        else:
            yield match


def _require_one_packet(match: ServiceMatch) -> None:
    one_port = match.port is None or isinstance(match.port, PortName) or match.port.first == match.port.last
    if match.protocol is None or not one_port or (match.protocol in _WITH_PORTS and match.port is None):
        message = f"`{match_text(match)}` is many packets, and the verdict is about one"
        raise unprocessable("query.service", message, "name a protocol and one port, as in `tcp/80`")


# -- ends -------------------------------------------------------------------------------------


def _party(scene: Scene, text: str, path: str) -> Party:
    endpoint = scene.inventory.endpoints.get(text)
    if endpoint is not None:
        return Party(endpoint.addresses, endpoint)
    try:
        return Party((ip_address(text),), None)
    except ValueError:
        otherwise = "`ringfence endpoints`, or GET /v1/live/endpoints, shows who is"
        remedy = did_you_mean(text, scene.inventory.endpoints, otherwise)
        raise unprocessable(path, f"{echo(text)} is neither a live endpoint nor an IP address", remedy) from None


def _apart(intents: Intents, source: Party, destination: Party) -> bool:
    one, other = source.endpoint, destination.endpoint
    return one is not None and other is not None and other.network not in domain_of(intents, one.network)


def _network(scene: Scene, source: Party, destination: Party, network: str) -> str:
    """Return the network of the connection: that of an endpoint, the one asked for, or the only one that fits.

    Of two networks of one router either does.
    """
    named = {end.endpoint.network for end in (destination, source) if end.endpoint is not None}
    if named and network not in ("", *named):
        raise unprocessable("query.network", f"the endpoint is in {named.pop()}", "leave `network` out")
    if named:
        return network or min(named)
    asked = {*source.addresses, *destination.addresses}
    held = {e.network for e in scene.inventory.endpoints.values() if asked & set(e.addresses)}
    found = {network} if network else held
    if not found:
        raise unprocessable("query", "neither address is that of a live endpoint: nobody judges", "name an endpoint")
    if len(found) > 1:
        raise unprocessable("query.network", f"the addresses occur in {', '.join(sorted(found))}", "say which network")
    return found.pop()


# -- openings ---------------------------------------------------------------------------------


def _openings(
    network: str, source: Party, destination: Party, matches: Sequence[ServiceMatch], *, lenient: bool = False
) -> Iterator[tuple[Opening, ServiceMatch]]:
    for src in source.addresses:
        for dst in destination.addresses:
            for match in matches if src.version == dst.version else ():
                if _FAMILY_OF.get(match.protocol or 0, src.version) == src.version:
                    for dport in _ports(match, destination.endpoint, lenient=lenient):
                        yield _opening(network, src, dst, match, dport), match


def _ports(match: ServiceMatch, server: Endpoint | None, *, lenient: bool) -> list[int | None]:
    """Return the destination ports of a match; a name may be unknown only where the question is lenient."""
    if not isinstance(match.port, PortName):
        return [None if match.port is None else match.port.first]
    known = () if server is None else server.ports
    ports: list[int | None] = [p.number for p in known if (p.name, p.protocol) == (match.port.name, match.protocol)]
    if not ports and not lenient:
        message = f"the destination has no port named `{match.port.name}`"
        raise unprocessable("query.service", message, "name its number")
    return ports


def _opening(network: str, src: IPAddress, dst: IPAddress, match: ServiceMatch, dport: int | None) -> Opening:
    protocol = match.protocol or 0
    request = _ECHO_REQUEST.get(protocol)
    return Opening(
        network=network,
        src=src,
        dst=dst,
        protocol=protocol,
        sport=_ANY_SPORT if protocol in _WITH_PORTS else None,
        dport=dport,
        icmp_type=request if match.icmp_type is None else match.icmp_type,
        icmp_code=None if request is None else match.icmp_code or 0,
    )


def _word(scene: Scene, opening: Opening) -> tuple[Literal["allow", "deny", "reject"], Judgement | None]:
    if not can_open(opening.protocol, opening.icmp_type, opening.icmp_code):
        return "deny", None
    judgement = judge(scene.intents, scene.inventory, opening, now=scene.now, offsets=scene.offsets)
    return _said(judgement.verdict), judgement


def _said(action: Action) -> Literal["allow", "deny", "reject"]:
    if action is Action.ALLOW:
        return "allow"
    return "reject" if action is Action.REJECT else "deny"


def _together(words: Iterator[Literal["allow", "deny", "reject"]]) -> Word:
    distinct = set(words)
    return distinct.pop() if len(distinct) == 1 else "mixed"


# -- answers ----------------------------------------------------------------------------------


def _answer(scene: Scene, opening: Opening, match: ServiceMatch) -> OpeningAnswer:
    word, judgement = _word(scene, opening)
    if judgement is None:
        reason = "no packet of this kind opens a connection"
    else:
        reason = _no_way(scene, opening) if judgement.deciding else "neither address is that of an endpoint"
    return OpeningAnswer(
        network=opening.network,
        from_=_party_answer(scene, opening.network, opening.src),
        to=_party_answer(scene, opening.network, opening.dst),
        service=match_text(match),
        verdict=word,
        decided_by=_decided_by(judgement),
        egress=None if judgement is None else _ruling(scene.intents, judgement.egress),
        ingress=None if judgement is None else _ruling(scene.intents, judgement.ingress),
        handlings=_handlings(judgement),
        nearest=[] if judgement is None else nearest(scene, opening, judgement),
        reason=reason,
    )


def _handlings(judgement: Judgement | None) -> list[HandlingAnswer]:
    if judgement is None or judgement.verdict is not Action.ALLOW or judgement.handlings == {Handling()}:
        return []
    ordered = sorted(judgement.handlings, key=lambda h: (h.queue or "", h.mirror or ""))
    return [HandlingAnswer(queue=h.queue, mirror=h.mirror) for h in ordered]


def _no_way(scene: Scene, opening: Opening) -> str:
    """Say why no packet gets there whatever policy says, if so."""
    ends = (holder(scene.intents, scene.inventory, opening.network, a) for a in (opening.src, opening.dst))
    router = router_of(scene.intents, opening.network)
    if None not in ends or (router is not None and router.uplink is not None):
        return ""
    return f"by policy; but no router leads network {opening.network} to the world"


def _decided_by(judgement: Judgement | None) -> Literal["egress", "ingress"] | None:
    if judgement is None or judgement.deciding is None:
        return None
    return "egress" if judgement.deciding is judgement.egress else "ingress"


def _party_answer(scene: Scene, network: str, address: IPAddress) -> PartyAnswer:
    held_by = holder(scene.intents, scene.inventory, network, address)
    return PartyAnswer(address=str(address), endpoint=None if held_by is None else held_by.name)


def _ruling(intents: Intents, ruling: Ruling | None) -> RulingAnswer | None:
    if ruling is None:
        return None
    action, because = _said(ruling.action), ruling.because
    match because:
        case ByRules():
            deciders = [_decider(intents, d.policy, d.rule) for d in sorted(because.deciders)]
            return RulingAnswer(action=action, by="rules", tier=because.tier, order=because.order, rules=deciders)
        case ByIsolation():
            by = sorted(because.policies)
            return RulingAnswer(action=action, by="isolation", tier=because.tier, isolated_by=by)
        case ByPosture():
            return RulingAnswer(action=action, by="posture", network=because.network)


def _decider(intents: Intents, policy: str, rule: str) -> DeciderAnswer:
    context = intents.policies[policy]
    said = next(r for r in context.rules if r.name == rule)
    return DeciderAnswer(
        policy=policy,
        rule=rule,
        owner=context.owner,
        description=context.description,
        queue=said.queue,
        mirror=said.mirror,
    )

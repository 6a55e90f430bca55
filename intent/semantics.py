"""What a switch does with one frame, and what policy says of one opening: the meaning of it all.

`judge` is the policy part (section 4 of the design), `evaluate` the whole fate of a frame: first the
guards in the order of the pipeline, then conntrack, then policy. Written from the design and sharing
no code with `intent.compiler`: the compiler is right when it agrees with this.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import NamedTuple

from intent.meaning.guards import Admitted, Audience, Party, Reason, Verdict, admit, drop, hop
from intent.meaning.places import holder, is_inside, is_known, uplinks_of
from intent.meaning.policy import NO_ZONES, Offsets, UnknownName, candidate_set, judge, selects
from intent.meaning.rulings import (
    Because,
    ByIsolation,
    ByPosture,
    ByRules,
    Decider,
    Handling,
    Judgement,
    Ruling,
)
from intent.meaning.translation import covers, outbound
from intent.model import Action, Intents
from topology.model import Inventory, IPAddress, UplinkPort
from topology.packet import (
    ICMP,
    ICMPV6,
    SCTP,
    Connection,
    ConnectionRole,
    Fate,
    Frame,
    Opening,
    Outcome,
    Tracked,
    ends_of,
)

__all__ = [
    "NO_ZONES",
    "OVS_USERSPACE",
    "Admitted",
    "Audience",
    "Because",
    "ByIsolation",
    "ByPosture",
    "ByRules",
    "Capabilities",
    "Decider",
    "Handling",
    "Judgement",
    "Offsets",
    "Reason",
    "Ruling",
    "UnknownName",
    "Verdict",
    "admit",
    "aim",
    "can_open",
    "candidate_set",
    "evaluate",
    "judge",
    "selects",
]

_ICMP_REQUESTS = {ICMP: frozenset({8, 13, 15}), ICMPV6: frozenset({128})}
"""Echo, timestamp, information; echo."""


class Capabilities(NamedTuple):
    """What a switch can do; probed."""

    portless: frozenset[int] = frozenset({SCTP})
    """Protocols whose ports its conntrack does not keep."""


OVS_USERSPACE = Capabilities()
"""Open vSwitch 3.1, userspace datapath."""


def evaluate(  # noqa: PLR0913  everything a fate depends on; the tail is keyword-only
    intents: Intents,
    inventory: Inventory,
    frame: Frame,
    tracked: Tracked | None,
    *,
    now: datetime,
    capabilities: Capabilities = OVS_USERSPACE,
    offsets: Offsets = NO_ZONES,
    arrived: Admitted | None = None,
    kept: Frame | None = None,
) -> Verdict:
    """Say what the frame's switch does with it, and why; or what the one does that it was sent on to.

    Args:
        intents: what people asked for; names in it must resolve.
        inventory: who is plugged in at that instant.
        frame: as it enters the switch.
        tracked: what conntrack in the network's zone says; None only for a frame that `admit` settles, or for many.
        now: as for `judge`.
        capabilities: of the switch.
        offsets: as for `judge`.
        arrived: as the sender's switch aimed it, if the destination's is asked, which judges again; `tracked` is
            then what the conntrack there says.
        kept: the frame with other addresses, if it goes by an uplink that keeps a translation for it.

    Raises:
        UnknownName, ValueError: as `judge`; ValueError too if `tracked` or its connection is missing.
    """
    admitted = arrived or admit(intents, inventory, frame, kept)
    if isinstance(admitted, Verdict):
        return admitted
    if isinstance(admitted, Audience):
        return _copied(intents, inventory, (frame, admitted), now, offsets)
    if tracked is None:
        raise ValueError("conntrack decides here: say what it makes of the frame")
    dpid = frame.dpid if arrived is None else arrived.destination.location.dpid
    if arrived is None:
        admitted = aim(intents, inventory, frame, (admitted, tracked))
    frame = admitted.translated or frame
    opening = _opening(_Scene(intents, inventory, dpid), frame, (admitted, tracked), capabilities)
    if isinstance(opening, Reason):
        return drop(opening)
    judgement = judge(intents, inventory, opening, now=now, offsets=offsets)
    if judgement.verdict is Action.ALLOW:
        return _delivered((admitted, tracked), frame, kept, judgement)
    told = judgement.verdict is Action.REJECT and tracked.role is ConnectionRole.NEW and not _is_unseen(admitted.source)
    return Verdict(Fate(Outcome.DROP), Reason.REJECTED if told else Reason.POLICY, judgement)


def _copied(
    intents: Intents, inventory: Inventory, known: tuple[Frame, Audience], now: datetime, offsets: Offsets
) -> Verdict:
    """Judge what goes to many, for each of them as if it opened a connection to it alone; nothing is remembered."""
    frame, audience = known
    copies, places = {}, set()
    for member, address in audience.members:
        opening = _own_opening(dataclasses.replace(frame, dst=address), audience.network)
        if isinstance(opening, Opening):
            copies[member.name] = judgement = judge(intents, inventory, opening, now=now, offsets=offsets)
            if judgement.verdict is Action.ALLOW:
                places.add(member.location)
    fate = Fate(Outcome.COPY, copies=frozenset(places)) if places else Fate(Outcome.DROP)
    return Verdict(fate, Reason.POLICY, copies=copies)


def aim(intents: Intents, inventory: Inventory, frame: Frame, known: tuple[Admitted, Tracked]) -> Admitted:
    """Return where a frame that was admitted goes: out of the domain, an answer leaves as its connection came.

    So both conntracks that keep a connection see both its directions. So does an ICMP error about one.
    """
    admitted, tracked = known
    connection, taken = tracked.connection, admitted.destination
    if connection is None or admitted.hop is None or not isinstance(taken, UplinkPort):
        return admitted
    ways = {
        ConnectionRole.REPLY: {connection.client_attachment},
        ConnectionRole.RELATED: {connection.client_attachment, connection.server_attachment},
    }.get(tracked.role, set())
    for port in uplinks_of(intents, inventory, admitted.network, frame.dpid):
        if port.attachment in ways:
            return admitted._replace(destination=port, hop=hop(frame, port, admitted.hop.eth_src))
    return admitted


def _delivered(known: tuple[Admitted, Tracked], frame: Frame, kept: Frame | None, judgement: Judgement) -> Verdict:
    """What is allowed leaves, to the world perhaps with other addresses."""
    admitted, tracked = known
    to, ends = admitted.destination, None
    if admitted.translated is not None:
        ends = ends_of(admitted.translated)
    elif isinstance(to, UplinkPort) and covers(to.translation, frame.dst):
        opens = tracked.role is not ConnectionRole.RELATED and _can_open(frame)
        ends = outbound(to.translation, frame, kept, opens=opens)
        if ends is None:
            return Verdict(Fate(Outcome.DROP), Reason.UNTRANSLATED, judgement)
    return Verdict(Fate(Outcome.DELIVER, to.location, admitted.hop, ends=ends), Reason.POLICY, judgement)


def _is_unseen(sender: Party) -> bool:
    """Say whether a sender knows the other end by another address: nobody tells it anything in that one's name."""
    return isinstance(sender, UplinkPort) and bool(sender.translation.addresses)


def can_open(protocol: int, icmp_type: int | None = None, icmp_code: int | None = None) -> bool:
    """Say whether a packet may open a connection; of ICMP only requests (code 0) do, the rest conntrack calls invalid.

    Source: `icmp4_valid_new`, `icmp6_valid_new` and `extract_l4_icmp` of OVS 3.1.
    """
    requests = _ICMP_REQUESTS.get(protocol)
    return requests is None or (icmp_type in requests and not icmp_code)


# -- connections ----------------------------------------------------------------------------------


class _Scene(NamedTuple):
    """What one switch goes by."""

    intents: Intents
    inventory: Inventory
    dpid: int


def _opening(
    scene: _Scene, frame: Frame, known: tuple[Admitted, Tracked], capabilities: Capabilities
) -> Opening | Reason:
    """Return the opening whose judgement is the frame's, or why there is none.

    A packet of the side that opened is an opening in its own right, known or not: the connection
    then belongs to those who are attached now. Any other is judged as the opening it belongs to.
    """
    admitted, tracked = known
    if tracked.role is ConnectionRole.INVALID:
        return Reason.INVALID
    if tracked.role in {ConnectionRole.NEW, ConnectionRole.ORIGINAL}:
        return _own_opening(frame, admitted.network)
    if tracked.connection is None:
        raise ValueError(f"a {tracked.role.value} packet belongs to a connection: say which")
    if not _still_attached(scene, admitted, tracked.role, tracked.connection):
        return Reason.CHANGED_HANDS
    opening = tracked.connection.opening
    if opening.protocol not in capabilities.portless:
        return opening
    if tracked.role is ConnectionRole.RELATED:
        return Reason.PORTS_UNKNOWN
    # Conntrack knows only that it is a reply: the ports are the packet's own, swapped.
    return dataclasses.replace(opening, sport=frame.dport, dport=frame.sport)


def _own_opening(frame: Frame, network: str) -> Opening | Reason:
    # Guards have let through only frames with addresses; without a protocol there is no connection.
    if frame.src is None or frame.dst is None or frame.protocol is None:
        return Reason.INVALID
    if not _can_open(frame):
        return Reason.INVALID
    return Opening(
        network=network,
        src=frame.src,
        dst=frame.dst,
        protocol=frame.protocol,
        sport=frame.sport,
        dport=frame.dport,
        icmp_type=frame.icmp_type,
        icmp_code=frame.icmp_code,
    )


def _can_open(frame: Frame) -> bool:
    return frame.protocol is not None and can_open(frame.protocol, frame.icmp_type, frame.icmp_code)


def _still_attached(scene: _Scene, admitted: Admitted, role: ConnectionRole, connection: Connection) -> bool:
    """Say whether both ends are still the attachments that the connection belongs to."""
    belongs = (connection.client_attachment, connection.server_attachment)
    if role is ConnectionRole.REPLY:
        return (admitted.destination.attachment, admitted.source.attachment) == belongs
    ends = (connection.opening.src, connection.opening.dst)
    return all(one in _attachments(scene, admitted.network, a) for a, one in zip(ends, belongs, strict=True))


def _attachments(scene: _Scene, network: str, address: IPAddress) -> set[str | None]:
    """Return the attachments that an address may be behind now: an endpoint's, or of the world the uplinks'."""
    intents, inventory, dpid = scene
    endpoint = holder(intents, inventory, network, address)
    if endpoint is not None:
        return {endpoint.attachment} if is_known(intents, inventory, endpoint, dpid) else set()
    if is_inside(intents, network, address):
        return {None}
    ports = (p for p in uplinks_of(intents, inventory, network, dpid) if address not in p.translation.addresses)
    return {port.attachment for port in ports} or {None}

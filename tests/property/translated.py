"""Uplinks that translate addresses in random cases, and a switch in the mind that knows what they keep."""

from __future__ import annotations

import dataclasses
from ipaddress import ip_address

from intent.compiler import fields as f
from intent.compiler.conntrack import Conntrack, Moved, opening_of
from intent.compiler.flow import Nat, Side
from intent.compiler.interpreter import Result
from intent.compiler.routing import uplink_key
from intent.meaning.guards import Party
from intent.meaning.places import router_of, routers_behind
from intent.semantics import Admitted, Reason, Verdict, admit, evaluate
from tests.property.cases import NOW, OFFSETS, Case
from tests.property.choice import Choice
from tests.property.routed import NEXT_HOP, WORLD
from tests.property.routed_frames import routed_errors
from tests.property.transports import PORTS, SOURCE_PORTS
from tests.property.world import Switch, judged_as
from topology.model import NO_TRANSLATION, Forward, IPAddress, Translation, UplinkPort
from topology.packet import ETH_IPV4, ETH_IPV6, ICMP, ICMPV6, TCP, UDP, Ends, Fate, Frame, Opening, Outcome, ends_of

SHOWN: dict[int, tuple[IPAddress, ...]] = {
    4: (ip_address("203.0.113.1"), ip_address("203.0.113.2")),
    6: (ip_address("2001:db8:f::1"), ip_address("2001:db8:f::2")),
}
"""Addresses that uplinks show instead of those of endpoints."""


def translating(choice: Choice, case: Case) -> Case:
    """Return the case with uplinks that translate, where one router has them."""
    ports = tuple(
        dataclasses.replace(port, translation=_translation(choice, case, port)) for port in case.inventory.uplinks
    )
    return dataclasses.replace(case, inventory=dataclasses.replace(case.inventory, uplinks=ports))


def _translation(choice: Choice, case: Case, port: UplinkPort) -> Translation:
    if len(routers_behind(case.intents, port)) != 1 or choice.chance(10):
        return NO_TRANSLATION
    sources = tuple(choice.pick(SHOWN[version]) for version in (4, 6) if choice.chance(70))
    targets = [a for e in case.inventory.endpoints.values() for a in e.addresses]
    forwards: list[Forward] = []
    for _ in range(choice.pick((0, 1, 2, 4)) if targets else 0):
        made = _forward(choice, choice.pick(targets))
        if not any(made.address == other.address and made.protocol == other.protocol for other in forwards):
            forwards.append(made)
    return Translation(sources, tuple(forwards))


def _forward(choice: Choice, to: IPAddress) -> Forward:
    first, last = choice.pick(((80, 80), (443, 443), (79, 81), (1, 65535), (1023, 8080)))
    port = choice.pick((None, 80, 81)) if first == last else None
    return Forward(choice.pick(SHOWN[to.version]), choice.pick((TCP, UDP)), first, last, to, port)


def make_translated(choice: Choice, case: Case) -> Frame | None:
    """Return a frame to the world, or from it to an address that an uplink shows; None if there is no way."""
    ports = [port for port in case.inventory.uplinks if port.location.dpid == case.dpid]
    ways = [(port, router) for port in ports for router in routers_behind(case.intents, port)]
    if not ways:
        return None
    port, router = choice.pick(ways)
    here = [e for e in case.inventory.on_switch(case.dpid) if e.network in router.networks]
    if here and choice.chance(50):
        sender = choice.pick(here)
        src = choice.pick(sender.addresses)
        way = sender.location.ofport, sender.mac, router.mac
        goals = (*WORLD, *WORLD, *SHOWN[src.version])
        dst = choice.pick([a for a in goals if a.version == src.version])
    else:
        dst = choice.pick((*SHOWN[4], *SHOWN[6]))
        way = port.location.ofport, NEXT_HOP, router.mac
        src = choice.pick([a for a in (*WORLD[:2], *WORLD[4:], *SHOWN[dst.version][:1]) if a.version == dst.version])
    return _packet(choice, case.dpid, way, (src, dst))


def _packet(choice: Choice, dpid: int, way: tuple[int, str, str], ends: tuple[IPAddress, IPAddress]) -> Frame:
    (in_port, eth_src, eth_dst), (src, dst) = way, ends
    four = src.version == 4
    base = Frame(dpid, in_port, eth_src, eth_dst, ETH_IPV4 if four else ETH_IPV6, src=src, dst=dst)
    if choice.chance(20):
        return dataclasses.replace(base, protocol=ICMP if four else ICMPV6, icmp_type=8 if four else 128, icmp_code=0)
    protocol = choice.pick((TCP, TCP, UDP, UDP, 47))
    if protocol == 47:
        return dataclasses.replace(base, protocol=protocol)
    sport = choice.pick([port for port in SOURCE_PORTS if port])
    return dataclasses.replace(base, protocol=protocol, sport=sport, dport=choice.pick([p for p in PORTS if p]))


def errors(case: Case, conntrack: Conntrack) -> list[tuple[Frame, Opening]]:
    """Return ICMP errors about all connections, as each end knows them."""
    known = [opening for _, opening in (*conntrack.entries, *conntrack.translations)]
    known += conntrack.translations.values()
    return [(frame, opening) for opening in dict.fromkeys(known) for frame in routed_errors(case, opening)]


class TranslatingSwitch(Switch):
    """Tells the semantics what translations keep, and checks with what addresses packets leave."""

    def follow(self, case: Case) -> None:
        """An uplink that no router names for a while is another attachment when one does again."""
        super().follow(case)
        live = set(self.ids.spaces["attachment"].live.values())
        gone = {number: f"{name}/gone" for number, name in self.attachments.items() if number not in live}
        self.attachments |= {number: name for number, name in gone.items() if not name.endswith("/gone/gone")}

    def expected(self, frame: Frame, quoted: Opening | None = None) -> Verdict:
        """Ask the semantics."""
        case, kept, self.judged, self._exact = self.case, None, None, False
        port = self._uplink(frame.in_port)
        if port is not None:
            moved = self._moved(port, frame, quoted)
            if moved.state & f.CS_DNAT:
                kept, quoted, self._exact = moved.frame, moved.quoted, True
        admitted = admit(case.intents, case.inventory, frame, kept)
        if not isinstance(admitted, Admitted):
            return super().expected(frame, quoted)
        seen = admitted.translated or frame
        if port is not None and admitted.translated is not None and kept is None:
            seen = self._with_free_port(port, frame, seen)
        if isinstance(admitted.destination, UplinkPort):
            moved = self._moved(admitted.destination, frame, quoted)
            if moved.state & f.CS_SNAT:
                kept, self._exact = moved.frame, True
        router = router_of(case.intents, admitted.network)
        zone = self.ids.number("network", admitted.network if router is None else f"router/{router.name}")
        tracked = self._tracked(self.conntrack.view(zone, seen, quoted), admitted.network)
        self.judged = judged_as(seen, tracked, admitted.network)
        verdict = evaluate(case.intents, case.inventory, frame, tracked, now=NOW, offsets=OFFSETS, kept=kept)
        return self._exhausted(admitted.destination, frame, verdict) if kept is None else verdict

    def compare(self, frame: Frame, verdict: Verdict, result: Result) -> Verdict:
        """Also the addresses: a port that nobody kept may be any."""
        super().compare(frame, verdict, result)
        self.left = frame
        if verdict.fate.outcome is Outcome.DELIVER and frame.src is not None:
            left = self._left(frame, result)
            wanted = verdict.fate.ends or ends_of(frame)
            if not self._exact and verdict.fate.ends is not None:
                wanted = dataclasses.replace(wanted, sport=left.sport)
            assert left == wanted, (verdict, self.story(result))
            self.left = dataclasses.replace(frame, **dataclasses.asdict(left))
        return verdict

    def _left(self, frame: Frame, result: Result) -> Ends:
        state = result.left[-1]
        source, destination = (f.IPV4_SRC, f.IPV4_DST) if frame.eth_type == ETH_IPV4 else (f.IPV6_SRC, f.IPV6_DST)
        ports = {TCP: (f.TCP_SRC, f.TCP_DST), UDP: (f.UDP_SRC, f.UDP_DST)}.get(frame.protocol or 0)
        numbers = (frame.sport, frame.dport) if ports is None else (state[ports[0]], state[ports[1]])
        kind = type(frame.src)
        return Ends(kind(state[source]), kind(state[destination]), *numbers)  # type: ignore[arg-type]

    def _uplink(self, ofport: int) -> UplinkPort | None:
        here = (port for port in self.case.inventory.uplinks if port.location.dpid == self.case.dpid)
        return next((port for port in here if port.location.ofport == ofport and port.translation.addresses), None)

    def _moved(self, port: UplinkPort, frame: Frame, quoted: Opening | None) -> Moved:
        if frame.dst is None or not port.translation.covers(frame.dst.version):
            return Moved(frame, quoted, 0)
        return self.conntrack.translate(self._zone(port), frame, quoted)

    def _zone(self, port: UplinkPort) -> int:
        return self.ids.number("network", uplink_key(port))

    def _exhausted(self, destination: Party, frame: Frame, verdict: Verdict) -> Verdict:
        """What the semantics leaves open: whether the translation has a port, or of an echo the number, to give."""
        ends, opening = verdict.fate.ends, opening_of(frame)
        if not isinstance(destination, UplinkPort) or ends is None or opening is None:
            return verdict
        free = self.conntrack.free(self._zone(destination), opening, Nat(Side.SOURCE, ends.src))
        return verdict if free else dataclasses.replace(verdict, fate=Fate(Outcome.DROP), reason=Reason.UNTRANSLATED)

    def _with_free_port(self, port: UplinkPort, frame: Frame, seen: Frame) -> Frame:
        """Return what a forward makes of a packet, with the port that is free for its client."""
        opening = opening_of(frame)
        assert opening is not None
        free = self.conntrack.free(self._zone(port), opening, Nat(Side.DESTINATION, seen.dst, seen.dport))
        return seen if free is None else dataclasses.replace(seen, sport=free.sport)

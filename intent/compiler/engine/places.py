"""Endpoints come, go and change: `leave` takes out what was, `arrive` puts in what is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from intent.compiler import routing
from intent.compiler.compile import attachment_key
from intent.compiler.engine.audiences import Audiences
from intent.compiler.engine.circles import Circles
from intent.compiler.engine.inputs import Changes, Inputs
from intent.compiler.engine.ledger import Ledger
from intent.compiler.engine.offers import Offers
from intent.compiler.engine.people import Party, People
from intent.compiler.engine.plugs import Plug
from intent.compiler.engine.roster import Roster
from intent.compiler.engine.routes import Detour
from intent.compiler.engine.sights import Sights
from intent.compiler.engine.switch import Switch
from intent.compiler.engine.words import Words
from intent.compiler.fabric import wiring
from intent.compiler.flow import Flow
from intent.compiler.handling import Care, Tended
from intent.compiler.resolve import Identity
from intent.compiler.routing import Via, Ways, leg_flows
from topology.fabric import NO_FABRIC, Fabric
from topology.model import Endpoint


class Places:
    """Where everybody is plugged in, and by what identities they go."""

    def __init__(
        self, inputs: Inputs, ledger: Ledger, people: People, words: Words, switches: Mapping[int, Switch]
    ) -> None:
        self._inputs = inputs
        self._detour = Detour(Ways(), Ways())
        """Of this turn."""
        self._ledger = ledger
        self._people = people
        self._words = words
        self._switches = switches
        self._roster = Roster()
        self._offers = Offers(inputs, self._roster, ledger, switches)
        self._audiences = Audiences(inputs, self._roster, ledger, switches)
        self.touched: dict[tuple[int, Party], None] = {}
        """Parties of which an address came to a switch, or went."""
        self.moved: dict[int, None] = {}
        """Switches that got their first endpoint of a network, or lost their last."""
        self._sights = Sights(inputs, switches, self._touch)
        self.circles = Circles(switches, self._roster, self._sights)
        self._joining: dict[tuple[int, str], None] = {}
        """Networks that a switch got its first endpoint of."""
        self._fabric = NO_FABRIC
        self._care = Care()
        self._newborn: list[Party] = []
        self._staying: dict[Plug, None] = {}
        """Those that are where they were and have other flows."""
        self._gone: list[Plug] = []
        self._come: list[Plug] = []

    # -- what was -------------------------------------------------------------------------------

    def leave(self, changes: Changes, detour: Detour) -> None:
        """Take endpoints that go or change out of the switches; count all in their identities."""
        self._detour = detour
        names = [*changes.endpoints, *sorted(self._roster.concerned(self._words.take_new()) - changes.endpoints.keys())]
        self._audiences.leave(changes, names, detour.networks)
        for name in names:
            self._sort_out(self._roster.plugs.get(name), self._inputs.endpoints.get(name))
        self._offers.leave(changes, [*self._gone, *self._come])
        self._move(names)
        for plug in self._gone:
            self._unplug(plug)
        self._fall_silent()
        self._turn_off()
        self.circles.dig(dict.fromkeys((*changes.tunnels, *self._rewired(changes))))
        for plug in self._come:
            self._roster.add(plug)
            for key in plug.attachments:
                self._ledger.pools["attachment"].want(key)
            dpid = plug.endpoint.location.dpid
            plug.parties = [self.refer(identity, dpid) for identity in self._words.identities(plug.endpoint)]
        for switch in self._new_switches():
            for plug in self._roster.switches.get(switch.ports.dpid, {}).values():
                self.touched.update(((switch.ports.dpid, party), None) for party in plug.parties)
        self._look_around()

    def forget(self, switch: Switch) -> None:
        """Let a switch go for which no program is wanted any more."""
        self._sights.forget(switch)
        self._audiences.forget(switch.ports.dpid)

    def _touch(self, dpid: int, party: Party) -> None:
        self.touched[dpid, party] = None

    def _rewired(self, changes: Changes) -> list[int]:
        """Wire the switches anew; return those that wires lead elsewhere from than before."""
        fabric, before = self._inputs.fabric, self._fabric
        for switch in self._switches.values() if changes.fabric is not None else self._new_switches():
            switch.ports.wire(wiring(fabric, switch.ports.dpid).flows)
            self._plug_anew(switch, wired=switch.ports.dpid in fabric.wired)
        if changes.fabric is None or fabric is before:
            return []
        self._fabric = fabric
        dpids = sorted(fabric.ports.keys() | before.ports.keys())
        return [dpid for dpid in dpids if _reached(fabric, dpid) != _reached(before, dpid)]

    def _plug_anew(self, switch: Switch, *, wired: bool) -> None:
        """Note whether a switch has wires: its endpoints need more flows then."""
        ports = switch.ports
        if ports.wired == wired:
            return
        ports.wired = wired
        for plug in self._roster.switches.get(ports.dpid, {}).values():
            if not switch.is_new:
                ports.unplug(plug.endpoint.name)
                self._staying[plug] = None

    def _new_switches(self) -> Iterator[Switch]:
        return (switch for switch in self._switches.values() if switch.is_new)

    def _sort_out(self, plug: Plug | None, endpoint: Endpoint | None) -> None:
        if plug is not None and endpoint is not None and self._is_in_place(plug, endpoint):
            self._rename(plug, endpoint)
            return
        if plug is not None:
            self._gone.append(plug)
        if endpoint is not None:
            keys = tuple(attachment_key(endpoint, address) for address in endpoint.addresses)
            self._come.append(Plug(endpoint, keys))

    def _is_in_place(self, plug: Plug, endpoint: Endpoint) -> bool:
        """Whether an endpoint is plugged in, and reached, as it was."""
        return _is_same_plug(plug.endpoint, endpoint) and endpoint.network not in self._detour.networks

    def _move(self, named: Iterable[str]) -> None:
        """Plug everybody in anew who is reached otherwise; those that are named are looked at already."""
        seen = set(named) if self._detour.networks else set()
        for network in self._detour.networks:
            for plug in self.circles.of_network(network):
                if plug.endpoint.name not in seen:
                    self._gone.append(plug)
                    self._come.append(Plug(plug.endpoint, plug.attachments))

    def _rename(self, plug: Plug, endpoint: Endpoint) -> None:
        """Follow an endpoint that only its labels or named ports, or what is read of it, make another."""
        if endpoint is not plug.endpoint:
            self._roster.rename(plug, endpoint)
        dpid, before = endpoint.location.dpid, plug.parties
        after = plug.parties = [self.refer(identity, dpid) for identity in self._words.identities(endpoint)]
        self.unrefer(before, dpid)
        if after != before:
            self._staying[plug] = None
            for viewer in self.circles.viewers(plug):
                if self._sights.blind(viewer, endpoint.name):
                    self._sights.find(viewer, (plug,))

    def _unplug(self, plug: Plug) -> None:
        name, location = plug.endpoint.name, plug.endpoint.location
        for switch in self.circles.viewers(plug):
            self._sights.lose(switch, (plug,))
        own = self._switches.get(location.dpid)
        if own is not None:
            own.ports.unplug(name)
            own.ports.rest((location.ofport,))
        self._roster.remove(name)
        for key in plug.attachments:
            self._ledger.pools["attachment"].release(key)
        self.unrefer(plug.parties, location.dpid)

    def _fall_silent(self) -> None:
        """A switch that loses the last endpoint of a network answers for nobody there."""
        come = {_corner(plug) for plug in self._come}
        for network, dpid in dict.fromkeys(_corner(plug) for plug in self._gone):
            switch = self._switches.get(dpid)
            stays = (network, dpid) in come or dpid in self._roster.places.get(network, {})
            if switch is None or (stays and network not in self._detour.networks):
                continue
            if network in switch.ports.answering:
                switch.ports.answering.discard(network)
                switch.ports.part(network)
                self.moved[dpid] = None
                self.circles.turn_away(switch, network)

    def _turn_off(self) -> None:
        """Take the new ways: who routed is plugged out by now."""
        detour = self._detour
        come = dict.fromkeys(map(_corner, self._come)) if detour.legs else {}
        for network in detour.legs:  # where all of it are plugged in anew, the roster knows nobody now
            anew = (dpid for name, dpid in come if name == network)
            for dpid in dict.fromkeys((*self._roster.places.get(network, {}), *anew)):
                switch = self._switches.get(dpid)
                if switch is not None and network in switch.ports.answering:
                    switch.ports.part(network)
                    self._joining[dpid, network] = None
        for dpid in detour.ports:
            found = self._switches.get(dpid)
            if found is not None:
                found.ports.rest(port.location.ofport for port in detour.before.uplinks.get(dpid, ()))
        self.circles.turn_off(detour)

    def _look_around(self) -> None:
        """Show newcomers to those who know their routing domain, and all others to whoever begins to."""
        for plug in self._come:
            if self._inputs.leads_out(plug.endpoint.location.dpid):
                for switch in self.circles.viewers(plug):
                    self._sights.find(switch, (plug,))
        new = [switch.ports.dpid for switch in self._new_switches()]
        self._sights.dig(new)
        self.moved.update(dict.fromkeys(new))
        for dpid in (*new, *self._detour.ports):
            self.circles.turn_to_uplinks(dpid)
        corners = [_corner(plug) for plug in self._come]
        corners += (_corner(plug) for dpid in new for plug in self._roster.switches.get(dpid, {}).values())
        for network, dpid in dict.fromkeys(corners):
            found = self._switches.get(dpid)
            if found is not None and network not in found.ports.answering:
                found.ports.answering.add(network)
                self.moved[dpid] = self._joining[dpid, network] = None
                self.circles.turn_to(found, network)

    # -- identities -----------------------------------------------------------------------------

    def refer(self, identity: Identity, dpid: int) -> Party:
        """Return the party of an identity, one address more of it on a switch."""
        party = self._people.refer(identity)
        if party.refs == 1 and not party.number:
            self._newborn.append(party)
            self._ledger.pools["identity"].want(party.key)
        count = party.where[dpid] = party.where.get(dpid, 0) + 1
        if count == 1:
            self.touched[dpid, party] = None
        return party

    def unrefer(self, parties: Iterable[Party], dpid: int) -> None:
        """Let one address each of some parties leave a switch."""
        for party in parties:
            party.refs -= 1
            left = party.where[dpid] - 1
            if left:
                party.where[dpid] = left
            else:
                del party.where[dpid]
                self.touched[dpid, party] = None

    def newborn(self) -> list[Party]:
        """Return the parties that need a number."""
        found, self._newborn = self._newborn, []
        return found

    # -- what is --------------------------------------------------------------------------------

    def arrive(self, care: Care) -> None:
        """Put endpoints in, with their numbers, and what their ports have for what rules want."""
        for plug in self._come:
            plug.network = self._ledger.number("network", plug.endpoint.network)
            plug.via = self._via(plug.endpoint.network)
        attachments = self._ledger.pools["attachment"].live
        for plug in (*self._unnamed(), *self._come):
            switch = self._switches.get(plug.endpoint.location.dpid)
            if switch is not None and not switch.is_new:
                switch.ports.plug(plug, attachments)
        for switch in self._new_switches():
            for plug in self._roster.switches.get(switch.ports.dpid, {}).values():
                switch.ports.plug(plug, attachments)
        self._sights.arrive(attachments)
        for dpid, network in self._joining:
            self._switches[dpid].ports.join(network, self._leg_flows(network))
        self._joining.clear()
        self._tend(care)
        self._offers.arrive()
        self._audiences.arrive(self._via, observing=care.observing)
        self._staying, self._gone, self._come = {}, [], []

    def _unnamed(self) -> list[Plug]:
        """Let those who stay go by their new identities; take the others out, all before any comes, and return them."""
        others = []
        for plug in self._staying:
            switch = self._switches.get(plug.endpoint.location.dpid)
            if switch is not None and not switch.is_new and not switch.ports.rename(plug):
                switch.ports.unplug(plug.endpoint.name)
                others.append(plug)
        return others

    def _leg_flows(self, network: str) -> Iterator[Flow]:
        leg, domain = self.circles.ways.leg(network), self.circles.ways.domains.get(network)
        if leg is not None and domain is not None:
            number = self._ledger.number
            yield from leg_flows(domain, leg, number("network", domain.key), number("network", network))

    def _via(self, network: str) -> Via | None:
        domain = self.circles.ways.domains.get(network)
        return None if domain is None else Via(self._ledger.number("network", domain.key), domain.mac)

    def _tend(self, care: Care) -> None:
        anew, self._care = care != self._care, care
        for switch in self._switches.values() if anew else ():
            switch.ports.rest()
        if care.idle:
            return
        for switch in self._switches.values() if anew else self._new_switches():
            local = self._roster.switches.get(switch.ports.dpid, {}).values()
            switch.ports.tend((Tended(p.endpoint.location.ofport) for p in local), care)
            switch.ports.tend(self._uplinks(switch.ports.dpid), care)
        for plug in self._come:
            found = self._switches.get(plug.endpoint.location.dpid)
            if found is not None:
                found.ports.tend((Tended(plug.endpoint.location.ofport),), care)
        for dpid in self._detour.ports:
            found = self._switches.get(dpid)
            if found is not None:
                found.ports.tend(self._uplinks(dpid), care)

    def _uplinks(self, dpid: int) -> Iterator[Tended]:
        number = self._ledger.number
        for port in self.circles.ways.uplinks.get(dpid, ()):
            yield routing.tended(port, number)


def _reached(fabric: Fabric, dpid: int) -> tuple[int | None, int | None]:
    """Return what tells whether wires lead elsewhere: the part of the fabric that a switch is in, and its number."""
    return fabric.parts.get(dpid), fabric.numbers.get(dpid)


def _is_same_plug(one: Endpoint, other: Endpoint) -> bool:
    return (
        one.network == other.network
        and one.mac == other.mac
        and (one.location is other.location or one.location == other.location)
        and one.addresses == other.addresses
    )


def _corner(plug: Plug) -> tuple[str, int]:
    return plug.endpoint.network, plug.endpoint.location.dpid

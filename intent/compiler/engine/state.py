"""Everything the engine keeps, and how a change goes through it.

Order matters. What goes is taken out of the switches while the numbers and casts are still those that it
was put in with; then the model changes; then numbers are settled; then what comes is put in.
"""

from __future__ import annotations

import dataclasses

from intent.compiler import handling
from intent.compiler.engine.blocks import common
from intent.compiler.engine.clauses import Keys, Pattern
from intent.compiler.engine.inputs import Changes, Inputs
from intent.compiler.engine.journal import IdChange
from intent.compiler.engine.judge import Judge
from intent.compiler.engine.ledger import Ledger
from intent.compiler.engine.people import Party, People
from intent.compiler.engine.places import Places
from intent.compiler.engine.policies import Policies
from intent.compiler.engine.routes import Detour, Routes
from intent.compiler.engine.rules import Layout, Unit
from intent.compiler.engine.switch import Switch, fixed_flows
from intent.compiler.engine.ways import WaysOut
from intent.compiler.fields import CLIENT_ID, SERVER_ID
from intent.compiler.handling import Care
from intent.compiler.ids import IdMap
from intent.compiler.policy import Posed
from intent.compiler.resolve import on_wire
from intent.compiler.terms import is_
from topology.model import MirrorPort


@dataclasses.dataclass(frozen=True, slots=True)
class Turn:
    """What one change concerns."""

    changes: Changes
    layout: Layout
    """As it is from now on."""
    anew: bool
    """It was another: all policy tables are made anew."""
    fixed: bool
    """The flows that every switch holds may change."""
    detour: Detour


class State:
    """The model and the switches, in step with each other between two turns."""

    def __init__(self, inputs: Inputs, ids: IdMap) -> None:
        self._inputs = inputs
        self._routes = Routes()
        self.ledger = Ledger(ids)
        self._people = People()
        self._policies = Policies(self.ledger, self._people)
        self._layout = Layout(inputs.intents.tiers, observing=False)
        self.switches: dict[int, Switch] = {}
        self._busy: dict[int, None] = {}
        self._places = Places(inputs, self.ledger, self._people, self._policies.words, self.switches)
        self._ways = WaysOut(inputs, self.ledger, self.switches, self._places, self._policies.words)
        self._networks: set[str] = set()
        self._fixed = fixed_flows(self._policies, self._layout)
        self._mirrored: tuple[tuple[MirrorPort, ...], list[str]] = ((), [])
        """The ports that mirrors have, and the mirrors that rules name."""
        self._judges: list[Judge] = []
        """Of all switches."""
        self.ledger.want_tiers(tier.name for tier in inputs.intents.tiers)

    def busy(self) -> list[Switch]:
        """Return the switches that this turn concerns."""
        return [self.switches[dpid] for dpid in self._busy if dpid in self.switches]

    def rest(self) -> None:
        """Forget what the turn concerned; it is not to be taken back any more."""
        self._busy.clear()
        self.ledger.keep()

    def turn(self, changes: Changes, now_s: float) -> IdChange:
        """Follow the inputs, which have changed so; each switch's `flows` know what that did to it.

        Raises:
            CompileError, OutOfNumbers: it cannot be. This state is of no use then.
            KeyError: the inputs name what is not there.
        """
        turn = self._begin(changes)
        arrivals = self._go(turn)
        done = self.ledger.settle(now_s)
        self._come(turn, arrivals)
        self._begin_together()
        keys: Keys = {}
        for switch in self.busy():
            switch.judge.settle()
            switch.flows.settle(keys)
        return done

    def _begin_together(self) -> None:
        """Give new switches what most of them have in common."""
        new = self._new()
        if new:
            block = common([switch.judge.meet() for switch in new])
            for switch in new:
                switch.judge.lay(block)

    def _new(self) -> list[Switch]:
        return [switch for switch in self.busy() if switch.is_new]

    def _begin(self, changes: Changes) -> Turn:
        """Take out the policies that go, and find out what else is concerned."""
        policies, intents = self._policies, self._inputs.intents
        self._note_definitions(changes)
        dirty = {*changes.policies, *policies.reading("group", changes.groups)}
        dirty |= policies.reading("service", changes.services)
        before = policies.rejecting, policies.handling
        observed = policies.drop(sorted(dirty), self._judges)
        observed |= policies.read(sorted(dirty), intents)
        layout = policies.layout(intents)
        anew, turned = layout != self._layout, before != (policies.rejecting, policies.handling)
        self._layout = layout
        detour = self._routes.follow(self._inputs, changes)
        return Turn(changes, layout, anew, observed or anew or turned, detour)

    def _note_definitions(self, changes: Changes) -> None:
        if changes.dpids is not None:
            for dpid in self.switches.keys() - self._inputs.dpids:
                self._places.forget(self.switches.pop(dpid))
            for dpid in sorted(self._inputs.dpids - self.switches.keys()):
                self.switches[dpid] = Switch(dpid, self._layout, self._busy)
                self._busy[dpid] = None
            self._judges = [switch.judge for switch in self.switches.values()]
        if changes.tiers is not None:
            self.ledger.want_tiers(tier.name for tier in changes.tiers)
        pool = self.ledger.pools["network"]
        for name, network in changes.networks.items():
            if network is None:
                self._networks.discard(name)
                pool.release(name)
            elif name not in self._networks:
                self._networks.add(name)
                pool.want(name)

    def _go(self, turn: Turn) -> list[tuple[Switch, Party]]:
        """Take out what goes, and change the model; return who is to be taken in where."""
        policies, people, detour = self._policies, self._people, turn.detour
        posed = (*turn.changes.networks, *detour.flipped)
        for judge in self._judges if turn.anew or posed else ():
            if turn.anew:
                judge.close()
            judge.unpost(posed)
        self._ways.leave(detour, self._new())
        self._places.leave(turn.changes, detour)
        self._ways.follow(turn.changes, detour)
        arrivals = self._follow()
        policies.drop_parts(self._judges)
        policies.enter(self._inputs.intents)
        policies.refresh()
        for judge in self._judges if people.gone else ():
            judge.forget(people.gone)
        people.gone.clear()
        return arrivals

    def _follow(self) -> list[tuple[Switch, Party]]:
        """Take out parties that left a switch, and forget those that left all."""
        touched, self._places.touched = self._places.touched, {}
        arrivals = []
        for dpid, party in touched:
            switch = self.switches.get(dpid)
            if switch is not None and switch.follow(party):
                arrivals.append((switch, party))
        for party in {party: None for _, party in touched if not party.refs}:
            self._people.bury(party)
            self.ledger.pools["identity"].release(party.key)
        return arrivals

    def _come(self, turn: Turn, arrivals: list[tuple[Switch, Party]]) -> None:
        """Put in what comes, with the numbers that are settled now."""
        for party in self._places.newborn():
            party.number = on_wire(party.identity, self.ledger.number("identity", party.key))
            party.as_client = Pattern((is_(CLIENT_ID, party.number),))
            party.as_server = Pattern((is_(SERVER_ID, party.number),))
        units = self._policies.place(turn.layout, self._judges, anew=turn.anew)
        if turn.fixed:
            self._fixed = fixed_flows(self._policies, turn.layout)
        for switch in self.switches.values() if turn.fixed else self.busy():
            self._judge_anew(switch, turn)
        self._send(units)
        for switch, party in arrivals:
            switch.judge.bear(party)
            switch.judge.isolate(party)
        for party in self._policies.take_regarded():
            for dpid in party.where:
                if dpid in self.switches:
                    self.switches[dpid].judge.isolate(party)
        for switch in self.busy():
            switch.judge.post(self._posture, self._routes.ways.domains)
        self._ways.arrive(self._new())
        self._handle(turn.layout)

    def _handle(self, layout: Layout) -> None:
        """Put endpoints in, and what ports have for rules that reject, or name a queue or a mirror."""
        policies, number = self._policies, self.ledger.number
        queues = handling.shapes(self._inputs.queues, policies.handled("queue"), number)
        self._places.arrive(Care(policies.rejecting, layout.observing, queues))
        before, self._mirrored = self._mirrored, (self._inputs.mirrors, policies.handled("mirror"))
        ports, mirrors = self._mirrored
        for switch in self._new() if before == self._mirrored else self.switches.values():
            here = (port for port in ports if port.location.dpid == switch.ports.dpid) if mirrors else ()
            switch.mirror(handling.mirror_flows(here, mirrors, number))

    def _judge_anew(self, switch: Switch, turn: Turn) -> None:
        if turn.fixed or switch.is_new:
            switch.fix(self._fixed)
        if turn.anew or switch.is_new:
            switch.judge.open(turn.layout)

    def _send(self, units: list[Unit]) -> None:
        """Let the switches look at new units; those that name anybody reach new switches with their parties."""
        old = {dpid: switch for dpid, switch in self.switches.items() if not switch.is_new} if units else {}
        for unit in units if old else ():
            where = unit.where()
            for dpid in old if where is None else where:
                if dpid in old:
                    old[dpid].judge.wait(unit)
        if new := self._new():
            for unit in self._policies.units():
                if unit.clients is None and unit.servers is None:
                    for switch in new:
                        switch.judge.wait(unit)

    def _posture(self, network: str) -> Posed:
        return Posed(self.ledger.number("network", network), self._inputs.networks[network].posture)

"""The policy tables of one switch, kept up with the parties and the units that meet there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Container, Iterable, Iterator

from intent.compiler.engine.blocks import Block
from intent.compiler.engine.clauses import Flows, Pattern, Places, Solo
from intent.compiler.engine.people import Cast, Party
from intent.compiler.engine.postures import Postures
from intent.compiler.engine.rules import Isolation, Layout, Spot, Unit, Way, pass_flow
from intent.compiler.flow import FlowKey
from intent.compiler.policy import Posed, after_tier, entry_flows, isolation_flow, miss_flows
from intent.compiler.terms import goto
from intent.model import Action, Direction


class Judge:
    """One switch's parties, and of all units those of which both sides are there."""

    def __init__(self, flows: Flows, layout: Layout) -> None:
        self._flows = flows
        self._layout = layout
        self.present: dict[Party, None] = {}
        self._locals: dict[Cast, dict[Party, None]] = {}
        """Of the casts somebody asked about: those of their members that are present, if there are any."""
        self._placed: dict[Unit, None] = {}
        self._used: dict[Way, dict[int, int]] = defaultdict(dict)
        """The tiers that somebody decides in, and how many do."""
        self._passes: dict[Way, dict[Unit, Spot]] = defaultdict(dict)
        self._isolated: dict[Party, list[tuple[Way, int, FlowKey]]] = {}
        self._postures = Postures(flows)
        self._misses: dict[Way, tuple[FlowKey, ...]] = {}
        self._open_ways: set[Way] = set()
        self._waiting: dict[Unit, None] = {}
        """Units that may have to be placed."""
        self._entries: tuple[FlowKey, ...] = ()
        self._is_new = True

    # -- parties --------------------------------------------------------------------------------

    def bury(self, party: Party) -> None:
        """Take out a party that is there no more, while its casts still know it."""
        self.free(party)
        del self.present[party]
        self._postures.bury(party)
        self._silence(party)
        for cast in party.casts:
            local = self._locals.get(cast)
            if local is not None:
                del local[party]
                if not local:
                    del self._locals[cast]
                    self.remove(unit for unit in (*cast.clients, *cast.servers) if unit in self._placed)

    def _silence(self, party: Party) -> None:
        """Take out the flows that match a party, whole: nobody has a clause in them but units that are placed."""
        placed = self._placed
        clients: set[Places] = set()
        servers: set[Places] = set()
        for cast in party.casts:
            for unit in cast.clients:
                if unit in placed:
                    clients.add(unit.places)
            for unit in cast.servers:
                if unit in placed:
                    servers.add(unit.places)
        self._flows.silence(party.as_client, clients)
        self._flows.silence(party.as_server, servers)

    def bear(self, party: Party) -> None:
        """Take in a party, with its number."""
        self._flows.wake()
        self.present[party] = None
        self._postures.bear(party)
        if self._is_new:
            return  # `meet` looks at all at once
        placed, waiting = self._placed, self._waiting
        clients: dict[Places, list[Solo]] = {}
        servers: dict[Places, list[Solo]] = {}
        for cast in party.casts:
            if cast in self._locals:
                self._locals[cast][party] = None
            for unit in cast.clients:
                if unit not in placed:
                    waiting[unit] = None
                elif (clause := unit.members[0]) is not None:
                    clients.setdefault(unit.places, []).append(clause)
            for unit in cast.servers:
                if unit not in placed:
                    waiting[unit] = None
                elif (clause := unit.members[1]) is not None:
                    servers.setdefault(unit.places, []).append(clause)
        self._flows.say(party.as_client, clients)
        self._flows.say(party.as_server, servers)

    def _edit(self, unit: Unit, where: Collection[Pattern], member: Solo, *, there: bool) -> None:
        edits = self._flows.edits(unit.places)
        if there:
            edits.add(where, member)
        else:
            edits.remove(where, member)

    # -- units ----------------------------------------------------------------------------------

    def _local(self, cast: Cast) -> dict[Party, None]:
        found = self._locals.get(cast)
        if found is None:
            found = dict.fromkeys(cast.members.keys() & self.present.keys())
            if found:
                self._locals[cast] = found
        return found

    def forget(self, casts: Iterable[Cast]) -> None:
        """Forget casts that nobody uses."""
        for cast in casts:
            self._locals.pop(cast, None)

    def wait(self, unit: Unit) -> None:
        """Look at a unit in `settle`: it is new, or moved."""
        self._waiting[unit] = None
        self._flows.wake()

    def remove(self, units: Iterable[Unit]) -> None:
        """Take units out, with the numbers that they were placed with."""
        for unit in list(units):
            self._waiting.pop(unit, None)
            if unit in self._placed:
                del self._placed[unit]
                self._edit_all(unit, there=False)
                for spot in unit.spots:
                    self._flows.take(spot.decision.key)
                    self._use((spot.lane, spot.direction), spot.tier, -1)
                    self._passes[spot.lane, spot.direction].pop(unit, None)

    def _place(self, unit: Unit) -> None:
        self._placed[unit] = None
        self._edit_all(unit, there=True)
        for spot in unit.spots:
            way = spot.lane, spot.direction
            self._use(way, spot.tier, 1)
            if unit.plan.rule.action is Action.PASS:
                self._passes[way][unit] = spot
                self._put_pass(way, spot)
            else:
                self._flows.put(spot.decision)

    def _edit_all(self, unit: Unit, *, there: bool) -> None:
        client, server = unit.members
        if client is not None and unit.clients is not None:
            self._edit(unit, [p.as_client for p in self._local(unit.clients)], client, there=there)
        if server is not None and unit.servers is not None:
            self._edit(unit, [p.as_server for p in self._local(unit.servers)], server, there=there)
        for where, member in unit.fixed:
            self._edit(unit, where, member, there=there)

    def _is_met(self, unit: Unit) -> bool:
        """Whether a packet on this switch may match it."""
        return bool(
            unit.live
            and unit.services != ()
            and (unit.clients is None or self._local(unit.clients))
            and (unit.servers is None or self._local(unit.servers))
        )

    # -- isolation ------------------------------------------------------------------------------

    def isolate(self, party: Party) -> None:
        """Deny a present party where a tier isolates it, and only there."""
        self.free(party)
        wanted = {isolation for cast in party.casts for isolation in cast.isolations}
        found = list(self._isolations(party, wanted)) if wanted else []
        if found:
            self._isolated[party] = found

    def _isolations(self, party: Party, wanted: set[Isolation]) -> Iterator[tuple[Way, int, FlowKey]]:
        for verdicts in self._layout.verdicts:
            for index, tier in enumerate(self._layout.tiers):
                for direction in Direction if tier.isolating else ():
                    if Isolation(verdicts.lane, tier.name, direction) in wanted:
                        flow = isolation_flow(verdicts, direction, index, party.number)
                        self._flows.put(flow)
                        self._use((verdicts.lane, direction), index, 1)
                        yield (verdicts.lane, direction), index, flow.key

    def free(self, party: Party) -> None:
        """Take the flows back."""
        for way, tier, key in self._isolated.pop(party, ()):
            self._flows.take(key)
            self._use(way, tier, -1)

    # -- chains ---------------------------------------------------------------------------------

    def _use(self, way: Way, tier: int, change: int) -> None:
        used = self._used[way]
        count = used.get(tier, 0) + change
        if count:
            used[tier] = count
        else:
            del used[tier]
        if not count or count == change:
            self._open_ways.add(way)

    def _put_pass(self, way: Way, spot: Spot) -> None:
        self._flows.put(pass_flow(spot, goto(after_tier(*way, self._used[way], spot.table))))

    def close(self) -> None:
        """Take everything out but the parties: the layout is about to change."""
        self.remove(self._placed)
        for party in list(self._isolated):
            self.free(party)
        for keys in (self._entries, *self._misses.values()):
            self._flows.disclaim(keys)
        self._misses.clear()
        self._postures.close()
        self._open_ways.clear()
        self._waiting.clear()
        self._entries = ()

    def open(self, layout: Layout) -> None:
        """Begin anew, with a layout; the units are to be sent again."""
        self._layout = layout
        entries = (flow for v in layout.verdicts for d in Direction for flow in entry_flows(v, d))
        self._entries = self._flows.claim(entries)
        self._open_ways.update((v.lane, d) for v in layout.verdicts for d in Direction)
        for party in self.present:
            self.isolate(party)

    def meet(self) -> dict[Unit, None]:
        """Return the units that a new switch has to place; from now on no other waits."""
        self._is_new = False
        present = self._locals = {}
        for party in self.present:
            for cast in party.casts:
                if cast in present:
                    present[cast][party] = None
                else:
                    present[cast] = {party: None}
        waiting = self._waiting
        for cast in present:
            waiting |= cast.clients
            waiting |= cast.servers
        self._waiting = {
            unit: None
            for unit in waiting
            if unit.live
            and unit.services != ()
            and (unit.clients is None or unit.clients in present)
            and (unit.servers is None or unit.servers in present)
        }
        return self._waiting

    def lay(self, block: Block) -> None:
        """Place the units of a block, and take those out again that do not wait here, if that is less work."""
        missing = [unit for unit in block.units if unit not in self._waiting]
        if 2 * len(missing) > len(block.units):
            return
        self._waiting = {unit: None for unit in self._waiting if unit not in block.units}
        self._placed.update(block.units)
        self._flows.lay(block.flows)
        block.say(self._flows.program, self.present)
        for (way, tier), count in block.used.items():
            self._used[way][tier] = self._used[way].get(tier, 0) + count
            self._open_ways.add(way)
        for way, passes in block.passes.items():
            self._passes[way].update(passes)
        self.remove(missing)

    def settle(self) -> None:
        """Place what waits, then lead the ways through the tiers in use."""
        for unit in self._waiting:
            if unit not in self._placed and self._is_met(unit):
                self._place(unit)
        self._waiting.clear()
        for way in self._open_ways:
            self._flows.disclaim(self._misses.pop(way, ()))
            self._misses[way] = self._flows.claim(miss_flows(*way, self._used[way]))
            for spot in self._passes[way].values():
                self._put_pass(way, spot)
        self._open_ways.clear()

    def unpost(self, networks: Iterable[str]) -> None:
        """Take the postures of networks out that changed."""
        self._postures.close(networks)

    def post(self, posture_of: Callable[[str], Posed], routed: Container[str]) -> None:
        """Put the postures that are not there: of all present networks, or of all parties of those in a router."""
        self._postures.post(posture_of, routed, self._layout.verdicts)

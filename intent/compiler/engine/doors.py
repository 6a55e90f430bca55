"""What uplinks have on their own switches: made anew when they, or the domains behind them, are not what they were.

The flows of a forward depend on nothing but the numbers of its uplink, so each comes and goes by itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from intent.compiler import routing
from intent.compiler.engine.ledger import Ledger
from intent.compiler.engine.routes import Detour
from intent.compiler.engine.switch import Switch
from intent.compiler.flow import FlowKey
from intent.compiler.routing import Ways
from intent.compiler.translation import Door, forward_flows
from topology.model import Forward, UplinkPort


@dataclasses.dataclass(slots=True)
class _Held:
    """What an uplink has on its switch."""

    port: UplinkPort
    flows: tuple[FlowKey, ...] | None = None
    """All but those of single forwards; None: they are to be put in."""
    forwards: dict[Forward, tuple[FlowKey, ...]] = dataclasses.field(default_factory=dict)
    fresh: tuple[Forward, ...] = ()
    """Those that are to be put in."""


class Doors:
    """Follows uplinks; `leave` takes out what was, `arrive` puts in what is."""

    def __init__(self, ledger: Ledger, switches: Mapping[int, Switch]) -> None:
        self._ledger = ledger
        self._switches = switches
        self._held: dict[int, dict[str, _Held]] = {}
        """By switch and uplink."""
        self._open: dict[int, None] = {}
        """Switches where something is to be put in."""

    def leave(self, detour: Detour) -> None:
        """Take out what uplinks had and are not to have; see to it that they have numbers."""
        for dpid in detour.ports:
            self._count(detour.after.uplinks.get(dpid, ()), came=True)
            self._count(detour.before.uplinks.get(dpid, ()), came=False)
        for dpid in (*detour.ports, *detour.forwards):
            self._open[dpid] = None
            held, kept = self._held.pop(dpid, {}), dict[str, _Held]()
            for port in detour.after.uplinks.get(dpid, ()):
                was = held.get(port.name)
                if was is not None and was.port.attachment == port.attachment:
                    kept[port.name] = held.pop(port.name)
                    self._follow(was, port, anew=dpid in detour.ports)
                else:
                    kept[port.name] = _Held(port, fresh=port.translation.forwards)
            for gone in held.values():
                self._disclaim(dpid, gone.flows or ())
                self._shut(gone, gone.forwards)
            if kept:
                self._held[dpid] = kept

    def _count(self, ports: Iterable[UplinkPort], *, came: bool) -> None:
        networks, attachments = self._ledger.pools["network"], self._ledger.pools["attachment"]
        for port in ports:
            (networks.want if came else networks.release)(routing.uplink_key(port))
            (attachments.want if came else attachments.release)(routing.attachment_key(port))

    def _follow(self, held: _Held, port: UplinkPort, *, anew: bool) -> None:
        """Let an uplink that is still the same port be as it is now."""
        if anew:
            self._disclaim(port.location.dpid, held.flows or ())
            held.flows = None
        gone, come = _differing(held.port.translation.forwards, port.translation.forwards)
        self._shut(held, gone)
        held.port, held.fresh = port, (*(f for f in held.fresh if f not in gone), *come)

    def _shut(self, held: _Held, forwards: Iterable[Forward]) -> None:
        for forward in list(forwards):
            self._disclaim(held.port.location.dpid, held.forwards.pop(forward, ()))

    def _disclaim(self, dpid: int, keys: Iterable[FlowKey]) -> None:
        switch = self._switches.get(dpid)
        if switch is not None and not switch.is_new:
            switch.flows.disclaim(keys)

    def arrive(self, ways: Ways, new: Iterable[Switch]) -> None:
        """Put in what uplinks are to have, with their numbers; all of it on new switches."""
        for switch in new:
            self._open[switch.ports.dpid] = None
            for held in self._held.get(switch.ports.dpid, {}).values():
                held.flows, held.forwards, held.fresh = None, {}, held.port.translation.forwards
        for dpid in self._open:
            found = self._switches.get(dpid)
            if found is not None:
                for held in self._held.get(dpid, {}).values():
                    self._put(found, ways, held)
        self._open = {}

    def _put(self, switch: Switch, ways: Ways, held: _Held) -> None:
        number = self._ledger.number
        if held.flows is None:
            held.flows = switch.flows.claim(routing.port_flows(ways, routing.bare(held.port), number))
        zone = number("network", routing.uplink_key(held.port))
        door = Door(held.port, zone, number("attachment", routing.attachment_key(held.port)))
        for forward in held.fresh:
            if forward not in held.forwards:
                held.forwards[forward] = switch.flows.claim(forward_flows(door, forward))
        held.fresh = ()


def _differing(
    before: tuple[Forward, ...], after: tuple[Forward, ...]
) -> tuple[dict[Forward, None], dict[Forward, None]]:
    """Return what is only in one of two: most are in both, and in the same order."""
    first, last = 0, min(len(before), len(after))
    while first < last and before[first] == after[first]:
        first += 1
    same = 0
    while same < last - first and before[-1 - same] == after[-1 - same]:
        same += 1
    was = dict.fromkeys(before[first : len(before) - same])
    now = dict.fromkeys(after[first : len(after) - same])
    return {f: None for f in was if f not in now}, {f: None for f in now if f not in was}

"""What is known of the world, changed in place, and changes to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import TypeVar

from intent.compiler.fabric import Toward
from intent.compiler.tunnels import Path
from intent.model import DEFAULT_TIERS, Group, Intents, Mode, Network, Policy, Queue, Router, Service, Tier
from topology.fabric import NO_FABRIC, Fabric
from topology.frozen import differing
from topology.model import Endpoint, Inventory, MirrorPort, Tunnel, UnaddressedPort, UplinkPort, linked

_Thing = TypeVar("_Thing", Endpoint, Policy, Group, Service, Network, Router, Tunnel, Queue)
_Key = TypeVar("_Key", str, int)


@dataclasses.dataclass(frozen=True, slots=True)
class Changes:
    """What is new, by name; None for what is gone. What is not named stays as it is."""

    endpoints: Mapping[str, Endpoint | None] = dataclasses.field(default_factory=dict)
    unaddressed: Mapping[UnaddressedPort, bool] = dataclasses.field(default_factory=dict)
    """Whether it is there."""
    policies: Mapping[str, Policy | None] = dataclasses.field(default_factory=dict)
    """Only those that hold now; one in `off` counts as gone."""
    groups: Mapping[str, Group | None] = dataclasses.field(default_factory=dict)
    services: Mapping[str, Service | None] = dataclasses.field(default_factory=dict)
    networks: Mapping[str, Network | None] = dataclasses.field(default_factory=dict)
    tiers: tuple[Tier, ...] | None = None
    routers: Mapping[str, Router | None] = dataclasses.field(default_factory=dict)
    uplinks: tuple[UplinkPort, ...] | None = None
    """All that are plugged in."""
    dpids: frozenset[int] | None = None
    """The switches that programs are wanted for."""
    tunnels: Mapping[int, Tunnel | None] = dataclasses.field(default_factory=dict)
    """By datapath id."""
    fabric: Fabric | None = None
    """None: as it was."""
    queues: Mapping[str, Queue | None] = dataclasses.field(default_factory=dict)
    mirrors: tuple[MirrorPort, ...] | None = None
    """All that are plugged in."""
    away: frozenset[int] | None = None
    """Switches whose hosts are not connected; None: as it was."""


class Inputs:
    """The truth as of now."""

    def __init__(self) -> None:
        self.policies: dict[str, Policy] = {}
        """Those that decide or are observed."""
        self.groups: dict[str, Group] = {}
        self.services: dict[str, Service] = {}
        self.networks: dict[str, Network] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self.unaddressed: dict[UnaddressedPort, None] = {}
        self.routers: dict[str, Router] = {}
        self.uplinks: tuple[UplinkPort, ...] = ()
        self.dpids: frozenset[int] = frozenset()
        self.tunnels: dict[int, Tunnel] = {}
        self.fabric = NO_FABRIC
        self.queues: dict[str, Queue] = {}
        self.mirrors: tuple[MirrorPort, ...] = ()
        self.away: frozenset[int] = frozenset()
        self.intents = self._intents(DEFAULT_TIERS)
        self.seen: tuple[Intents, Inventory] | None = None
        """What all this is, if it was given as a whole: the next whole is compared with it, quickly if they are kin."""

    def path(self, here: int, there: int) -> Path | Toward | None:
        """Return the way from one switch to another, if wires or a tunnel lead there."""
        if self.fabric.joins(here, there):
            return Toward(self.fabric.numbers[there])
        return Path(self.tunnels[here], self.tunnels[there]) if linked(self.tunnels, here, there) else None

    def leads_out(self, dpid: int) -> bool:
        """Whether wires or a tunnel may lead from a switch to any other."""
        return dpid in self.tunnels or dpid in self.fabric.parts

    def _intents(self, tiers: tuple[Tier, ...]) -> Intents:
        return Intents(self.networks, self.groups, self.services, self.policies, {}, tiers, routers=self.routers)

    def apply(self, wanted: Changes) -> Changes:
        """Make changes true; return those that were none yet."""
        unaddressed = {p: there for p, there in wanted.unaddressed.items() if (p in self.unaddressed) != there}
        for port, there in unaddressed.items():
            if there:
                self.unaddressed[port] = None
            else:
                del self.unaddressed[port]
        tiers = wanted.tiers if wanted.tiers != self.intents.tiers else None
        if tiers is not None:
            self.intents = self._intents(tiers)
        uplinks = wanted.uplinks if wanted.uplinks != self.uplinks else None
        if uplinks is not None:
            self.uplinks = uplinks
        dpids = wanted.dpids if wanted.dpids != self.dpids else None
        if dpids is not None:
            self.dpids = dpids
        fabric = None if wanted.fabric is self.fabric else wanted.fabric
        self.fabric = fabric or self.fabric
        mirrors = wanted.mirrors if wanted.mirrors != self.mirrors else None
        if mirrors is not None:
            self.mirrors = mirrors
        away = wanted.away if wanted.away != self.away else None
        if away is not None:
            self.away = away
        policies = {n: None if p is None or p.mode is Mode.OFF else p for n, p in wanted.policies.items()}
        return Changes(
            endpoints=_apply(self.endpoints, wanted.endpoints),
            unaddressed=unaddressed,
            policies=_apply(self.policies, policies),
            groups=_apply(self.groups, wanted.groups),
            services=_apply(self.services, wanted.services),
            networks=_apply(self.networks, wanted.networks),
            routers=_apply(self.routers, wanted.routers),
            uplinks=uplinks,
            tiers=tiers,
            dpids=dpids,
            tunnels=_apply(self.tunnels, wanted.tunnels),
            fabric=fabric,
            queues=_apply(self.queues, wanted.queues),
            mirrors=mirrors,
            away=away,
        )

    def whole(self) -> Changes:
        """Return everything, as changes to nothing."""
        return Changes(
            endpoints=dict(self.endpoints),
            unaddressed=dict.fromkeys(self.unaddressed, True),
            policies=dict(self.policies),
            groups=dict(self.groups),
            services=dict(self.services),
            networks=dict(self.networks),
            routers=dict(self.routers),
            uplinks=self.uplinks,
            tiers=self.intents.tiers,
            dpids=self.dpids,
            tunnels=dict(self.tunnels),
            fabric=self.fabric,
            queues=dict(self.queues),
            mirrors=self.mirrors,
            away=self.away,
        )

    def changes_to(self, intents: Intents, inventory: Inventory, dpids: Collection[int]) -> Changes:
        """Return what leads from here to there; what is the same object costs next to nothing."""
        known = self.seen is not None
        was, here = self.seen or (intents, inventory)
        return Changes(
            endpoints=_difference(self.endpoints, inventory.endpoints, here.endpoints if known else None),
            unaddressed=self._unaddressed(here if known else None, inventory),
            policies=_difference(self.policies, intents.policies, was.policies if known else None),
            groups=_difference(self.groups, intents.groups, was.groups if known else None),
            services=_difference(self.services, intents.services, was.services if known else None),
            networks=_difference(self.networks, intents.networks, was.networks if known else None),
            routers=_difference(self.routers, intents.routers, was.routers if known else None),
            uplinks=inventory.uplinks,
            tiers=intents.tiers,
            dpids=frozenset(dpids),
            tunnels=_difference(self.tunnels, inventory.tunnels),
            fabric=inventory.fabric,
            queues=_difference(self.queues, intents.queues, was.queues if known else None),
            mirrors=inventory.mirrors,
            away=inventory.away,
        )

    def _unaddressed(self, was: Inventory | None, now: Inventory) -> dict[UnaddressedPort, bool]:
        if was is not None and was.unaddressed is now.unaddressed:
            return {}
        there = dict.fromkeys(now.unaddressed)
        found = {p: True for p in there if p not in self.unaddressed}
        return found | {p: False for p in self.unaddressed if p not in there}


def _difference(
    here: Mapping[_Key, _Thing], there: Mapping[_Key, _Thing], was: Mapping[_Key, _Thing] | None = None
) -> dict[_Key, _Thing | None]:
    """Return what leads from here to there; `was` is what made `here` so, if that is known."""
    if was is not None:
        return {name: there.get(name) for name in differing(was, there)}
    get = here.get
    found: dict[_Key, _Thing | None] = {name: thing for name, thing in there.items() if get(name) is not thing}
    if found or len(here) != len(there):
        found.update(dict.fromkeys(here.keys() - there.keys()))
    return found


def _apply(here: dict[_Key, _Thing], wanted: Mapping[_Key, _Thing | None]) -> dict[_Key, _Thing | None]:
    """Change `here`; return what of it was a change."""
    done: dict[_Key, _Thing | None] = {}
    for name, thing in wanted.items():
        before = here.get(name)
        if thing is None:
            if here.pop(name, None) is not None:
                done[name] = None
        elif before != thing:
            here[name] = done[name] = thing
        else:
            here[name] = thing  # equal, but the newer object is recognised sooner next time
    return done

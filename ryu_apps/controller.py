"""The controller, put together: store, OVSDB clients, planner, reconciler, REST. Knows no Ryu."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from intent.api.app import make_app
from intent.api.ports import Limits, Ports
from intent.compiler.cookie import Kind
from intent.inventory import Grants
from intent.store import Store, ensure_token
from ovsdb import BridgeWish
from ryu_apps import probing, threads
from ryu_apps.administration import Administration
from ryu_apps.annals import Annals
from ryu_apps.at_once import Aside
from ryu_apps.bare import BareSwitches
from ryu_apps.counting import Counted
from ryu_apps.hosts import Hosts, known_hosts
from ryu_apps.learner import Learner
from ryu_apps.leasing import Leases
from ryu_apps.memory import Memory
from ryu_apps.planner import Planner
from ryu_apps.plugging import Plugs
from ryu_apps.polling import Polling
from ryu_apps.readiness import Readiness
from ryu_apps.reconciler import Reconciler
from ryu_apps.session import Listener, Session
from ryu_apps.status import Clock, CurrentInventory, Faults, Status, Waiter
from ryu_apps.surveyor import Surveyor
from ryu_apps.switches import Switches
from ryu_apps.tunneling import Overlay, TunnelKeeper
from ryu_apps.unasked import Unasked, tell_sender
from ryu_apps.web import Web, installed_version
from ryu_apps.wires import Wires
from topology.site import empty_site

if TYPE_CHECKING:
    from intent.schema.changes import Applied, Wanted
    from ryu_apps.config import Config
    from topology.model import Report

log = logging.getLogger("ringfence")

sys.setswitchinterval(0.0005)  # seconds; with Python's 5 ms each answer of a switch waits so long for a compilation


class _WatchedStore(Store):
    """A store that tells when a revision was made."""

    on_applied: Callable[[], None]

    def apply(
        self,
        changes: Sequence[Wanted],
        *,
        author: str,
        at: datetime,
        message: str = "",
        expected_revision: int | None = None,
    ) -> Applied:
        applied = super().apply(changes, author=author, at=at, message=message, expected_revision=expected_revision)
        self.on_applied()
        return applied


class Controller(Listener):
    """Everything that runs. `start` and `stop` are called once, in this order."""

    def __init__(self, config: Config, target: str) -> None:
        """Open the store and bind the REST address; `target` is what bridges are to connect to.

        Raises:
            StoreError, Damaged: the store cannot be used.
            OSError: the REST address cannot be had.
            BadTarget: an OVSDB target cannot be right.
        """
        self.config = config
        self.store = _WatchedStore(config.store_path)
        self.memory = memory = Memory(self.store)
        self.reconciler = Reconciler(memory.generation, config.reconcile.verify_interval_s)
        self._known = known_hosts(self.store, config.ovsdb)
        site = empty_site(memory.owner, (*config.ovsdb.targets, *self._known))
        self.planner = Planner(memory, self.reconciler, self.store.intents, site, config.bridge.name)
        self.planner.aside = Aside().run
        self.planner.grants = Grants(config.labels.ovsdb)
        self.store.on_applied = self.planner.touch
        self.overlay = Overlay(config.tunnel.plan, config.bridge.name, self.planner.landmarks, self._look_everywhere)
        self.planner.extend, self.planner.announce = self.overlay.extend, self.overlay.announce
        admission = config.openflow.admission
        self.switches = Switches(self.reconciler, self, admission.dpids, admission.names)
        self.wires = Wires(self.planner, memory, self.switches.session)
        named = (config.bridge.name, memory.owner)
        self.bare = BareSwitches(config.openflow.bare, named, self.store, self.switches.session, self.planner.observe)
        self.counted = Counted(self.reconciler.counters, lambda: self.memory.ids, self.store.intents)
        self.polling = Polling(self, self.counted)
        self.unasked = Unasked(
            {
                Kind.LEARN: Learner(self.planner).look,
                Kind.REJECT: tell_sender,
                Kind.PROBE: probing.heard,
                Kind.LINK: self.wires.heard,
                Kind.SAMPLE: self.polling.sample,
            }
        )
        wish = _wish(config, memory.owner, target)
        self.hosts = Hosts(config.ovsdb, wish, lambda: self.planner.site, self.planner.observe, self._may_write)
        self.hosts.store = self.store
        self.clients = self.hosts.clients
        self._keep_tunnels()
        self.surveyor = Surveyor(self.planner, self.reconciler, lambda: self.store.revision)
        self.surveyor.links, self.surveyor.reports = self.wires.links, self.reports
        self.surveyor.annals = Annals(memory)
        watching = (self.surveyor, self.wires, self.polling, self.bare, Readiness())
        self._parts: tuple[threads.Part, ...] = (self.planner, self.unasked, *watching)
        self.web = Web(config.rest, self._rest_app())
        log.info("generation %d, store %s at revision %d", memory.generation, config.store_path, self.store.revision)

    def _rest_app(self) -> Callable[..., Iterable[bytes]]:
        ports = Ports(
            store=self.store,
            status=Status(self),
            inventory=CurrentInventory(self),
            clock=Clock(),
            waiter=Waiter(self),
            faults=Faults(),
            counters=self.counted,
            plugs=Plugs(self),
            hosts=Administration(self),
            topology=self.surveyor,
            gauges=self.polling,
            leases=Leases(self.store, self.reconciler.superseded),
        )
        limits = Limits(body_bytes=self.config.rest.body_limit)
        return make_app(ports, token=ensure_token(self.config.token_path), limits=limits, version=installed_version())

    # -- life ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start every thread."""
        for part in self._parts:
            threads.start(part)
        self.hosts.start(self._known)
        self.web.start()
        log.info(
            "REST on %s port %d, token in %s", self.config.rest.host, self.config.rest.port, self.config.token_path
        )

    def stop(self) -> None:
        """Stop everything; the switches keep their flows."""
        self.web.stop()
        for part in self._parts:
            part.stop()
        self.hosts.stop(0.5)
        self.store.close()

    def _keep_tunnels(self) -> None:
        bridge, owner = self.config.bridge.name, self.memory.owner
        self.hosts.keep_tunnels(
            lambda client: TunnelKeeper(client, bridge, owner, lambda: self.planner.site, lambda: self.overlay.wanted)
        )

    def _look_everywhere(self) -> None:
        for keeper in list(self.hosts.keepers.values()):
            keeper.look()

    # -- events --------------------------------------------------------------------------------

    def ports_changed(self, session: Session) -> None:
        """A port came or went: its switch's thread looks again."""
        self.wires.ports_changed(session)
        self.bare.ports_changed(session)
        self.reconciler.wake(session.dpid)

    def unasked_came(self, session: Session) -> None:
        """A packet-in waits."""
        self.unasked.came(session)

    def learned(self, session: Session) -> None:
        """More is known of what a switch can do."""
        self.reconciler.note(session.dpid, portless=session.portless)

    def became_stale(self, session: Session) -> None:
        """Another controller took over: its thread finds out and says so."""
        self.reconciler.wake(session.dpid)

    # -- answers -------------------------------------------------------------------------------

    def _may_write(self) -> bool:
        return not self.reconciler.superseded()

    def reports(self) -> tuple[Report, ...]:
        """Return what an operator should know that no row or document says."""
        return (*self.wires.reports(), *self.switches.reports())

    def keeper_problem(self, host: str) -> str:
        """Return why a host's bridge is not as it must be; empty when it is."""
        return self.hosts.problem(host)


def _wish(config: Config, owner: str, target: str) -> BridgeWish:
    bridge = config.bridge
    return BridgeWish(bridge.name, owner, (target,), datapath_type=bridge.datapath_type, adopt=bridge.adopt)

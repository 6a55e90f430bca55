"""What the REST API asks the controller; implements the protocols of `intent.api.ports`."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from intent.api.ports import SwitchStatus
from intent.store.zones import offsets
from ryu_apps.reconciler import SwitchState
from topology.model import Inventory

if TYPE_CHECKING:
    from ryu_apps.controller import Controller

log = logging.getLogger("ringfence.api")


class Status:
    """How far the switches are: `StatusPort`."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller

    def switches(self) -> Sequence[SwitchStatus]:
        """Return each host's integration bridge with its switch's progress, also one that cannot be made."""
        controller = self._controller
        states = {state.dpid: state for state in controller.reconciler.states()}
        bridges = {bridge.host: bridge for bridge in controller.planner.bridges()}
        found = []
        for host in (*controller.clients, *controller.bare.hosts):
            dpid = bridges[host].dpid or 0 if host in bridges else 0
            state = states.get(dpid, SwitchState(dpid))
            found.append(
                SwitchStatus(
                    dpid=dpid,
                    bridge=controller.config.bridge.name,
                    host=host,
                    connected=state.connected,
                    revision=state.realized,
                    flows=state.flows,
                    problem=controller.keeper_problem(host) or state.problem or controller.planner.stuck,
                    portless=state.portless,
                )
            )
        return found

    def failures(self) -> Mapping[tuple[str, str], str]:
        """Return the documents that are newer than what could be compiled, and why it could not."""
        planner, store = self._controller.planner, self._controller.store
        if not planner.failure:
            return {}
        newer = (s for s in store.documents() if s.revision > planner.planned_revision)
        return {(s.document.kind, s.document.name): planner.failure for s in newer}


class CurrentInventory:
    """Who is plugged in: `InventoryPort`."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller

    def current(self) -> Inventory:
        """Return the inventory of the newest compilation."""
        built, others = self._controller.planner.built, self._controller.reports()
        inventory = built.inventory if built else Inventory()
        return dataclasses.replace(inventory, reports=(*inventory.reports, *others)) if others else inventory


class Clock:
    """The time: `ClockPort`."""

    def now(self) -> datetime:
        """Return the instant, in UTC."""
        return datetime.now(UTC)

    def offsets(self, zones: Iterable[str], now: datetime) -> Mapping[str, timedelta]:
        """Return local time minus UTC at an instant, by IANA zone."""
        return offsets(zones, now)


class Waiter:
    """Waiting for switches: `WaiterPort`."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller

    def wait(self, revision: int, timeout_s: float) -> None:
        """Return when every switch of ours confirmed `revision`, when it cannot be compiled, or after `timeout_s`."""
        planner, status = self._controller.planner, Status(self._controller)
        planner.touch()

        def done() -> bool:
            failed = bool(planner.failure) and planner.failed_revision >= revision
            if not failed and not self._controller.reconciler.is_realized(revision):
                return False  # asked whenever a switch makes progress: the cheap question goes first
            return failed or all(s.revision is not None and s.revision >= revision for s in status.switches())

        self._controller.reconciler.wait(done, timeout_s)

    def breathe(self) -> None:
        """Let others run."""
        time.sleep(0)


class Faults:
    """Where the API's own faults go: `FaultPort`."""

    def report(self, error: BaseException) -> None:
        """Log a fault with its traceback."""
        log.error("a request failed by a fault of ours: report it with these lines", exc_info=error)

"""What was left behind when dockerd or the driver died at a bad moment, found by asking the Engine twice."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Protocol

from docker_driver.engine import Attached
from docker_driver.ipam import Ipam
from docker_driver.network import Driver
from docker_driver.state import Network, State

log = logging.getLogger("ringfence.docker.orphans")

LOOK_S = 30.0
AGE_S = 60.0
"""Nothing younger is an orphan: its making may be under way."""


class EnginePort(Protocol):
    """What is asked of the Engine; `docker_driver.engine.Engine` is one."""

    def networks(self) -> list[tuple[Network, str]]:
        """Return our networks."""

    def attached(self, network: str) -> Attached | None:
        """Return what hangs on a network."""


class Orphans:
    """Collects. One thread."""

    def __init__(
        self, state: State, engine: EnginePort, driver: Driver, ipam: Ipam, clock: Callable[[], float] = time.time
    ) -> None:
        """Nothing happens before `look`."""
        self._state = state
        self._engine = engine
        self._driver = driver
        self._ipam = ipam
        self._clock = clock
        self._suspects: set[tuple[str, ...]] = set()

    def look(self) -> None:
        """Take in networks that we do not know, and let go what the Engine does not know, twice in a row.

        Raises:
            Unreachable: the Engine does not answer; nothing is collected then.
        """
        known = {network.uid: network for network, _ in self._engine.networks()}
        ours = self._state.networks()
        for uid in known.keys() - ours.keys():
            log.warning("network %s was unknown: taken in", uid[:12])
            self._state.put_network(known[uid])
        suspects = {*self._endpoints(set(known)), *self._addresses()}
        for suspect in sorted(suspects & self._suspects):
            self._collect(*suspect)
        self._suspects = suspects

    def _endpoints(self, networks: set[str]) -> set[tuple[str, ...]]:
        endpoints = self._state.endpoints().values()
        alive: set[str] = set()
        for uid in sorted({e.network for e in endpoints} & networks):
            attached = self._engine.attached(uid)
            alive |= attached.ends if attached else set()
        old = self._clock() - AGE_S
        return {("endpoint", e.uid) for e in endpoints if e.uid not in alive and e.made_at < old}

    def _addresses(self) -> set[tuple[str, ...]]:
        """Return addresses that are held by a MAC for which there is no endpoint."""
        used = {(e.mac, a.partition("/")[0]) for e in self._state.endpoints().values() for a in e.addresses}
        return {("address", pool, address) for pool, address, mac in self._ipam.held() if (mac, address) not in used}

    def _collect(self, kind: str, *what: str) -> None:
        log.warning("orphaned %s %s: collected", kind, " ".join(what))
        if kind == "endpoint":
            self._driver.remove(what[0])
        else:
            self._ipam.release_address(*what)

"""Keeps one host's integration bridge as it must be: made, secure, out of band, pointed at us."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import threading
from collections.abc import Callable

from ovsdb import BridgeWish, Client, EnsureError, OvsdbError, bridge_faults, ensure_bridge
from ovsdb.wishes import DPID_KEY
from ryu_apps.tunneling import TunnelKeeper
from topology.site import Site, SiteBridge

log = logging.getLogger("ringfence.keeper")

APPLY_S = 10.0
FIRST_RETRY_S, LAST_RETRY_S = 0.5, 30.0


class Keeper:
    """One thread for one OVSDB server. `look` may be called by any thread."""

    def __init__(self, client: Client, wish: BridgeWish, site: Callable[[], Site], allowed: Callable[[], bool]) -> None:
        """Keep `wish` true at `client`; write only while `allowed` says so."""
        self._client = client
        self._wish = wish
        self._site = site
        self._allowed = allowed
        self._woken = threading.Event()
        self.tunnels: TunnelKeeper | None = None
        self.stopped = False
        self.problem = ""
        """Why the bridge is not as it must be; empty when it is."""

    def look(self) -> None:
        """Compare again: something changed."""
        self._woken.set()

    def stop(self) -> None:
        """End the thread soon."""
        self.stopped = True
        self._woken.set()

    def run(self) -> None:
        """Keep the bridge until stopped. Whoever begins anew after a fault looks anew."""
        retry_s: float | None = None
        self._woken.set()
        while not self.stopped:
            self._woken.wait(retry_s)
            self._woken.clear()
            if self.stopped or not self._faults() or not self._allowed():
                retry_s = None
                continue
            try:
                self._mend()
                retry_s = None
            except (OvsdbError, EnsureError) as error:
                self._fail(str(error))
                retry_s = min((retry_s or FIRST_RETRY_S / 2) * 2, LAST_RETRY_S)

    def _faults(self) -> tuple[str, ...]:
        host = self._site().hosts.get(self._client.host)
        if host is None or host.stale:
            return ()  # not connected: the resync that comes with the connection wakes us
        bridge = self._bridge()
        if bridge is None:
            return ("there is none",)
        return bridge_faults(bridge, self._fixed(bridge)) or (self.tunnels.faults() if self.tunnels else ())

    def _bridge(self) -> SiteBridge | None:
        return self._site().bridge(self._client.host, self._wish.name)

    def _fixed(self, bridge: SiteBridge | None) -> BridgeWish:
        """Return the wish with a datapath id: Open vSwitch's own choice would change with the ports."""
        return dataclasses.replace(self._wish, dpid=datapath_id(bridge, f"{self._wish.owner}/{self._client.host}"))

    def _mend(self) -> None:
        faults = "; ".join(self._faults())
        if ensure_bridge(self._client, self._fixed(self._bridge()), wait_s=APPLY_S).changed:
            log.info("%s: bridge %s made right: %s", self._client.host, self._wish.name, faults)
        if self.tunnels is not None and self.tunnels.faults():
            self.tunnels.mend(APPLY_S)
        self.problem = ""

    def _fail(self, problem: str) -> None:
        if problem != self.problem and not self.stopped:
            log.error("%s: bridge %s: %s", self._client.host, self._wish.name, problem)
        self.problem = problem


def datapath_id(bridge: SiteBridge | None, name: str) -> int:
    """Return the id that somebody fixed, else the one the bridge has, else one that follows from `name`."""
    fixed = bridge.other_config.get(DPID_KEY, "") if bridge else ""
    try:
        chosen = int(fixed, 16)
    except ValueError:
        chosen = 0
    derived = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return chosen or (bridge.dpid if bridge and bridge.dpid else 0) or derived

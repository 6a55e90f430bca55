"""Ports of the integration bridges over REST: `PlugPort`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from intent.api.plug_refused import PlugRefused
from intent.api.ports import Plugged, PlugHost
from ovsdb import EnsureError, OvsdbError, PortWish, ensure_port, remove_port, set_external_ids
from topology.site import OWNER_KEY, SiteInterface

if TYPE_CHECKING:
    from ovsdb import Client
    from ryu_apps.controller import Controller

MANAGED = ("ringfence:", "docker-")
"""Keys that a wish speaks of in full: of these, what it leaves out is removed."""


class Plugs:
    """What clients plug in. Only ports that were made here are changed or removed."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._owner = controller.memory.owner
        self._bridge = controller.config.bridge.name

    def hosts(self) -> Sequence[PlugHost]:
        """Return the hosts, as last heard."""
        site, found = self._controller.planner.site, []
        for name, host in site.hosts.items():
            if name not in self._controller.clients:
                continue  # a switch whose database is not ours
            bridge = site.bridge(name, self._bridge)
            ours = bridge is not None and bridge.ours
            kind = (bridge.datapath_type or "system") if bridge is not None and ours else ""
            found.append(PlugHost(name, self._bridge, kind, connected=host.synced and not host.stale))
        return found

    def plugged(self) -> Sequence[Plugged]:
        """Return the ports that were made here, as last heard."""
        return [Plugged(i.host, i.name, i.ofport, i.error or "", _without_mark(i)) for i in self._interfaces()]

    def plug(self, host: str, name: str, external_ids: Mapping[str, str]) -> bool:
        """Make a port, or make it right; durable on return.

        Raises:
            PlugRefused: the host is unknown or away, or the name is taken by a port that was not made here.
        """
        target, client = self._client(host)
        surplus = self._surplus(target, name, external_ids)
        try:
            changed = ensure_port(client, PortWish(self._bridge, self._owner, name, external_ids=external_ids)).changed
            if surplus:
                set_external_ids(client, self._owner, name, dict.fromkeys(surplus))
        except (EnsureError, OvsdbError) as error:
            raise _refused(name, error) from error
        return changed or bool(surplus)

    def unplug(self, host: str, name: str) -> bool:
        """Remove a port if it is there.

        Raises:
            PlugRefused: as for `plug`.
        """
        _, client = self._client(host)
        try:
            return remove_port(client, self._owner, self._bridge, name).changed
        except (EnsureError, OvsdbError) as error:
            raise _refused(name, error) from error

    def _interfaces(self) -> list[SiteInterface]:
        return [
            i
            for i in self._controller.planner.site.interfaces()
            if i.ours and i.external_ids.get(OWNER_KEY) == self._owner and i.name != i.bridge == self._bridge
        ]

    def _surplus(self, host: str, name: str, wanted: Mapping[str, str]) -> list[str]:
        """Return the keys of ours that the port has and should not have."""
        present = (i for i in self._interfaces() if (i.host, i.name) == (host, name))
        return [key for i in present for key in i.external_ids if key.startswith(MANAGED) and key not in wanted]

    def _client(self, host: str) -> tuple[str, Client]:
        if self._controller.reconciler.superseded():
            raise PlugRefused("another controller has taken over", "ask that one", passing=True)
        clients = self._controller.clients
        if not host and len(clients) == 1:
            host = next(iter(clients))
        if host not in clients:
            known = ", ".join(clients)
            raise PlugRefused(f"host {host[:80]!r} is not managed here", f"say one of {known}", passing=False)
        return host, clients[host]


def _without_mark(interface: SiteInterface) -> dict[str, str]:
    return {key: value for key, value in interface.external_ids.items() if key != OWNER_KEY}


def _refused(name: str, error: Exception) -> PlugRefused:
    remedy = "is the host's Open vSwitch up? See `ringfence switches`"
    return PlugRefused(f"port {name}: {error}", remedy, passing=not isinstance(error, EnsureError))

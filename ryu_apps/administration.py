"""What people set up on hosts by hand over REST: `HostPort`. What others made is left as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from intent.api.host_ports import HostChange, HostStatus
from intent.api.plug_refused import PlugRefused
from ovsdb import (
    Applied,
    Change,
    EnsureError,
    IpfixWish,
    ManagerWish,
    MirrorWish,
    NetflowWish,
    OvsdbError,
    PolicingWish,
    PortWish,
    QosWish,
    QueueWish,
    SflowWish,
    SslWish,
    TunnelWish,
    Vlan,
    Wish,
    ensure,
    ensure_port,
    ensure_tunnel,
    remove,
    remove_port,
)

if TYPE_CHECKING:
    from ovsdb import Client
    from ryu_apps.controller import Controller

PORTS = ("ports", "tunnels")
Fields: TypeAlias = dict[str, Any]
Maker: TypeAlias = Callable[[str, str, str, Fields], Wish]


class Administration:
    """The hosts, and what is set up on them. Every change is planned first, so that it can be told."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._owner = controller.memory.owner
        self._bridge = controller.config.bridge.name

    def hosts(self) -> Sequence[HostStatus]:
        """Return the hosts, as last heard."""
        controller = self._controller
        site, found = controller.planner.site, []
        for name in sorted(controller.clients):
            host = site.hosts.get(name)
            bridge = site.bridge(name, self._bridge)
            root = host.root if host is not None else None
            found.append(
                HostStatus(
                    name=name,
                    dials_in=name not in controller.hosts.dialling,
                    connected=host is not None and host.synced and not host.stale,
                    ovs_version=root.ovs_version if root is not None else "",
                    bridge=self._bridge if bridge is not None and bridge.ours else "",
                    problem=controller.keeper_problem(name),
                )
            )
        return found

    def forget(self, host: str) -> None:
        """Forget a host that dialled in and is away."""
        self._client(host)
        if not self._controller.hosts.forget(host):
            dialled = host in self._controller.hosts.dialling
            remedy = "take it out of ovsdb.targets" if dialled else "end its connection first: `ovs-vsctl del-manager`"
            raise PlugRefused(f"host {host[:80]!r} is {'dialled' if dialled else 'connected'}", remedy, passing=False)

    def ensure(
        self, host: str, kind: str, name: str, fields: Mapping[str, object], *, dry_run: bool
    ) -> Sequence[HostChange]:
        """Make a setting so; durable on return."""
        client = self._client(host)
        try:
            planned = self._ensure(client, kind, name, fields, dry_run=True)
            if not dry_run and planned.changed:
                self._ensure(client, kind, name, fields, dry_run=False)
        except (EnsureError, OvsdbError) as error:
            raise _refused(host, error) from error
        return [_told(change) for change in planned.changes]

    def remove(self, host: str, kind: str, name: str, *, dry_run: bool) -> Sequence[HostChange]:
        """Take a setting away if it is there; durable on return."""
        client = self._client(host)
        try:
            planned = self._remove(client, kind, name, dry_run=True)
            if not dry_run and planned.changed:
                self._remove(client, kind, name, dry_run=False)
        except (EnsureError, OvsdbError) as error:
            raise _refused(host, error) from error
        return [_told(change) for change in planned.changes]

    def _ensure(self, client: Client, kind: str, name: str, fields: Mapping[str, Any], *, dry_run: bool) -> Applied:
        if kind == "tunnels":
            return ensure_tunnel(client, TunnelWish(self._bridge, self._owner, name, **fields), dry_run=dry_run)
        if kind == "ports":
            vlan = fields["vlan"]
            asked = Vlan(vlan["tag"], frozenset(vlan["trunks"]), vlan["mode"]) if vlan else None
            wish = PortWish(self._bridge, self._owner, name, **{**fields, "vlan": asked})
            return ensure_port(client, wish, dry_run=dry_run)
        return ensure(client, self._wish(kind, name, fields), dry_run=dry_run)

    def _remove(self, client: Client, kind: str, name: str, *, dry_run: bool) -> Applied:
        if kind not in PORTS:
            return remove(client, self._wish(kind, name, {}), dry_run=dry_run)
        if name == self._bridge:
            raise EnsureError(f"port {name} is the bridge's own and comes and goes with it")
        return remove_port(client, self._owner, self._bridge, name, dry_run=dry_run)

    def _wish(self, kind: str, name: str, fields: Mapping[str, Any]) -> Wish:
        """Return the wish; without fields, one that is good enough to be removed."""
        make = _MAKERS.get(kind)
        if make is None:
            raise EnsureError(f"there is no kind {kind[:40]!r}")
        return make(self._bridge, self._owner, name, dict(fields))

    def _client(self, host: str) -> Client:
        if self._controller.reconciler.superseded():
            raise PlugRefused("another controller has taken over", "ask that one", passing=True)
        if host not in self._controller.clients:
            raise PlugRefused(f"host {host[:80]!r} is not managed here", "see `ringfence ovsdb hosts`", passing=False)
        return self._controller.clients[host]


def _queues(bridge: str, owner: str, port: str, fields: Fields) -> Wish:
    queues = {int(number): QueueWish(**queue) for number, queue in fields.pop("queues", {}).items()}
    return QosWish(bridge, owner, port, queues=queues, **fields)


def _mirror(bridge: str, owner: str, name: str, fields: Fields) -> Wish:
    for column in ("sources", "destinations"):
        fields[column] = tuple(fields.get(column, ()))
    return MirrorWish(bridge, owner, name, vlans=frozenset(fields.pop("vlans", ())), **fields)


def _export(kind: type[NetflowWish | SflowWish | IpfixWish]) -> Maker:
    return lambda bridge, owner, _, fields: kind(bridge, owner, tuple(fields.pop("targets", ())), **fields)


_MAKERS: Mapping[str, Maker] = {
    "queues": _queues,
    "policing": lambda bridge, owner, port, fields: PolicingWish(bridge, owner, port, **fields),
    "mirrors": _mirror,
    "netflow": _export(NetflowWish),
    "sflow": _export(SflowWish),
    "ipfix": _export(IpfixWish),
    "managers": lambda _, owner, target, fields: ManagerWish(owner, target, **fields),
    "ssl": lambda _, owner, __, fields: SslWish(owner, **fields),
}
"""By kind: from bridge, owner, name and fields to the wish."""


def _told(change: Change) -> HostChange:
    return HostChange(change.action, change.table, change.row, change.column, change.before, change.after, str(change))


def _refused(host: str, error: Exception) -> PlugRefused:
    if isinstance(error, EnsureError):
        return PlugRefused(str(error), "put it right as the message says; `--dry-run` shows the plan", passing=False)
    return PlugRefused(f"host {host}: {error}", "is the host connected? See `ringfence ovsdb hosts`", passing=True)

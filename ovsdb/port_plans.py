"""The operations that make, mend and remove ports of our bridge. Pure.

Only what carries our owner id is changed; whoever made a port of the wished name keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping

from ovsdb.columns import Columns
from ovsdb.errors import EnsureError
from ovsdb.operations import guard, is_row, map_changes, mutate, named, set_of, uuid
from ovsdb.port_wishes import PortWish, Vlan, check_pairs
from ovsdb.scene import Held, Query, Scene, by_name
from ovsdb.session import Operation
from ovsdb.settle import made, marked, settle
from topology.site import OWNER_KEY


def port_queries(bridge: str, *ports: str) -> list[Query]:
    """Return what a plan for ports of a bridge reads."""
    return [*by_name("Bridge", bridge), *by_name("Port", *ports), *by_name("Interface", *ports)]


def plan_port(scene: Scene, wish: PortWish) -> list[Operation]:
    """Return the operations that make the port right; none if it is.

    Raises:
        EnsureError: the bridge is not ours, or a port of that name is not.
    """
    check_pairs(wish.name, "external_ids", wish.external_ids)
    bridge = our_bridge(scene, wish.bridge, wish.owner)
    if scene.named("Port", wish.name) is None and scene.named("Interface", wish.name) is None:
        return _make_port(bridge, wish)
    port, interface = our_port(scene, wish.bridge, wish.owner, wish.name)
    keys: dict[str, Mapping[str, str | None]] = {"external_ids": {**wish.external_ids, OWNER_KEY: wish.owner}}
    if wish.bfd is not None:
        keys["bfd"] = wish.bfd
    changes = [*settle(port, _port_columns(wish)), *settle(interface, _interface_columns(wish), keys)]
    return [still_ours("Port", port, wish.owner), *changes] if changes else []


def plan_removal(scene: Scene, bridge: str, owner: str, name: str) -> list[Operation]:
    """Return the operations that remove a port; none if there is none.

    Raises:
        EnsureError: it is not ours.
    """
    if scene.named("Port", name) is None:
        return []
    port, _ = our_port(scene, bridge, owner, name)
    removal = mutate("Bridge", our_bridge(scene, bridge, owner).uid, ("ports", "delete", set_of([uuid(port.uid)])))
    return [still_ours("Port", port, owner), removal]


def plan_external_ids(scene: Scene, owner: str, name: str, wanted: Mapping[str, str | None]) -> list[Operation]:
    """Return the operations that set (or with None, remove) external_ids of one of our interfaces.

    Raises:
        EnsureError: there is no such interface, it is not ours, or the owner's mark would change.
    """
    interface = our_interface(scene, owner, name)
    check_pairs(name, "external_ids", wanted)
    changes = map_changes("external_ids", interface.columns["external_ids"], wanted)
    if not changes:
        return []
    return [still_ours("Interface", interface, owner), mutate("Interface", interface.uid, *changes)]


def our_interface(scene: Scene, owner: str, name: str) -> Held:
    """Return the interface if we made it.

    Raises:
        EnsureError: we did not.
    """
    interface = scene.named("Interface", name)
    if interface is None or interface.owner != owner:
        raise EnsureError(f"interface {name}: we made none of that name, so it stays as it is")
    return interface


def our_bridge(scene: Scene, name: str, owner: str) -> Held:
    """Return the bridge if it is ours.

    Raises:
        EnsureError: it is not there or not ours.
    """
    bridge = scene.named("Bridge", name)
    if bridge is None or bridge.owner != owner:
        raise EnsureError(f"bridge {name} is not there or not ours; ensure the bridge first")
    return bridge


def our_port(scene: Scene, bridge: str, owner: str, name: str) -> tuple[Held, Held]:
    """Return the port and its interface if we made them on this bridge.

    Raises:
        EnsureError: we did not, or they are elsewhere.
    """
    port, interface = scene.named("Port", name), scene.named("Interface", name)
    on_bridge = port is not None and port.uid in our_bridge(scene, bridge, owner).columns["ports"]
    if port is None or interface is None or not on_bridge or interface.uid not in port.columns["interfaces"]:
        raise EnsureError(f"port {name} exists, but not on bridge {bridge} as one of ours; use another name")
    if port.owner != owner:
        raise EnsureError(f"port {name} on bridge {bridge} was made by somebody else; remove it first")
    return port, interface


def still_ours(table: str, held: Held, owner: str) -> Operation:
    """Let the transaction fail unless a row is there under its name and still carries our mark."""
    return guard(table, [is_row(held.uid), marked(owner)], [{"name": held.name}], ["name"])


def _make_port(bridge: Held, wish: PortWish) -> list[Operation]:
    interface: Columns = {"name": wish.name, **_interface_columns(wish), "external_ids": dict(wish.external_ids)}
    if wish.bfd:
        interface["bfd"] = dict(wish.bfd)
    port: Columns = {"name": wish.name, **_port_columns(wish)}
    insert_port = made("Port", "port", port, wish.owner)
    row = insert_port["row"]
    whole = {**(row if isinstance(row, dict) else {}), "interfaces": named("interface")}
    return [
        still_ours("Bridge", bridge, wish.owner),
        *(guard(table, [["name", "==", wish.name]], [], ["name"]) for table in ("Port", "Interface")),
        made("Interface", "interface", interface, wish.owner),
        {**insert_port, "row": whole},
        mutate("Bridge", bridge.uid, ("ports", "insert", set_of([named("port")]))),
    ]


def _interface_columns(wish: PortWish) -> Columns:
    columns: Columns = {"type": wish.type}
    asked = {"ofport_request": wish.ofport_request, "mac": wish.mac, "mtu_request": wish.mtu}
    columns.update({name: value for name, value in asked.items() if value is not None})
    if wish.options is not None:
        columns["options"] = dict(wish.options)
    return columns


def _port_columns(wish: PortWish) -> Columns:
    vlan: Vlan | None = wish.vlan
    return {} if vlan is None else {"tag": vlan.tag, "trunks": vlan.trunks, "vlan_mode": vlan.mode}

"""Rows and sites for tests."""

from __future__ import annotations

from ipaddress import ip_network

from intent.model import Intents, Network
from topology.events import BridgeRow, HostResynced, InterfaceRow, PortRow
from topology.site import Site, empty_site, reduce

HOST = "unix:db"
INTENTS = Intents(networks={"shop": Network("shop", subnets=(ip_network("10.0.0.0/8"),))})


def uid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def interface(number: int, *, ofport: int | None = None, **ids: str) -> InterfaceRow:
    identity = {
        "iface-id": f"e{number}",
        "attached-mac": f"02:00:00:00:00:{number:02x}",
        "ringfence:ip": f"10.0.0.{number}",
        "ringfence:network": "shop",
    }
    external_ids = {**identity, **{key.replace("_", ":"): value for key, value in ids.items()}}
    return InterfaceRow(uid(number), f"v{number}", ofport=ofport or number, external_ids=external_ids)


def port(number: int) -> PortRow:
    return PortRow(uid(100 + number), f"v{number}", frozenset({uid(number)}))


def bridge(numbers: frozenset[int] | set[int], owner: str = "me", **columns: object) -> BridgeRow:
    ports = frozenset(uid(100 + n) for n in numbers)
    return BridgeRow(uid(200), "br", dpid=1, ports=ports, external_ids={"ringfence": owner}, **columns)  # type: ignore[arg-type]


def site_of(*rows: object) -> Site:
    return reduce(empty_site("me", [HOST]), HostResynced(HOST, rows))  # type: ignore[arg-type]

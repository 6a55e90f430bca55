"""Router, uplink, multicast group and second host, for docs/pipeline.md: what they add, and walks through it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from ipaddress import IPv4Address, ip_address
from pathlib import Path

from intent.compiler import IdMap, allocate, compile_program
from intent.compiler import fields as f
from intent.compiler.flow import Flow
from intent.compiler.interpreter import Conntrack
from intent.model import router_mac
from scripts.example import DPID, Example, read
from scripts.pipeline_walk import Scene, Walker
from topology.model import Endpoint, Tunnel, TunnelKind
from topology.packet import ETH_IPV4, TCP, UDP, Frame

SOURCE = Path(__file__).with_name("pipeline_site.yaml")
OTHER = 2
"""Datapath id of the second host."""
ELSEWHERE = "web-2"
"""Who is on it."""
TUNNEL_PORT = 100
DOMAIN = "router/edge"
ROUTER = router_mac("edge")
WEB, DB, FAR = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"
HOST, SHOWN_AT = "02:00:00:00:00:04", ip_address("203.0.113.10")
GROUP, GROUP_AT = "01:00:5e:01:00:01", ip_address("239.1.0.1")
WEB_AT, DB_AT, FAR_AT, WORLD_AT = (ip_address(text) for text in ("10.1.0.1", "10.2.0.2", "10.1.0.3", "8.8.8.8"))

_TO_DB = Frame(DPID, 1, WEB, ROUTER, ETH_IPV4, src=WEB_AT, dst=DB_AT, protocol=TCP, sport=40000, dport=5432)
_ANSWER = Frame(DPID, 2, DB, ROUTER, ETH_IPV4, src=DB_AT, dst=WEB_AT, protocol=TCP, sport=5432, dport=40000)
_TO_WORLD = dataclasses.replace(_TO_DB, dst=WORLD_AT, protocol=UDP, dport=53)
_FROM_WORLD = Frame(DPID, 4, HOST, ROUTER, ETH_IPV4, src=WORLD_AT, dst=SHOWN_AT, protocol=TCP, sport=40000, dport=8443)
_TO_FAR = dataclasses.replace(_TO_DB, eth_dst=FAR, dst=FAR_AT, sport=40001, dport=8080)
_TO_GROUP = dataclasses.replace(_TO_DB, eth_dst=GROUP, dst=GROUP_AT, protocol=UDP, dport=5004)
_LANDED = dataclasses.replace(_TO_FAR, dpid=OTHER, in_port=TUNNEL_PORT)


def source() -> str:
    """Return the documents of the example."""
    return SOURCE.read_text().strip()


def site() -> Example:
    """Return the example with one endpoint on a second host, and a Geneve tunnel between the two."""
    found = read(source(), source=SOURCE.name)
    endpoints = {name: _moved(endpoint) for name, endpoint in found.inventory.endpoints.items()}
    tunnels = {
        dpid: Tunnel(TunnelKind.GENEVE, IPv4Address(f"192.0.2.{dpid}"), 6081, TUNNEL_PORT, "ring-geneve")
        for dpid in (DPID, OTHER)
    }
    return found._replace(inventory=dataclasses.replace(found.inventory, endpoints=endpoints, tunnels=tunnels))


def _moved(endpoint: Endpoint) -> Endpoint:
    if endpoint.name != ELSEWHERE:
        return endpoint
    return dataclasses.replace(endpoint, location=dataclasses.replace(endpoint.location, dpid=OTHER))


def added() -> list[Flow]:
    """Return what the first host's program has only because of the router, the uplink, the group and the other host."""
    whole = site()
    ids = allocate(*whole, IdMap(), 0)
    networks = {name: dataclasses.replace(n, multicast=()) for name, n in whole.intents.networks.items()}
    alone = dataclasses.replace(whole.intents, routers={}, uplinks={}, networks=networks)
    near = {name: e for name, e in whole.inventory.endpoints.items() if e.location.dpid == DPID}
    inventory = dataclasses.replace(whole.inventory, endpoints=near, tunnels={}, uplinks=())
    without = compile_program(alone, inventory, DPID, allocate(alone, inventory, ids, 0))
    program = compile_program(*whole, DPID, ids)
    return [Flow(key, body) for key, body in program.items() if key not in without]


def site_walks() -> Iterator[str]:
    """Yield the walks: between networks and back, to the world, to another host, and from it."""
    example = site()
    ids = allocate(*example, IdMap(), 0)
    here, there = (Walker(compile_program(*example, dpid, ids), ids, Conntrack(), DOMAIN) for dpid in (DPID, OTHER))
    for scene in SCENES:
        yield from here.walk(scene)
    attachment = next(n for key, n in ids.spaces["attachment"].live.items() if "/web-1@" in key)
    said = {f.TUN_SRC: int(IPv4Address("192.0.2.1")), f.TUN_ID: ids.number("network", "front")}
    proven = {**said, f.TUN_OPTION: attachment << 32}
    yield from there.walk(ARRIVAL._replace(tunnel=proven))
    yield from there.walk(LIE._replace(tunnel={**proven, f.TUN_SRC: int(IPv4Address("192.0.2.9"))}))


SCENES = (
    Scene(
        "Between two networks",
        "`web-1` opens a connection to `db-1` in the other network, by the router's MAC. It is judged as any other;\n"
        "then it loses a hop and gets the MACs of its last leg.",
        _TO_DB,
        "port 2",
    ),
    Scene("And back", "The answer is turned round in the router's zone, which both networks share.", _ANSWER, "port 1"),
    Scene(
        "To the world",
        "The address is nobody's, so its identity is the world's, by the prefixes that policies tell apart. The\n"
        "uplink translates: at last, the packet gets an address of the uplink in place of `web-1`'s.",
        _TO_WORLD,
        "port 4",
    ),
    Scene(
        "From the world",
        "A client of the world opens a connection to a port that the uplink forwards. The packet gets the address of\n"
        "`db-1` before it is tracked and judged.",
        _FROM_WORLD,
        "port 2",
    ),
    Scene(
        "To another host",
        "`web-1` opens a connection to `web-2`. Both judgements are made here too; the packet leaves by the one\n"
        "tunnel port, with the other host's address, the network's number, and in an option the sender's attachment.",
        _TO_FAR,
        f"port {TUNNEL_PORT}",
    ),
    Scene(
        "To a group",
        "`web-1` sends to a multicast group. It is judged for each member; one copy goes to each host that has some.",
        _TO_GROUP,
        f"port {TUNNEL_PORT}",
    ),
)
ARRIVAL = Scene(
    "On that host",
    "Its own flows say which host has this attachment, with which MAC and address: from them the packet gets its\n"
    "sender's identity, and both judgements are made again.",
    _LANDED,
    "port 3",
)
LIE = Scene("From a host that has no such endpoint", "The same packet, from another host.", _LANDED, "dropped")

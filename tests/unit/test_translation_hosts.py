"""An uplink that translates and other hosts: it serves its own switch, whatever comes through tunnels."""

import dataclasses
from ipaddress import IPv4Address, ip_network

import pytest

from intent.compiler import IdMap, allocate, attachment_key, compile_program
from intent.compiler import fields as f
from intent.compiler.cookie import Guard, Kind, Origin, encode
from intent.compiler.engine import Engine
from intent.compiler.interpreter import Conntrack, Interpreter
from intent.model import Intents, Network, Posture, Router
from intent.semantics import Reason, admit
from topology.model import Endpoint, Forward, Inventory, Location, Translation, Tunnel, TunnelKind, UplinkPort
from topology.packet import ETH_IPV4, TCP, UDP, Fate, Frame, Outcome

HERE, THERE = 1, 2
EDGE, NEXT = "02:52:00:00:00:01", "02:aa:00:00:00:01"
NEAR, FAR, CLIENT, SHOWN = (IPv4Address(text) for text in ("10.1.0.5", "10.1.0.6", "8.8.8.8", "203.0.113.1"))
DESTINATION = encode(Origin(Kind.GUARD, Guard.DESTINATION))
UP, TUNNEL = 9, 8


def endpoint(name, address, dpid):
    mac = f"02:00:00:00:00:0{dpid}"
    return Endpoint(name, "n", {}, mac, (address,), (), Location(dpid, 1, name, name))


NETWORK = Network("n", Posture.ALLOW, (ip_network("10.1.0.0/24"),), gateways=(IPv4Address("10.1.0.1"),))
INTENTS = Intents({"n": NETWORK}, routers={"edge": Router("edge", ("n",), EDGE, "up")})
TRANSLATION = Translation((SHOWN,), (Forward(SHOWN, TCP, 80, 80, NEAR), Forward(SHOWN, TCP, 81, 81, FAR)))
INVENTORY = Inventory(
    {"near": endpoint("near", NEAR, HERE), "far": endpoint("far", FAR, THERE)},
    uplinks=(UplinkPort("up", Location(HERE, UP, "up0", "row-up"), NEXT, TRANSLATION),),
    tunnels={
        dpid: Tunnel(TunnelKind.GENEVE, IPv4Address("192.0.2.0") + dpid, 6081, TUNNEL, "ring-tun")
        for dpid in (HERE, THERE)
    },
)
IDS = allocate(INTENTS, INVENTORY, IdMap(), 0)


def run(frame, tunnel=None):
    return Interpreter(compile_program(INTENTS, INVENTORY, HERE, IDS)).run(frame, Conntrack(), None, tunnel)


@pytest.mark.parametrize("source", ["02:00:00:00:00:02", EDGE])
@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_a_host_that_sends_its_endpoints_packets_to_the_router_here_does_not_reach_the_world(source, protocol):
    """As itself or as its router: the uplink of this switch is for those who are plugged in here."""
    attachment = IDS.number("attachment", attachment_key(INVENTORY.endpoints["far"], FAR))
    brought = {
        f.TUN_SRC: int(INVENTORY.tunnels[THERE].address),
        f.TUN_ID: IDS.number("network", "n"),
        f.TUN_OPTION: attachment << 32,
    }
    frame = Frame(HERE, TUNNEL, source, EDGE, ETH_IPV4, src=FAR, dst=CLIENT, protocol=protocol, sport=4000, dport=53)
    result = run(frame, brought)
    assert (result.ports, result.reason) == ([], DESTINATION)


def test_what_is_forwarded_to_an_endpoint_of_another_host_ends_here():
    """No host but that of the uplink takes the world's packets: they would travel for nothing."""
    frame = Frame(HERE, UP, NEXT, EDGE, ETH_IPV4, src=CLIENT, dst=SHOWN, protocol=TCP, sport=4000, dport=81)
    verdict = admit(INTENTS, INVENTORY, frame)
    assert (verdict.fate, verdict.reason) == (Fate(Outcome.DROP), Reason.DESTINATION)
    result = run(frame)
    assert (result.ports, result.reason) == ([], DESTINATION)
    near = run(dataclasses.replace(frame, dport=80))
    assert near.ports == [1]


def test_an_engine_that_follows_the_tunnel_equals_a_compilation_of_everything():
    engine, ids = Engine(IdMap()), IdMap()
    for now, tunnels in enumerate((INVENTORY.tunnels, {}, INVENTORY.tunnels)):
        inventory = dataclasses.replace(INVENTORY, tunnels=tunnels)
        engine.update(INTENTS, inventory, [HERE, THERE], now)
        ids = allocate(INTENTS, inventory, ids, now)
        for dpid in (HERE, THERE):
            assert engine.program(dpid) == compile_program(INTENTS, inventory, dpid, ids)

"""What routers and uplinks do with frames, in words and values: the compiler is held to the same by random cases."""

import dataclasses
from datetime import UTC, datetime
from ipaddress import IPv4Address, ip_network

import pytest

from intent.compiler import IdMap, allocate, compile_program
from intent.compiler.cookie import Guard, Kind, Origin, encode
from intent.compiler.interpreter import Conntrack, Interpreter
from intent.model import Intents, Network, Posture, Router
from intent.semantics import Reason, Verdict, admit, evaluate
from topology.model import Endpoint, Inventory, Location, Tunnel, TunnelKind, UplinkPort
from topology.packet import (
    ETH_ARP,
    ETH_IPV4,
    ICMP,
    TCP,
    UDP,
    Connection,
    ConnectionRole,
    Fate,
    Frame,
    Hop,
    Opening,
    Outcome,
    Tracked,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EDGE = "02:52:00:00:00:01"
NEXT = "02:aa:00:00:00:01"
WEB, DB, FAR = (IPv4Address(text) for text in ("10.1.0.5", "10.2.0.5", "8.8.8.8"))


def endpoint(name, network, address, ofport):
    return Endpoint(name, network, {}, f"02:00:00:00:00:0{ofport}", (address,), (), Location(1, ofport, name, name))


def network(name, number):
    return Network(
        name, Posture.ALLOW, (ip_network(f"10.{number}.0.0/24"),), gateways=(IPv4Address(f"10.{number}.0.1"),)
    )


INTENTS = Intents(
    {"front": network("front", 1), "back": network("back", 2)},
    routers={"edge": Router("edge", ("front", "back"), EDGE, "up")},
)
UPLINK = UplinkPort("up", Location(1, 9, "up0", "row-up"), NEXT)
INVENTORY = Inventory({"web": endpoint("web", "front", WEB, 1), "db": endpoint("db", "back", DB, 2)}, uplinks=(UPLINK,))
BASE = Frame(1, 1, "02:00:00:00:00:01", EDGE, ETH_IPV4, src=WEB, dst=DB, protocol=TCP, sport=4000, dport=80)
OUT = dataclasses.replace(BASE, dst=FAR)
IN = dataclasses.replace(BASE, in_port=9, eth_src=NEXT, src=FAR, dst=WEB)


def fate(frame, tracked=None, inventory=INVENTORY):
    return evaluate(INTENTS, inventory, frame, tracked or Tracked(ConnectionRole.NEW), now=NOW)


@pytest.mark.parametrize(
    ("frame", "location", "mac"),
    [
        (BASE, INVENTORY.endpoints["db"].location, "02:00:00:00:00:02"),
        (OUT, UPLINK.location, NEXT),
        (IN, INVENTORY.endpoints["web"].location, "02:00:00:00:00:01"),
    ],
)
def test_a_router_passes_on_with_its_own_mac_and_one_hop_less(frame, location, mac):
    assert fate(frame).fate == Fate(Outcome.DELIVER, location, Hop(EDGE, mac, 63))


def test_each_side_is_judged_by_its_own_network():
    judgement = fate(BASE).judgement
    assert [side.because.network for side in (judgement.egress, judgement.ingress)] == ["front", "back"]
    assert fate(OUT).judgement.ingress is None
    assert fate(IN).judgement.egress is None


DROPPED = {
    "straight to an endpoint of another network": ({"eth_dst": "02:00:00:00:00:02"}, Reason.DESTINATION),
    "with no hop left": ({"ttl": 1}, Reason.TTL),
    "to nobody in the subnets": ({"dst": IPv4Address("10.2.0.99")}, Reason.DESTINATION),
    "to an address of no host": ({"dst": IPv4Address("127.0.0.1")}, Reason.DESTINATION),
    "from the world with an address of the domain": ({"in_port": 9, "dst": WEB, "src": DB}, Reason.SPOOFED),
    "from the world with an address of no host": ({"in_port": 9, "src": IPv4Address("0.0.0.9")}, Reason.SPOOFED),
    "from the world to the world": ({"in_port": 9, "src": FAR, "dst": IPv4Address("9.9.9.9")}, Reason.DESTINATION),
    "from the world past the router": ({"in_port": 9, "src": FAR, "eth_dst": "02:00:00:00:00:01"}, Reason.SOURCE),
}


@pytest.mark.parametrize(("parts", "reason"), DROPPED.values(), ids=DROPPED)
def test_what_no_router_passes_on(parts, reason):
    assert admit(INTENTS, INVENTORY, dataclasses.replace(BASE, **parts)) == Verdict(Fate(Outcome.DROP), reason)


def ask(port, mac, src, target):
    return Frame(1, port, mac, "ff:ff:ff:ff:ff:ff", ETH_ARP, arp_op=1, arp_spa=src, arp_tpa=target, arp_sha=mac)


def test_queries_for_the_gateway_are_answered_and_those_into_other_networks_are_not():
    web = ("02:00:00:00:00:01", WEB)
    gateway = IPv4Address("10.1.0.1")
    assert admit(INTENTS, INVENTORY, ask(1, *web, gateway)).reason is Reason.ANSWERED
    assert admit(INTENTS, INVENTORY, ask(1, *web, DB)).reason is Reason.ARP
    assert admit(INTENTS, INVENTORY, ask(9, NEXT, FAR, DB)).reason is Reason.ANSWERED
    assert admit(INTENTS, INVENTORY, ask(9, NEXT, FAR, IPv4Address("9.9.9.9"))).reason is Reason.ARP


def test_the_gateway_of_ones_own_network_answers_a_ping():
    ping = dataclasses.replace(BASE, protocol=ICMP, sport=None, dport=None, icmp_type=8, icmp_code=0)
    own, other = (dataclasses.replace(ping, dst=IPv4Address(f"10.{n}.0.1")) for n in (1, 2))
    assert admit(INTENTS, INVENTORY, own).fate.outcome is Outcome.ANSWER
    assert admit(INTENTS, INVENTORY, other).reason is Reason.DESTINATION


def test_a_reply_from_the_world_belongs_to_the_uplink_that_the_connection_left_by():
    opening = Opening("front", WEB, FAR, TCP, 4000, 80)
    web = INVENTORY.endpoints["web"].attachment
    reply = Tracked(ConnectionRole.REPLY, Connection(opening, web, UPLINK.attachment))
    frame = dataclasses.replace(IN, sport=80, dport=4000)
    assert fate(frame, reply).fate.outcome is Outcome.DELIVER
    again = dataclasses.replace(UPLINK, location=dataclasses.replace(UPLINK.location, uid="row-up-2"))
    assert fate(frame, reply, dataclasses.replace(INVENTORY, uplinks=(again,))).reason is Reason.CHANGED_HANDS


# -- between hosts -----------------------------------------------------------------------------------------------------


def end(dpid):
    return Tunnel(TunnelKind.GENEVE, IPv4Address("192.0.2.0") + dpid, 6081, 100, "ring-geneve")


def elsewhere(name, dpid):
    one = INVENTORY.endpoints[name]
    return dataclasses.replace(one, location=dataclasses.replace(one.location, dpid=dpid))


def exit_of(dpid):
    return UplinkPort("up", Location(dpid, 9, "up0", f"row-up-{dpid}"), NEXT)


def spread(*exits, web=1, db=2, away=()):
    """Return the site on several hosts, all with tunnels, these with the uplink."""
    endpoints = {"web": elsewhere("web", web), "db": elsewhere("db", db)}
    tunnels = {dpid: end(dpid) for dpid in (1, 2, 3)}
    return Inventory(endpoints, uplinks=tuple(map(exit_of, exits)), tunnels=tunnels, away=frozenset(away))


def test_the_senders_host_routes_to_another_host():
    there = spread()
    assert fate(BASE, inventory=there).fate == Fate(
        Outcome.DELIVER, there.endpoints["db"].location, Hop(EDGE, "02:00:00:00:00:02", 63)
    )
    assert fate(BASE, inventory=dataclasses.replace(there, tunnels={1: end(1)})).reason is Reason.DESTINATION


@pytest.mark.parametrize(
    ("exits", "away", "taken"),
    [((1, 3), (), 1), ((2, 3), (), 2), ((2, 3), (2,), 3), ((2, 3), (2, 3), 2), ((1, 3), (1,), 1), ((), (), None)],
)
def test_the_way_to_the_world_is_ones_own_else_the_lowest_of_a_connected_host(exits, away, taken):
    found = fate(OUT, inventory=spread(*exits, away=away))
    assert found.fate.location == (exit_of(taken).location if taken else None)


def test_what_the_world_sends_to_another_host_is_judged_where_it_comes_in():
    there = spread(2, 3)
    into = dataclasses.replace(IN, dpid=3)
    assert fate(into, inventory=there).fate.location == there.endpoints["web"].location
    cut = dataclasses.replace(there, tunnels={1: end(1)})
    assert fate(into, inventory=cut).reason is Reason.DESTINATION


def test_an_answer_leaves_by_the_uplink_that_its_connection_came_by():
    there = spread(2, 3)
    opening = Opening("front", FAR, WEB, TCP, 80, 4000)
    answer = dataclasses.replace(OUT, sport=4000, dport=80)
    for dpid in (2, 3):
        web = there.endpoints["web"].attachment
        tracked = Tracked(ConnectionRole.REPLY, Connection(opening, exit_of(dpid).attachment, web))
        assert fate(answer, tracked, there).fate.location == exit_of(dpid).location
    gone = Tracked(
        ConnectionRole.REPLY, Connection(opening, "an uplink that is gone", there.endpoints["web"].attachment)
    )
    assert fate(answer, gone, there).reason is Reason.CHANGED_HANDS


def test_the_receivers_host_judges_again_what_it_was_sent():
    there = spread()
    aimed = admit(INTENTS, there, BASE)
    assert not isinstance(aimed, Verdict)
    again = evaluate(INTENTS, there, BASE, Tracked(ConnectionRole.INVALID), now=NOW, arrived=aimed)
    assert again.reason is Reason.INVALID
    shut = dataclasses.replace(INTENTS.networks["back"], posture=Posture.DENY)
    closed = dataclasses.replace(INTENTS, networks={**INTENTS.networks, "back": shut})
    denied = evaluate(closed, there, BASE, Tracked(ConnectionRole.NEW), now=NOW, arrived=aimed)
    assert denied.fate.outcome is Outcome.DROP


def test_a_dhcp_server_answers_nobody_by_way_of_a_router():
    """It is declared for its own network: whoever is in another one would hear a server that is not declared there."""
    serving = dataclasses.replace(INTENTS.networks["front"], dhcp_server="web")
    intents = dataclasses.replace(INTENTS, networks={**INTENTS.networks, "front": serving})
    reply = dataclasses.replace(BASE, protocol=UDP, sport=67, dport=68)
    verdict = admit(intents, INVENTORY, reply)
    assert isinstance(verdict, Verdict)
    assert (verdict.fate, verdict.reason) == (Fate(Outcome.DROP), Reason.DHCP)
    program = compile_program(intents, INVENTORY, 1, allocate(intents, INVENTORY, IdMap(), 0))
    result = Interpreter(program).run(reply, Conntrack())
    assert (result.ports, result.reason) == ([], encode(Origin(Kind.GUARD, Guard.DHCP)))

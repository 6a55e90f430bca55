"""Section 4 of the design, "What is judged": the guards, in the order of the pipeline, and what they answer."""

import dataclasses
from ipaddress import ip_address

import pytest

from intent.model import Intents, Network, Policy, Posture, Rule
from intent.semantics import Admitted, Reason, UnknownName, Verdict, admit, can_open, evaluate
from tests.unit.semantics_kit import ALLOW, NOW, endpoint
from topology.model import Inventory, Location, UnaddressedPort
from topology.packet import (
    ETH_ARP,
    ETH_IPV4,
    ETH_IPV6,
    ICMP,
    ICMPV6,
    SCTP,
    TCP,
    UDP,
    ConnectionRole,
    Fate,
    Frame,
    Outcome,
    Tracked,
)

DROP = Fate(Outcome.DROP)
NEW = Tracked(ConnectionRole.NEW)
LINK_LOCAL = ip_address("fe80::7")
ANY_V4, ANY_V6 = ip_address("0.0.0.0"), ip_address("::")
BROADCAST = "ff:ff:ff:ff:ff:ff"


def plug(name, number, dpid=1, network="lan"):
    made = endpoint(name, number, network)
    return dataclasses.replace(made, location=dataclasses.replace(made.location, dpid=dpid))


WEB, DB, DHCP = plug("web", 1), plug("db", 2), plug("dhcp", 3)
DECLARED = dataclasses.replace(plug("declared", 4), addresses=(ip_address("10.0.0.4"), ip_address("fe80::4")))
FAR, REMOTE = plug("far", 5, network="far"), plug("remote", 6, dpid=2)
BARE = UnaddressedPort("bare", "lan", "02:00:00:00:00:08", Location(1, 8, "v8", "row-8"))
INVENTORY = Inventory({e.name: e for e in (WEB, DB, DHCP, DECLARED, FAR, REMOTE)}, (BARE,))
PEOPLE = Intents(
    networks={"lan": Network("lan", Posture.ALLOW, dhcp_server="dhcp"), "far": Network("far", Posture.ALLOW)}
)

V4 = Frame(1, 1, WEB.mac, DB.mac, ETH_IPV4, None, WEB.addresses[0], DB.addresses[0], TCP, 40000, 80)
V6 = dataclasses.replace(V4, eth_type=ETH_IPV6, src=WEB.addresses[1], dst=DB.addresses[1])
ARP = Frame(
    1,
    1,
    WEB.mac,
    BROADCAST,
    ETH_ARP,
    arp_op=1,
    arp_spa=WEB.addresses[0],
    arp_tpa=DB.addresses[0],
    arp_sha=WEB.mac,
)
NS = Frame(
    1,
    1,
    WEB.mac,
    "33:33:ff:00:00:02",
    ETH_IPV6,
    src=WEB.addresses[1],
    dst=ip_address("ff02::1:ff00:2"),
    protocol=ICMPV6,
    icmp_type=135,
    icmp_code=0,
    nd_target=DB.addresses[1],
    nd_sll=WEB.mac,
)
DISCOVERY = Frame(1, 1, WEB.mac, BROADCAST, ETH_IPV4, None, ANY_V4, ip_address("255.255.255.255"), UDP, 68, 67)


def but(frame, **changes):
    return dataclasses.replace(frame, **changes)


def fate(frame, people=PEOPLE, inventory=INVENTORY):
    return evaluate(people, inventory, frame, NEW, now=NOW)


def dropped(reason):
    return Verdict(DROP, reason)


def from_endpoint(frame, sender):
    """The same frame, sent by somebody else without a lie."""
    own = sender.addresses[0 if frame.eth_type == ETH_IPV4 else -1]
    return but(frame, in_port=sender.location.ofport, eth_src=sender.mac, src=own)


def test_unicast_ipv4_and_ipv6_are_judged_and_delivered_to_the_port_of_the_destination():
    for frame in (V4, V6):
        assert admit(PEOPLE, INVENTORY, frame) == Admitted(WEB, DB, WEB.network)
        assert fate(frame).fate == Fate(Outcome.DELIVER, DB.location)
        assert fate(frame).reason is Reason.POLICY


@pytest.mark.parametrize("vlan", [0, 1, 4095])
@pytest.mark.parametrize("frame", [V4, ARP, NS, DISCOVERY])
def test_vlan_tags_on_an_access_endpoint_are_always_dropped(frame, vlan):
    assert fate(but(frame, vlan=vlan)) == dropped(Reason.TAGGED)


@pytest.mark.parametrize("eth_type", [0x88CC, 0x8847, 0x0842, 0x05FF])
def test_other_ethertypes_are_always_dropped(eth_type):
    assert fate(Frame(1, 1, WEB.mac, DB.mac, eth_type)) == dropped(Reason.ETHERTYPE)


@pytest.mark.parametrize(
    "lie",
    [
        but(V4, in_port=2),
        but(V4, in_port=99),
        but(V4, dpid=2),
        but(V4, eth_src=DB.mac),
        but(V4, src=DB.addresses[0]),
        but(V4, src=ip_address("192.0.2.1")),
        but(V4, src=None),
        but(V6, src=DB.addresses[1]),
        but(V6, src=LINK_LOCAL),
        but(V4, src=ANY_V4),
        but(DISCOVERY, dport=68),
        but(DISCOVERY, eth_dst=DHCP.mac),
        but(DISCOVERY, eth_src=DB.mac),
        but(DISCOVERY, in_port=99),
    ],
)
def test_a_source_is_exactly_port_mac_and_address_of_one_endpoint(lie):
    assert fate(lie) == dropped(Reason.SOURCE)


def test_a_port_with_no_known_identity_is_denied_both_ways_whatever_the_posture():
    stranger = but(V4, in_port=7, eth_src="02:00:00:00:00:07", src=ip_address("10.0.0.7"))
    assert fate(stranger) == dropped(Reason.SOURCE)
    assert fate(but(V4, eth_dst="02:00:00:00:00:07", dst=ip_address("10.0.0.7"))) == dropped(Reason.DESTINATION)


def test_an_ipv6_link_local_source_is_acceptable_only_if_declared():
    frame = but(V6, in_port=4, eth_src=DECLARED.mac, src=DECLARED.addresses[1])
    assert fate(frame).fate == Fate(Outcome.DELIVER, DB.location)
    assert fate(but(frame, src=LINK_LOCAL)) == dropped(Reason.SOURCE)


# -- neighbours -----------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [DB, WEB])
def test_arp_and_solicitations_are_answered_by_the_switch_from_the_inventory(asked):
    answer = Verdict(Fate(Outcome.ANSWER, WEB.location), Reason.ANSWERED)
    assert fate(but(ARP, arp_tpa=asked.addresses[0])) == answer
    assert fate(but(NS, nd_target=asked.addresses[1])) == answer
    assert fate(but(NS, nd_target=asked.addresses[1], src=LINK_LOCAL)) == answer


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (but(ARP, arp_op=2), Reason.ARP),
        (but(ARP, arp_tpa=FAR.addresses[0]), Reason.ARP),
        (but(ARP, arp_tpa=REMOTE.addresses[0]), Reason.ARP),
        (but(ARP, arp_tpa=ip_address("10.0.0.99")), Reason.ARP),
        (but(ARP, arp_tpa=None), Reason.ARP),
        (but(ARP, arp_spa=ANY_V4), Reason.SOURCE),
        (but(ARP, arp_spa=DB.addresses[0]), Reason.SOURCE),
        (but(ARP, arp_sha=DB.mac), Reason.SOURCE),
        (but(ARP, eth_src=DB.mac, arp_sha=DB.mac), Reason.SOURCE),
        (but(ARP, in_port=2), Reason.SOURCE),
    ],
)
def test_any_other_arp_is_dropped_probes_too(frame, reason):
    assert fate(frame) == dropped(reason)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (but(NS, nd_target=FAR.addresses[1]), Reason.NEIGHBOUR),
        (but(NS, nd_target=None), Reason.NEIGHBOUR),
        (but(NS, nd_sll=DB.mac), Reason.SOURCE),
        (but(NS, nd_sll=None), Reason.SOURCE),
        (but(NS, src=ANY_V6), Reason.SOURCE),
        (but(NS, in_port=2), Reason.SOURCE),
        (but(NS, icmp_code=1), Reason.NEIGHBOUR),
        (but(NS, icmp_type=136, nd_sll=None), Reason.NEIGHBOUR),
        (but(NS, icmp_type=136, src=LINK_LOCAL, nd_sll=None), Reason.SOURCE),
    ],
)
def test_any_other_neighbour_discovery_is_dropped_duplicate_address_detection_too(frame, reason):
    assert fate(frame) == dropped(reason)


def test_the_answer_to_a_solicitation_goes_to_the_asking_port_whatever_source_it_names():
    assert fate(but(NS, src=DB.addresses[1])) == Verdict(Fate(Outcome.ANSWER, WEB.location), Reason.ANSWERED)


def test_an_endpoint_without_an_ipv6_address_solicits_nobody():
    only_v4 = dataclasses.replace(WEB, addresses=WEB.addresses[:1])
    inventory = dataclasses.replace(INVENTORY, endpoints={**INVENTORY.endpoints, "web": only_v4})
    assert fate(but(NS, src=LINK_LOCAL), inventory=inventory) == dropped(Reason.SOURCE)


@pytest.mark.parametrize(
    "frame", [but(V6, protocol=ICMPV6, sport=None, dport=None, icmp_type=t, icmp_code=0) for t in (133, 134, 137)]
)
def test_router_messages_and_redirects_from_endpoints_are_always_dropped(frame):
    assert fate(frame) == dropped(Reason.ROUTER)
    redirect = but(V4, protocol=ICMP, sport=None, dport=None, icmp_type=5, icmp_code=0)
    assert fate(redirect) == dropped(Reason.ROUTER)


# -- DHCP -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply", [but(V4, protocol=UDP, sport=67, dport=68), but(V6, protocol=UDP, sport=547, dport=546)]
)
def test_dhcp_server_replies_from_any_but_the_declared_server_are_dropped(reply):
    assert fate(reply) == dropped(Reason.DHCP)
    assert fate(from_endpoint(reply, DHCP)).fate == Fate(Outcome.DELIVER, DB.location)
    nobody = dataclasses.replace(PEOPLE, networks={"lan": Network("lan", Posture.ALLOW)})
    assert fate(from_endpoint(reply, DHCP), nobody) == dropped(Reason.DHCP)


def test_only_ports_of_the_right_version_make_dhcp():
    assert fate(but(V4, protocol=UDP, sport=547, dport=546)).reason is Reason.POLICY
    assert fate(but(V6, protocol=UDP, sport=67, dport=68)).reason is Reason.POLICY
    assert fate(but(V4, protocol=TCP, sport=67, dport=68)).reason is Reason.POLICY


def test_dhcp_from_a_client_reaches_only_the_declared_server():
    delivered = Verdict(Fate(Outcome.DELIVER, DHCP.location), Reason.DHCP)
    assert fate(DISCOVERY) == delivered
    assert fate(but(DISCOVERY, in_port=8, eth_src=BARE.mac)) == delivered
    assert fate(but(DISCOVERY, in_port=3, eth_src=DHCP.mac)) == dropped(Reason.ITSELF)


@pytest.mark.parametrize("server", [None, "nobody", "far", "remote"])
def test_dhcp_is_dropped_where_no_server_of_the_network_is_on_the_switch(server):
    people = dataclasses.replace(PEOPLE, networks={"lan": Network("lan", Posture.ALLOW, dhcp_server=server)})
    assert fate(DISCOVERY, people) == dropped(Reason.DHCP)


def test_where_addresses_are_learned_from_dhcp_the_server_answers_a_mac_and_nobody_else_does():
    lan = Network("lan", dhcp_server="dhcp", learn=frozenset({"dhcp"}))
    learning = dataclasses.replace(PEOPLE, networks={**PEOPLE.networks, "lan": lan})
    offer = from_endpoint(but(V4, protocol=UDP, sport=67, dport=68, dst=ip_address("10.0.0.77")), DHCP)
    for client in (BARE, WEB):
        answered = fate(dataclasses.replace(offer, eth_dst=client.mac), learning)
        assert answered == Verdict(Fate(Outcome.DELIVER, client.location), Reason.DHCP)
    assert fate(dataclasses.replace(offer, eth_dst=FAR.mac), learning).fate == Fate(Outcome.DROP)
    assert fate(dataclasses.replace(offer, eth_dst=REMOTE.mac), learning).fate == Fate(Outcome.DROP)
    assert fate(dataclasses.replace(offer, eth_dst=DHCP.mac), learning).fate == Fate(Outcome.DROP)
    assert fate(dataclasses.replace(offer, eth_dst=BARE.mac)).fate == Fate(Outcome.DROP), "only where it is learned"
    rogue = from_endpoint(dataclasses.replace(offer, eth_dst=BARE.mac), WEB)
    assert fate(rogue, learning) == dropped(Reason.DHCP)


def test_a_port_without_an_address_sends_nothing_but_the_request_for_one():
    bare = {"in_port": 8, "eth_src": BARE.mac}
    assert fate(but(V4, **bare)) == dropped(Reason.SOURCE)
    assert fate(but(ARP, **bare, arp_sha=BARE.mac)) == dropped(Reason.SOURCE)
    assert fate(but(NS, **bare, nd_sll=BARE.mac, src=LINK_LOCAL)) == dropped(Reason.SOURCE)


# -- destinations ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        but(V4, eth_dst=BROADCAST),
        but(V4, eth_dst="01:00:5e:00:00:01"),
        but(V4, dst=ip_address("224.0.0.1")),
        but(V4, dst=ip_address("255.255.255.255")),
        but(V6, eth_dst="33:33:00:00:00:01"),
        but(V6, dst=ip_address("ff02::1")),
        but(DISCOVERY, src=WEB.addresses[0]),
    ],
)
def test_multicast_and_broadcast_are_always_dropped(frame):
    assert fate(frame) == dropped(Reason.MULTICAST)


@pytest.mark.parametrize(
    "frame",
    [
        but(V4, eth_dst=DHCP.mac),
        but(V4, dst=DHCP.addresses[0]),
        but(V4, dst=None),
        but(V4, dst=ip_address("192.0.2.1")),
        but(V4, eth_dst=FAR.mac, dst=FAR.addresses[0]),
        but(V4, eth_dst=REMOTE.mac, dst=REMOTE.addresses[0]),
    ],
)
def test_unicast_goes_only_to_mac_and_address_of_one_endpoint_of_the_network_on_this_switch(frame):
    assert fate(frame) == dropped(Reason.DESTINATION)


def test_policy_never_makes_unreachable_networks_reachable():
    everything = dataclasses.replace(PEOPLE, policies={"p": Policy("p", "security", 0, (Rule("r", ALLOW),))})
    assert fate(but(V4, eth_dst=FAR.mac, dst=FAR.addresses[0]), everything) == dropped(Reason.DESTINATION)


def test_an_endpoint_never_reaches_itself_through_the_switch():
    assert fate(but(V4, eth_dst=WEB.mac, dst=WEB.addresses[0])) == dropped(Reason.ITSELF)


def test_a_network_that_nobody_declared_is_an_error_with_a_path():
    with pytest.raises(UnknownName, match=r"endpoints/web\.network: lan has no meaning"):
        fate(V4, Intents())


# -- what can open a connection -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("protocol", "icmp_type", "opens"),
    [
        *((ICMP, t, t in {8, 13, 15}) for t in (0, 3, 5, 8, 11, 13, 14, 15, 16, 17)),
        *((ICMPV6, t, t == 128) for t in (1, 2, 8, 128, 129, 130, 144)),
        (ICMP, None, False),
        (ICMPV6, None, False),
        *((protocol, None, True) for protocol in (TCP, UDP, SCTP, 47, 0)),
    ],
)
def test_only_icmp_requests_open_a_connection(protocol, icmp_type, opens):
    assert can_open(protocol, icmp_type, 0) is opens
    assert can_open(protocol, icmp_type) is opens


def test_an_icmp_request_with_a_code_is_invalid():
    assert not can_open(ICMP, 8, 1)
    echo = but(V4, protocol=ICMP, sport=None, dport=None, icmp_type=8, icmp_code=0)
    assert fate(echo).fate.outcome is Outcome.DELIVER
    assert fate(but(echo, icmp_code=1)) == dropped(Reason.INVALID)
    assert fate(but(echo, icmp_type=0)) == dropped(Reason.INVALID)
    assert fate(but(V4, protocol=None, sport=None, dport=None)) == dropped(Reason.INVALID)

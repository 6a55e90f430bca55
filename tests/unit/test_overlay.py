"""Tunnel ends follow from what hosts say, what the configuration says, and who needs them."""

import random
from ipaddress import IPv4Address

import pytest

from intent.model import Router
from ryu_apps.wire import WireError, tlv
from topology.events import BridgeRow, HostResynced, InterfaceRow, PortRow, RootRow
from topology.model import Endpoint, Inventory, Location, TunnelKind, UplinkPort
from topology.overlay import TUNNEL_IP_KEY, TUNNEL_MARK, End, TunnelPlan, find_ends, needed, realized
from topology.site import OWNER_KEY, empty_site, reduce
from topology.spans import Spans, spans

ONE, TWO, THREE = "unix:/one", "unix:/two", "unix:/three"
A, B = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")


def site(**said):
    """Hosts by the word of their name, each with its tunnel address."""
    found = empty_site("me", [f"unix:/{name}" for name in said])
    for number, (name, address) in enumerate(said.items(), 1):
        ids = {TUNNEL_IP_KEY: address} if address else {}
        bridge = BridgeRow(f"b{number}", "br-ring", dpid=number, external_ids={OWNER_KEY: "me"})
        found = reduce(found, HostResynced(f"unix:/{name}", (RootRow(f"r{number}", external_ids=ids), bridge)))
    return found


def endpoint(name, dpid, network="lan"):
    return Endpoint(name, network, {}, "02:00:00:00:00:01", (), (), Location(dpid, 1, name, name))


def test_each_host_gets_the_end_that_it_says():
    found = find_ends(site(one="192.0.2.1", two="192.0.2.2", three=None), TunnelPlan(), {})
    assert found.ends == {ONE: End(TunnelKind.GENEVE, A, 6081), TWO: End(TunnelKind.GENEVE, B, 6081)}
    assert found.reports == ()


def test_the_configuration_wins_over_what_a_host_says():
    plan = TunnelPlan(TunnelKind.VXLAN, 4790, {ONE: B}, {TWO: TunnelKind.GRE})
    found = find_ends(site(one="192.0.2.9", two="192.0.2.1"), plan, {})
    assert found.ends == {ONE: End(TunnelKind.VXLAN, B, 4790), TWO: End(TunnelKind.GRE, A, 0)}


@pytest.mark.parametrize("said", ["192.0.2.256", "224.0.0.1", "0.0.0.0", "127.0.0.1", "::1", "x" * 5000])
def test_an_address_that_is_none_is_reported(said):
    found = find_ends(site(one=said), TunnelPlan(), {})
    assert found.ends == {}
    assert [r.subject for r in found.reports] == [f"host {ONE}"]
    assert len(found.reports[0].problem) < 200


def test_of_two_hosts_with_one_address_the_one_that_had_it_keeps_it():
    both = site(one="192.0.2.1", two="192.0.2.1")
    before = find_ends(site(one="192.0.2.1"), TunnelPlan(), {}).ends
    assert set(find_ends(both, TunnelPlan(), before).ends) == {ONE}
    assert set(find_ends(both, TunnelPlan(), {}).ends) == set()
    assert set(find_ends(both, TunnelPlan(addresses={TWO: A}), before).ends) == {TWO}
    assert [r.subject for r in find_ends(both, TunnelPlan(), before).reports] == [f"host {TWO}"]


def test_only_hosts_that_share_a_network_need_an_end():
    here = site(one="192.0.2.1", two="192.0.2.2", three="192.0.2.3")
    ends = find_ends(here, TunnelPlan(), {}).ends
    people = [endpoint("a", 1), endpoint("b", 2), endpoint("c", 3, "other")]
    assert set(needed(spans(Inventory({e.name: e for e in people})), here.bridges(), ends)) == {ONE, TWO}
    assert needed(spans(Inventory({e.name: e for e in people[1:]})), here.bridges(), ends) == {}
    mixed = find_ends(here, TunnelPlan(kinds={TWO: TunnelKind.GRE}), {}).ends
    assert needed(spans(Inventory({e.name: e for e in people})), here.bridges(), mixed) == {}


def test_hosts_of_one_routing_domain_and_those_with_its_uplink_need_an_end():
    here = site(one="192.0.2.1", two="192.0.2.2", three="192.0.2.3")
    ends = find_ends(here, TunnelPlan(), {}).ends
    edge = Router("edge", ("front", "back"), "02:52:00:00:00:01", "world")
    way = UplinkPort("world", Location(3, 9, "up", "up"), "02:00:00:00:00:09")
    web, db = endpoint("web", 1, "front"), endpoint("db", 2, "back")

    def need(*people, uplinks=(), routers=(edge,)):
        reach = spans(Inventory({e.name: e for e in people}, uplinks=uplinks), routers)
        return set(needed(reach, here.bridges(), ends))

    assert need(web, db) == {ONE, TWO}
    assert need(web, db, routers=()) == set()
    assert need(web, uplinks=(way,)) == {ONE, THREE}
    assert need(web, db, uplinks=(way,)) == {ONE, TWO, THREE}
    assert need(uplinks=(way,)) == set(), "nobody is there to use it"
    assert need(endpoint("lone", 1, "island"), uplinks=(way,)) == set()


def test_spans_that_follow_are_those_of_the_whole():
    """Over random inventories, routers and uplinks, some of them equal; what is equal is the same object."""
    chance, following = random.Random(1), Spans()
    networks = ("front", "back", "island")
    people: dict[str, Endpoint] = {}
    uplinks, routers = (), ()
    for _ in range(400):
        draw = chance.random()
        name = f"e{chance.randrange(6)}"
        if draw < 0.4:
            people = {**people, name: endpoint(name, chance.choice((1, 2, 3)), chance.choice(networks))}
        elif draw < 0.6:
            people = {n: e for n, e in people.items() if n != name}
        elif draw < 0.8:
            dpids = [dpid for dpid in (1, 2, 3) if chance.random() < 0.5]
            uplinks = tuple(UplinkPort("world", Location(d, 9, "up", "up"), "02:00:00:00:00:09") for d in dpids)
        else:
            joined = tuple(n for n in networks if chance.random() < 0.6)
            routers = (Router("edge", joined, "02:52:00:00:00:01", chance.choice((None, "world"))),) if joined else ()
        inventory, before = Inventory(people, uplinks=uplinks), following.reach
        found = following.follow(inventory, routers)
        assert found == spans(inventory, routers)
        assert found != before or found is before


def test_an_end_is_there_when_it_is_as_wanted_and_has_a_port():
    end = End(TunnelKind.GENEVE, A, 6081)
    bridge = BridgeRow("b1", "br-ring", dpid=1, external_ids={OWNER_KEY: "me"}, ports=frozenset({"p"}))
    port = PortRow("p", "ring-geneve", frozenset({"i"}))
    for mark, ofport, there in ((end.mark, 5, True), (end.mark, None, False), (end.mark, -1, False), ("x", 5, False)):
        row = InterfaceRow("i", "ring-geneve", "geneve", ofport=ofport, external_ids={TUNNEL_MARK: mark})
        here = reduce(empty_site("me", [ONE]), HostResynced(ONE, (bridge, port, row)))
        assert (realized(here.interfaces(), here.bridges(), {ONE: end}) != {}) is there


def test_endpoints_are_told_what_the_header_leaves_of_the_underlay():
    kinds = {ONE: TunnelKind.VXLAN, TWO: TunnelKind.GRE}
    plan = TunnelPlan(kinds=kinds, underlay_mtu=9000)
    ends = find_ends(site(one="192.0.2.1", two="192.0.2.2", three="192.0.2.3"), plan, {}).ends
    assert [ends[host].mtu for host in (ONE, TWO, THREE)] == [8950, 8958, 8938]


def test_the_option_table_is_read_as_it_is_written():
    maps = (tlv.OptionMap(0xFF52, 1, 8, 0), tlv.OptionMap(1, 2, 4, 63))
    mod = tlv.option_mod(7, tlv.OptionCommand.ADD, maps)
    reply = mod[:12] + bytes([0, 0, 0, tlv.REPLY]) + bytes(16) + mod[24:]
    assert tlv.decode_options(reply) == frozenset(maps)
    for broken in (reply[:-1], reply[:20], mod, b""):
        with pytest.raises(WireError):
            tlv.decode_options(broken)

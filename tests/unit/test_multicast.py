"""Multicast groups: what may be written, who hears, what is never copied, and what a change costs."""

import dataclasses
from ipaddress import ip_address

import pytest

from intent.compiler import IdMap
from intent.compiler.engine import Engine
from intent.compiler.fabric import Toward
from intent.compiler.flow import Output
from intent.compiler.multicast import Member, Seats, group_mac, members, seats
from intent.compiler.tables import Table
from intent.compiler.tunnels import Path
from intent.model import MAX_MEMBERS, Intents, MulticastGroup, Network, Policy, Rule, Selector, ServiceMatch
from intent.schema import DocumentError, parse_documents, to_intents
from intent.semantics import Reason, evaluate
from ryu_apps.convergence import Desired
from ryu_apps.outline import Outline
from tests.unit.api_kit import SITE, Api
from tests.unit.semantics_kit import ALLOW, NOW, app, endpoint, label
from topology.model import Inventory, Tunnel, TunnelKind
from topology.packet import ETH_IPV4, TCP, UDP, Frame, Outcome

GROUP = ip_address("239.129.2.3")
SENDER, FIRST, SECOND, DEAF = (
    endpoint("cam", 1, app="cam"),
    endpoint("tv-a", 2, app="tv"),
    endpoint("tv-b", 3, app="tv", tenant="b"),
    endpoint("db", 4, app="db"),
)
LAN = Network("lan", multicast=(MulticastGroup(GROUP, label("app", "In", "tv", "cam")),))
FEED = Policy("feed", "application", 0, (Rule("r", ALLOW, (app("cam"),), (app("tv"),), (ServiceMatch(UDP),)),))
INTENTS = Intents(networks={"lan": LAN}, policies={"feed": FEED})
EVERYBODY = Inventory({e.name: e for e in (SENDER, FIRST, SECOND, DEAF)})
FRAME = Frame(1, 1, SENDER.mac, "01:00:5e:01:02:03", ETH_IPV4, None, SENDER.addresses[0], GROUP, UDP, 4000, 5000)


def fate(frame=FRAME, intents=INTENTS, inventory=EVERYBODY):
    return evaluate(intents, inventory, frame, None, now=NOW)


def test_members_whom_policy_lets_the_sender_reach_get_a_copy_and_nobody_else():
    verdict = fate()
    assert (verdict.fate.outcome, verdict.fate.copies) == (Outcome.COPY, {FIRST.location, SECOND.location})
    assert verdict.copies.keys() == {"tv-a", "tv-b"}, "the sender hears nothing of itself"
    denied = dataclasses.replace(INTENTS, policies={})
    assert fate(intents=denied).fate.outcome is Outcome.DROP
    assert fate(intents=denied).copies.keys() == {"tv-a", "tv-b"}, "each was judged"


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"eth_dst": "01:00:5e:01:02:04"}, Reason.MULTICAST),
        ({"eth_dst": FIRST.mac}, Reason.MULTICAST),
        ({"eth_dst": "ff:ff:ff:ff:ff:ff"}, Reason.MULTICAST),
        ({"dst": ip_address("239.1.2.3")}, Reason.MULTICAST),
        ({"protocol": TCP}, Reason.MULTICAST),
        ({"sport": 67, "dport": 68}, Reason.DHCP),
        ({"src": FIRST.addresses[0]}, Reason.SOURCE),
    ],
)
def test_what_is_not_udp_of_its_sender_to_the_group_is_dropped(parts, reason):
    assert fate(dataclasses.replace(FRAME, **parts)).reason is reason


def test_only_the_sender_hears_nothing():
    alone = Inventory({e.name: e for e in (SENDER, DEAF)})
    assert fate(inventory=alone).reason is Reason.ITSELF


def test_of_many_members_the_first_by_name_hear():
    many = {f"m{n:03}": dataclasses.replace(FIRST, name=f"m{n:03}") for n in range(MAX_MEMBERS + 3)}
    heard = members(MulticastGroup(GROUP, Selector()), reversed(many.values()))
    assert [m.endpoint.name for m in heard] == sorted(many)[:MAX_MEMBERS]


def test_copies_go_over_wires_last():
    """Over a wire the MACs say the way; what leaves by a tunnel after that would have them still."""
    ends = {d: Tunnel(TunnelKind.GENEVE, ip_address(f"192.0.2.{d}"), 6081, 99, "t") for d in (1, 3)}
    ways = {2: Toward(7), 3: Path(ends[1], ends[3]), 4: None}
    there = [dataclasses.replace(FIRST, location=dataclasses.replace(FIRST.location, dpid=d)) for d in (1, 2, 3, 4)]
    found = seats(1, [(Member(e, e.addresses[0]), 5) for e in there], ways.get)
    assert found == Seats({5: (2,)}, {ways[3]: (5,), ways[2]: (5,)})
    assert list(found.remote) == [ways[3], ways[2]]


def test_a_member_is_judged_by_its_first_address_of_the_groups_version():
    more = dataclasses.replace(FIRST, addresses=(FIRST.addresses[0], *FIRST.addresses[1:], ip_address("fe80::2")))
    four = dataclasses.replace(SECOND, addresses=SECOND.addresses[:1])
    six = MulticastGroup(ip_address("ff05::1:3"), Selector())
    assert members(six, (more, four)) == [(more, ip_address("fd00::2"))]


@pytest.mark.parametrize(
    ("group", "mac"),
    [
        ("224.0.0.251", "01005e0000fb"),
        ("239.129.2.3", "01005e010203"),
        ("ff02::1", "333300000001"),
        ("ff05::db8:1234:5678", "333312345678"),
    ],
)
def test_the_mac_of_a_group_is_that_of_the_standards(group, mac):
    """RFC 1112, 6.4: the low 23 bits; RFC 2464, 7: the low 32."""
    assert f"{group_mac(ip_address(group)):012x}" == mac


def network(groups):
    return f"kind: Network\nname: lan\nmulticast: {groups}\n"


@pytest.mark.parametrize(
    ("groups", "place", "word"),
    [
        ("[{group: 10.1.2.3, members: {}}]", "multicast[0].group", "239.1.2.3"),
        ("[{group: 255.255.255.255, members: {}}]", "multicast[0].group", "multicast"),
        ("[{group: 'ff02::1%eth0', members: {}}]", "multicast[0].group", "multicast"),
        ("[{group: all, members: {}}]", "multicast[0].group", "239.1.2.3"),
        ("[{group: 239.1.2.3}]", "multicast[0].members", "members"),
        ("[{group: 239.1.2.3, members: {}, senders: {}}]", "multicast[0].senders", "senders"),
        ("[{group: 239.1.2.3, members: {}}, {group: 239.1.2.3, members: {}}]", "Network/lan", "twice"),
        ("[]", "multicast", ""),
    ],
)
def test_what_is_no_group_is_refused_with_its_place(groups, place, word):
    with pytest.raises(DocumentError) as caught:
        to_intents(parse_documents(network(groups), source="x.yaml"))
    (problem,) = caught.value.problems
    assert place in problem.path
    assert word in f"{problem.message} {problem.remedy} {problem.path}"


def test_a_group_is_read():
    text = network('[{group: "FF05:0::1:3", members: {labels: {app: tv}}}]')
    (group,) = to_intents(parse_documents(text, source="x.yaml")).networks["lan"].multicast
    assert group == MulticastGroup(ip_address("ff05::1:3"), label("app", "In", "tv"))


def test_who_is_no_member_changes_no_flow_of_a_group():
    """The cost of a change follows the members, not the network."""
    tunnels = {d: Tunnel(TunnelKind.GENEVE, ip_address(f"192.0.2.{d}"), 6081, 99, "t") for d in (1, 2)}
    far = dataclasses.replace(SECOND, location=dataclasses.replace(SECOND.location, dpid=2))
    engine = Engine(IdMap())
    inventory = Inventory({e.name: e for e in (SENDER, FIRST, far)}, tunnels=tunnels)
    engine.update(INTENTS, inventory, (1, 2), 1.0)
    copying = {Table.MEMBERS, Table.COPIES}
    assert _tables(engine.join(DEAF, 2.0)) & copying == set()
    third = dataclasses.replace(endpoint("tv-c", 5, app="tv"), location=dataclasses.replace(DEAF.location, ofport=5))
    assert _tables(engine.join(third, 3.0)) & copying == {Table.COPIES}, "its identity was heard there before"
    assert _tables(engine.leave("tv-b", 4.0)) & copying == copying, "nobody hears on the other host any more"


def _tables(update):
    deltas = update.deltas.values()
    return {key.table for d in deltas for key in (*d.deletes, *(flow.key for flow in (*d.adds, *d.changes)))}


@pytest.mark.parametrize(
    ("to", "service", "answer", "who"),
    [
        ("239.1.2.3", "udp/5000", "mixed", {"app-1": "allow", "app-2": "deny"}),
        ("239.1.2.3", "udp/5001", "deny", {"app-1": "deny", "app-2": "deny"}),
        ("239.1.2.3", "tcp/5000", "deny", "only UDP is copied to the members of a group"),
        ("239.1.2.4", "udp/5000", "deny", "the network shop does not list the multicast group 239.1.2.4"),
        ("239.1.2.5", "udp/5000", "deny", "nobody else hears the group"),
    ],
)
def test_a_verdict_about_a_group_says_why_of_each_member(tmp_path, to, service, answer, who):
    api = Api(tmp_path)
    second = dataclasses.replace(
        api.world.present.endpoints["app-1"], name="app-2", addresses=(ip_address("10.1.0.9"),)
    )
    everybody = {**api.world.present.endpoints, "app-2": second}
    api.world.present = dataclasses.replace(api.world.present, endpoints=everybody)
    groups = "{group: 239.1.2.3, members: {}}, {group: 239.1.2.5, members: {labels: {tier: web}}}"
    site = SITE.replace('"fd00:1::/64"]', f'"fd00:1::/64"]\nmulticast: [{groups}]')
    feed = "rules: [{name: r, action: allow, from: [{group: web}], to: [{endpoint: app-1}], services: [udp/5000]}]"
    assert api.apply(f"{site}\n---\nkind: Policy\nname: feed\n{feed}\n").status_code == 200
    said = api.get("/v1/verdict", **{"from": "web-1", "to": to, "service": service}).json
    assert said["verdict"] == answer
    assert {o["to"]["endpoint"]: o["verdict"] for o in said["openings"]} == (who if isinstance(who, dict) else {})
    assert said.get("reason", "") == ("" if isinstance(who, dict) else who)


@pytest.mark.parametrize(("withheld", "hearing"), [({2}, [(3,)]), ({3}, [(2,)]), ({2, 3}, []), (set(), [(2, 3)])])
def test_a_member_whose_port_is_gone_or_waits_does_not_silence_those_of_its_identity(withheld, hearing):
    """They share a flow: without the port, or until other hosts know the newcomer, the others still hear."""
    engine = Engine(IdMap())
    engine.update(INTENTS, EVERYBODY, [1], 0)
    outline = Outline.of(engine.program(1))
    left = Desired(1, 1, outline.program, of_port=outline.of_port).program_without(frozenset(withheld))
    bodies = (body for key, body in left.items() if key.table == Table.COPIES)
    copies = [[act.port for act in body.actions if isinstance(act, Output)] for body in bodies]
    assert [tuple(ports) for ports in copies if {2, 3} & set(ports)] == hearing
    assert not any(port in withheld for ports in copies for port in ports)

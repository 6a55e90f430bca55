"""Documents are read, checked together, given meaning, and written back without loss."""

import json
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intent.model import (
    DEFAULT_TIERS,
    Action,
    Binding,
    CidrPeer,
    Direction,
    EndpointPeer,
    GroupPeer,
    Mode,
    Operator,
    PortName,
    PortRange,
    Posture,
    Requirement,
    SelectorPeer,
    ServiceMatch,
    ServiceName,
    Tier,
    WorldPeer,
)
from intent.schema import (
    convert,
    document_text,
    dump_document,
    dump_yaml,
    json_schema,
    parse_documents,
    to_intents,
)
from intent.schema.services import match_text, parse_match
from topology.model import NamedPort

WHOLE = """
kind: Network
name: shop
posture: allow
subnets: [10.1.0.0/24, "FD00:1::/64"]
dhcpServer: dhcp-1
learn: [arp, dhcp]
learnLimit: 8
---
kind: Group
name: web
members:
- labels: {app: shop}
  expressions: [{key: env, operator: NotIn, values: [test]}, {key: ringfence/network, operator: Exists}]
- group: other
- cidr: 10.0.0.0/8
  except: [10.1.0.0/16]
- world: true
- endpoint: web-1
--- # an empty document is none
---
kind: Group
name: other
members: [{labels: {}}]
---
kind: Service
name: web
matches: [tcp/80, tcp/8000-8099, tcp/http, udp, sctp/5, icmp, icmp/8, icmpv6/128/0, proto/47, any, {service: other}]
---
{kind: Service, name: other, matches: [proto/6]}
---
kind: Policy
name: web-to-app
order: 100
mode: off
owner: shop-team
description: |
  Web asks app.
rules:
- {name: ask, action: allow, from: [{group: web}], services: [tcp/8080, {service: web}]}
- {action: pass, to: [{endpoint: web-1}]}
---
kind: Policy
name: db-lock
tier: pods
subject: {labels: {tier: db}}
ingress: [{action: deny, from: [{world: true}]}]
directions: [egress, ingress]
---
kind: Endpoint
name: web-1
network: shop
labels: {app: shop, example.org/tier: ""}
mac: "02:00:00:00:00:0A"
addresses: ["fd00:1::0001", 10.1.0.1]
ports: {http: tcp/80, dns: udp/53}
binding: {bridge: br-ring, interface: v1}
---
{kind: Endpoint, name: bare, binding: {ifaceId: Some_Thing}}
---
{kind: Tiers, name: default, tiers: [{name: application}, {name: pods, isolating: true}]}
"""


def read(text):
    return parse_documents(text, source="t.yaml")


@pytest.fixture(scope="module")
def intents():
    return to_intents(read(WHOLE))


def test_a_network_means_what_it_says(intents):
    shop = intents.networks["shop"]
    assert (shop.posture, shop.dhcp_server, shop.learn_limit) == (Posture.ALLOW, "dhcp-1", 8)
    assert shop.subnets == (ip_network("10.1.0.0/24"), ip_network("fd00:1::/64"))
    assert shop.learn == {"arp", "dhcp"}


def test_peers_mean_what_they_say(intents):
    selector, *rest = intents.groups["web"].members
    assert isinstance(selector, SelectorPeer)
    assert selector.selector.requirements == (
        Requirement("app", Operator.IN, frozenset({"shop"})),
        Requirement("env", Operator.NOT_IN, frozenset({"test"})),
        Requirement("ringfence/network", Operator.EXISTS),
    )
    cidr = CidrPeer(ip_network("10.0.0.0/8"), (ip_network("10.1.0.0/16"),))
    assert rest == [GroupPeer("other"), cidr, WorldPeer(), EndpointPeer("web-1")]
    assert intents.groups["other"].members[0].selector.requirements == ()


def test_services_mean_what_they_say(intents):
    assert intents.services["web"].matches == (
        ServiceMatch(6, PortRange(80, 80)),
        ServiceMatch(6, PortRange(8000, 8099)),
        ServiceMatch(6, PortName("http")),
        ServiceMatch(17),
        ServiceMatch(132, PortRange(5, 5)),
        ServiceMatch(1),
        ServiceMatch(1, icmp_type=8),
        ServiceMatch(58, icmp_type=128, icmp_code=0),
        ServiceMatch(47),
        ServiceMatch(),
        ServiceName("other"),
    )


def test_policies_mean_what_they_say(intents):
    policy = intents.policies["web-to-app"]
    assert (policy.tier, policy.order, policy.mode, policy.owner) == ("application", 100, Mode.OFF, "shop-team")
    assert policy.description == "Web asks app.\n"
    first, second = policy.rules
    assert (first.name, first.action, first.from_, first.to) == ("ask", Action.ALLOW, (GroupPeer("web"),), None)
    assert first.services == (ServiceMatch(6, PortRange(8080, 8080)), ServiceName("web"))
    assert (second.action, second.services, second.direction) == (Action.PASS, None, None)
    lock = intents.policies["db-lock"]
    assert lock.directions == {Direction.INGRESS, Direction.EGRESS}
    assert lock.subject.requirements == (Requirement("tier", Operator.IN, frozenset({"db"})),)
    assert [rule.direction for rule in lock.rules] == [Direction.INGRESS]


def test_endpoints_mean_what_they_say(intents):
    web = intents.endpoints["web-1"]
    assert (web.mac, web.binding) == ("02:00:00:00:00:0a", Binding(bridge="br-ring", interface="v1"))
    assert web.addresses == (ip_address("10.1.0.1"), ip_address("fd00:1::1"))
    assert web.ports == (NamedPort("dns", 17, 53), NamedPort("http", 6, 80))
    bare = intents.endpoints["bare"]
    assert (bare.network, bare.mac, bare.addresses, bare.labels) == (None, None, None, {})


def test_tiers_default_when_none_are_listed(intents):
    assert intents.tiers == (Tier("application"), Tier("pods", isolating=True))
    assert to_intents([]).tiers == DEFAULT_TIERS


def test_writing_and_reading_loses_nothing(intents):
    documents = read(WHOLE)
    for again in (read(dump_yaml(documents)), read("[" + ",".join(map(document_text, documents)) + "]")):
        assert [dump_document(d) for d in again] == [dump_document(d) for d in documents]
        assert to_intents(again) == intents


def test_the_text_of_a_document_is_its_plain_values_in_one_form():
    odd = '{kind: Policy, name: p, subject: {}, ingress: [{action: allow}], description: "\u00fc \\" \\\\ {}"}'
    for document in (*read(WHOLE), *read(odd), *read("{kind: Endpoint, name: e, labels: {}, binding: {ifaceId: x}}")):
        assert document_text(document) == json.dumps(dump_document(document), ensure_ascii=False, separators=(",", ":"))
        assert document_text(document) is document_text(document), "it is written once"


def test_what_is_default_is_not_written():
    (document,) = read("{kind: Network, name: n, posture: deny, learnLimit: 4}")
    assert dump_document(document) == {"kind": "Network", "name": "n"}
    (bound,) = read("{kind: Endpoint, name: e, labels: {}, ports: {}, binding: {ifaceId: x}}")
    assert dump_document(bound) == {"kind": "Endpoint", "name": "e", "binding": {"ifaceId": "x"}}


def rule_names(*rules):
    (document,) = read("{kind: Policy, name: p, rules: [" + ", ".join(rules) + "]}")
    return [rule.name for rule in convert.policy(document).rules]


def test_a_derived_rule_name_stays_when_other_rules_come():
    a, b = "{action: allow, services: [tcp/1, udp/2]}", "{action: deny, from: [{world: true}]}"
    (name,) = rule_names(a)
    assert rule_names(b, a)[1] == name
    assert rule_names("{action: allow, services: [udp/2, tcp/1]}") == [name]
    assert rule_names(a, a, a) == [name, f"{name}-2", f"{name}-3"]
    assert rule_names(a, f"{{action: deny, name: {name}}}") == [f"{name}-2", name]
    assert rule_names(b) != [name]


def test_derived_rule_names_are_unique_across_both_sides():
    text = "{kind: Policy, name: p, subject: {}, ingress: [{action: deny%s}], egress: [{action: deny}]}"
    names = [rule.name for rule in convert.policy(read(text % "")[0]).rules]
    again = [rule.name for rule in convert.policy(read(text % f", name: {names[1]}")[0]).rules]
    assert len(set(names)) == len(set(again)) == 2


ports = st.integers(1, 65535)
ranges = st.tuples(ports, ports).map(lambda p: PortRange(min(p), max(p)))
small = st.integers(0, 255)
matches = (
    st.just(ServiceMatch())
    | st.builds(ServiceMatch, small)
    | st.builds(ServiceMatch, st.sampled_from([6, 17, 132]), ranges | st.sampled_from(["http", "a1"]).map(PortName))
    | st.builds(ServiceMatch, st.sampled_from([1, 58]), st.none(), small, st.none() | small)
)


@given(matches)
def test_a_match_survives_being_written(match):
    assert parse_match(match_text(match)) == match


def test_the_json_schema_names_every_kind_and_field():
    schema = json_schema()
    assert set(schema["discriminator"]["mapping"]) == {
        "Network",
        "Group",
        "Service",
        "Policy",
        "Endpoint",
        "Router",
        "Uplink",
        "Queue",
        "Mirror",
        "Tiers",
    }
    policy = schema["$defs"]["PolicyDoc"]
    assert policy["additionalProperties"] is False
    assert set(policy["required"]) == {"kind", "name"}
    assert {"rules", "subject", "ingress", "expires"} <= set(policy["properties"])
    assert {"from", "to"} <= set(schema["$defs"]["RuleDoc"]["properties"])


def test_times_are_read_where_a_version_supports_them():
    (document,) = read(
        "{kind: Policy, name: p, expires: 2027-01-01T02:00:00+02:00, rules: [{action: deny}], schedule: "
        "{zone: Europe/Berlin, windows: [{days: [monday, sunday], start: '22:00', end: '24:00'}]}}"
    )
    policy = convert.policy(document)
    assert policy.expires == datetime(2027, 1, 1, tzinfo=UTC)
    (window,) = policy.schedule.windows
    assert (policy.schedule.zone, window.days, window.start_minute, window.end_minute) == (
        "Europe/Berlin",
        frozenset({0, 6}),
        1320,
        1440,
    )

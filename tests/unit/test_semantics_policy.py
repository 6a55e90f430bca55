"""Section 4 of the design, sentence by sentence: who and what a rule speaks of, on which side."""

import dataclasses
from ipaddress import ip_network

import pytest

from intent.model import (
    CidrPeer,
    Direction,
    EndpointPeer,
    Group,
    GroupPeer,
    Operator,
    PortName,
    PortRange,
    Posture,
    Schedule,
    Selector,
    SelectorPeer,
    Service,
    ServiceMatch,
    ServiceName,
    WorldPeer,
)
from intent.semantics import (
    ByPosture,
    ByRules,
    Decider,
    Judgement,
    Ruling,
    UnknownName,
    judge,
    selects,
)
from tests.unit.semantics_kit import (
    ALLOW,
    DENY,
    INVENTORY,
    NOW,
    REJECT,
    WORLD,
    app,
    deciders,
    intents,
    isolate,
    label,
    opening,
    policy,
    rule,
    verdict,
)
from topology.packet import ICMP, TCP, UDP

# -- both sides -----------------------------------------------------------------------------------


def test_one_statement_from_a_to_b_is_enforced_on_both_sides():
    judgement = judge(
        intents(policy("p", rule("r", ALLOW, (app("web"),), (app("db"),)))), INVENTORY, opening(), now=NOW
    )
    why = ByRules("first", 0, frozenset({Decider("p", "r")}))
    assert judgement == Judgement(Ruling(ALLOW, why), Ruling(ALLOW, why))
    assert judgement.verdict is ALLOW


def test_world_has_no_judgement_of_its_own():
    everything = intents(policy("p", rule("r", ALLOW)))
    inward = judge(everything, INVENTORY, opening(src=WORLD), now=NOW)
    outward = judge(everything, INVENTORY, opening(dst=WORLD), now=NOW)
    assert (inward.egress, inward.verdict) == (None, ALLOW)
    assert (outward.ingress, outward.verdict) == (None, ALLOW)


def test_what_no_endpoint_sends_or_gets_is_denied():
    judgement = judge(intents(policy("p", rule("r", ALLOW))), INVENTORY, opening(WORLD, "192.0.2.1"), now=NOW)
    assert judgement == Judgement(None, None)
    assert judgement.deciding is None
    assert judgement.verdict is DENY


def test_verdict_is_the_egress_verdict_if_not_allow_else_the_ingress_verdict():
    egress_no = isolate("e", rule("r", REJECT, direction=Direction.EGRESS), tier="first")
    ingress_no = isolate("i", rule("r", DENY, direction=Direction.INGRESS), tier="first")
    both = judge(intents(egress_no, ingress_no), INVENTORY, opening(), now=NOW)
    assert (both.egress.action, both.ingress.action, both.verdict) == (REJECT, DENY, REJECT)
    assert both.deciding == both.egress
    only_ingress = judge(intents(ingress_no, posture=Posture.ALLOW), INVENTORY, opening(), now=NOW)
    assert (only_ingress.egress.action, only_ingress.verdict) == (ALLOW, DENY)
    assert deciders(only_ingress.deciding) == {"i/r"}


def test_a_one_sided_rule_is_the_ingress_or_egress_of_the_subject_only():
    ingress = rule("in", ALLOW, from_=(app("web"),), direction=Direction.INGRESS)
    of_db = isolate("p", ingress, subject=label("app", Operator.IN, "db"), tier="first")
    judgement = judge(intents(of_db), INVENTORY, opening(), now=NOW)
    assert deciders(judgement.ingress) == {"p/in"}
    assert judgement.egress == Ruling(DENY, ByPosture("lan"))
    back = judge(intents(of_db), INVENTORY, opening("10.0.0.2", "10.0.0.1"), now=NOW)
    assert {back.egress.because, back.ingress.because} == {ByPosture("lan")}


@pytest.mark.parametrize(
    "malformed",
    [
        isolate("p", rule("r", ALLOW)),
        policy("p", rule("r", ALLOW, direction=Direction.EGRESS)),
    ],
)
def test_a_direction_and_a_subject_come_together(malformed):
    with pytest.raises(ValueError, match=r"policies/p\.rules/r"):
        verdict(malformed)


# -- peers ----------------------------------------------------------------------------------------


def test_omitted_from_or_to_is_every_address_endpoints_and_world():
    assert verdict(policy("p", rule("r", ALLOW, to=(app("db"),)))) is ALLOW
    assert verdict(policy("p", rule("r", ALLOW, to=(app("db"),))), of=opening(src=WORLD)) is ALLOW
    assert verdict(policy("p", rule("r", ALLOW, from_=(app("web"),))), of=opening(dst=WORLD)) is ALLOW


@pytest.mark.parametrize(
    ("peer", "matches_endpoint", "matches_world"),
    [
        (app("web"), True, False),
        (app("db"), False, False),
        (SelectorPeer(Selector()), True, False),
        (EndpointPeer("web"), True, False),
        (EndpointPeer("db"), False, False),
        (WorldPeer(), False, True),
        (CidrPeer(ip_network("0.0.0.0/0")), True, True),
        (CidrPeer(ip_network("10.0.0.0/8")), True, False),
        (CidrPeer(ip_network("::/0")), False, False),
        (GroupPeer("outer"), True, False),
    ],
)
def test_a_cidr_matches_any_address_inside_and_world_exactly_those_of_no_endpoint(
    peer, matches_endpoint, matches_world
):
    groups = (Group("outer", (EndpointPeer("db"), GroupPeer("inner"))), Group("inner", (app("web"),)))
    p = policy("p", rule("r", ALLOW, from_=(peer,)))
    assert (verdict(p, groups=groups) is ALLOW) is matches_endpoint
    assert (verdict(p, groups=groups, of=opening(src=WORLD)) is ALLOW) is matches_world


@pytest.mark.parametrize(("last", "inside"), [(1, True), (3, True), (4, False), (7, False), (8, True), (16, False)])
def test_a_cidr_block_has_exceptions(last, inside):
    peer = CidrPeer(ip_network("10.0.0.0/28"), (ip_network("10.0.0.4/30"), ip_network("fd00::/64")))
    p = policy("p", rule("r", ALLOW, from_=(peer,)))
    assert (verdict(p, of=opening(src=f"10.0.0.{last}")) is ALLOW) is inside


def test_a_rule_needs_one_of_its_peers_on_each_side():
    p = policy("p", rule("r", ALLOW, (app("db"), EndpointPeer("web")), (WorldPeer(), app("db"))))
    assert verdict(p) is ALLOW
    assert verdict(p, of=opening(dst="10.0.0.1")) is DENY


def test_an_address_of_another_network_is_nobody_here():
    p = policy("p", rule("r", ALLOW, to=(EndpointPeer("other"),)))
    assert verdict(p, of=opening("10.0.0.2", "10.0.0.1", network="lan")) is DENY
    judgement = judge(intents(p), INVENTORY, opening("10.0.0.2", "10.0.0.1", network="far"), now=NOW)
    assert judgement.egress is None
    assert deciders(judgement.ingress) == {"p/r"}


@pytest.mark.parametrize(
    ("operator", "values", "with_web", "without"),
    [
        (Operator.IN, ("web", "db"), True, False),
        (Operator.IN, ("db",), False, False),
        (Operator.NOT_IN, ("web",), False, True),
        (Operator.NOT_IN, ("db",), True, True),
        (Operator.EXISTS, (), True, False),
        (Operator.DOES_NOT_EXIST, (), False, True),
    ],
)
def test_label_selectors_are_as_in_kubernetes(operator, values, with_web, without):
    assert selects(label("app", operator, *values), {"app": "web"}) is with_web
    assert selects(label("app", operator, *values), {"other": "web"}) is without


def test_all_requirements_of_a_selector_must_hold():
    selector = Selector((*label("a", Operator.EXISTS).requirements, *label("b", Operator.EXISTS).requirements))
    assert selects(selector, {"a": "1", "b": "1"})
    assert not selects(selector, {"a": "1"})


# -- services -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "of", "matches"),
    [
        (ServiceMatch(), opening(), True),
        (ServiceMatch(), opening(protocol=47, dport=None), True),
        (ServiceMatch(TCP), opening(), True),
        (ServiceMatch(UDP), opening(), False),
        (ServiceMatch(TCP, PortRange(80, 80)), opening(dport=80), True),
        (ServiceMatch(TCP, PortRange(80, 81)), opening(dport=81), True),
        (ServiceMatch(TCP, PortRange(80, 81)), opening(dport=82), False),
        (ServiceMatch(TCP, PortRange(80, 81)), opening(dport=79), False),
        (ServiceMatch(TCP, PortRange(0, 65535)), opening(dport=None), False),
        (ServiceMatch(TCP, PortRange(80, 80)), opening(dport=81, sport=80), False),
        (ServiceMatch(TCP, PortName("sql")), opening(dport=5432), True),
        (ServiceMatch(TCP, PortName("sql")), opening(dport=5433), False),
        (ServiceMatch(UDP, PortName("sql")), opening(protocol=UDP, dport=5432), False),
        (ServiceMatch(TCP, PortName("sql")), opening(dst=WORLD, dport=5432), False),
        (ServiceMatch(TCP, PortName("sql")), opening("10.0.0.2", "10.0.0.1", dport=5432), False),
        (ServiceMatch(ICMP), opening(protocol=ICMP, dport=None, icmp_type=8, icmp_code=0), True),
        (ServiceMatch(ICMP, icmp_type=8), opening(protocol=ICMP, dport=None, icmp_type=8, icmp_code=0), True),
        (ServiceMatch(ICMP, icmp_type=13), opening(protocol=ICMP, dport=None, icmp_type=8, icmp_code=0), False),
        (
            ServiceMatch(ICMP, icmp_type=8, icmp_code=1),
            opening(protocol=ICMP, dport=None, icmp_type=8, icmp_code=0),
            False,
        ),
        (ServiceName("outer"), opening(dport=443), True),
        (ServiceName("outer"), opening(dport=80), False),
    ],
)
def test_a_service_is_protocol_port_and_icmp_and_named_ports_resolve_at_the_destination(service, of, matches):
    services = (
        Service("outer", (ServiceMatch(UDP), ServiceName("inner"))),
        Service("inner", (ServiceMatch(TCP, PortRange(443, 443)),)),
    )
    assert (verdict(policy("p", rule("r", ALLOW, services=(service,))), services=services, of=of) is ALLOW) is matches


def test_a_rule_needs_one_of_its_services():
    either = (ServiceMatch(UDP), ServiceMatch(TCP))
    assert verdict(policy("p", rule("r", ALLOW, services=either))) is ALLOW


# -- names ----------------------------------------------------------------------------------------

_CYCLE = (Group("a", (GroupPeer("b"),)), Group("b", (GroupPeer("a"),)))


@pytest.mark.parametrize(
    ("people", "path", "name"),
    [
        (intents(policy("p", tier="nowhere")), "policies/p.tier", "nowhere"),
        (intents(policy("p", rule("r", DENY, (GroupPeer("g"),)))), "policies/p.rules/r.from", "g"),
        (intents(policy("p", rule("r", DENY, None, (GroupPeer("g"),)))), "policies/p.rules/r.to", "g"),
        (
            intents(policy("p", rule("r", DENY, services=(ServiceName("s"),)))),
            "policies/p.rules/r.services",
            "s",
        ),
        (
            intents(policy("p", rule("r", DENY, (GroupPeer("g"),))), groups=(Group("g", (GroupPeer("h"),)),)),
            "groups/g",
            "h",
        ),
        (intents(policy("p", rule("r", DENY, (GroupPeer("a"),))), groups=_CYCLE), "groups/b", "a"),
        (intents(policy("p", schedule=Schedule("Mars/Base", ()))), "policies/p.schedule.zone", "Mars/Base"),
        (dataclasses.replace(intents(), networks={}), "endpoints/web.network", "lan"),
    ],
)
def test_a_name_without_meaning_is_an_error_with_a_path_and_never_matches_nothing(people, path, name):
    with pytest.raises(UnknownName) as caught:
        judge(people, INVENTORY, opening(), now=NOW)
    assert (caught.value.path, caught.value.name) == (path, name)
    assert str(caught.value).startswith(f"{path}: {name} has no meaning; ")

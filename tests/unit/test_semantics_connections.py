"""Section 4 of the design, "Connections": replies, errors, and who a connection belongs to."""

import dataclasses
from ipaddress import ip_address

import pytest

from intent.model import PortRange, ServiceMatch
from intent.semantics import Capabilities, Reason, Verdict, evaluate
from tests.unit.semantics_kit import ALLOW, DB, DENY, INVENTORY, NOW, REJECT, WEB, app, intents, opening, policy, rule
from topology.model import Inventory
from topology.packet import (
    ETH_IPV4,
    ICMP,
    SCTP,
    TCP,
    Connection,
    ConnectionRole,
    Fate,
    Frame,
    Outcome,
    Tracked,
)

DROP, TO_WEB, TO_DB = Fate(Outcome.DROP), Fate(Outcome.DELIVER, WEB.location), Fate(Outcome.DELIVER, DB.location)
ENDPOINTS = Inventory({"web": WEB, "db": DB})
PORT_80 = (ServiceMatch(TCP, PortRange(80, 80)), ServiceMatch(SCTP, PortRange(80, 80)))
WEB_TO_DB = policy("p", rule("r", ALLOW, (app("web"),), (app("db"),), services=PORT_80))
PEOPLE = intents(WEB_TO_DB)

REQUEST = Frame(1, 1, WEB.mac, DB.mac, ETH_IPV4, None, WEB.addresses[0], DB.addresses[0], TCP, 40000, 80)
REPLY = Frame(1, 2, DB.mac, WEB.mac, ETH_IPV4, None, DB.addresses[0], WEB.addresses[0], TCP, 80, 40000)
ERROR = dataclasses.replace(REPLY, protocol=ICMP, sport=None, dport=None, icmp_type=3, icmp_code=1)
OPENED = Connection(opening(sport=40000), WEB.attachment, DB.attachment)


def told(role, connection=OPENED):
    return Tracked(role, connection)


def fate(frame, tracked, people=PEOPLE, inventory=ENDPOINTS, **more):
    return evaluate(people, inventory, frame, tracked, now=NOW, **more)


ON_REPLY, ON_ORIGINAL, ON_ERROR = (
    told(role) for role in (ConnectionRole.REPLY, ConnectionRole.ORIGINAL, ConnectionRole.RELATED)
)
NEW = Tracked(ConnectionRole.NEW)


def without_policy():
    return intents()


def replugged(name):
    """Somebody else with the same port, MAC, addresses and labels."""
    was = ENDPOINTS.endpoints[name]
    now = dataclasses.replace(was, location=dataclasses.replace(was.location, uid="another-row"))
    return Inventory({**ENDPOINTS.endpoints, name: now})


def test_a_connection_is_allowed_in_both_directions_when_its_opening_is():
    assert fate(REQUEST, NEW).fate == TO_DB
    assert fate(REQUEST, ON_ORIGINAL).fate == TO_DB
    assert fate(REPLY, ON_REPLY).fate == TO_WEB
    assert fate(REPLY, NEW).fate == DROP
    assert fate(REPLY, NEW).reason is Reason.POLICY


@pytest.mark.parametrize(("frame", "tracked"), [(REQUEST, ON_ORIGINAL), (REPLY, ON_REPLY), (ERROR, ON_ERROR)])
def test_at_every_instant_revocation_cuts_the_live_connection(frame, tracked):
    assert fate(frame, tracked).fate.outcome is Outcome.DELIVER
    assert fate(frame, tracked, without_policy()).fate == DROP
    later_deny = intents(WEB_TO_DB, policy("d", rule("r", DENY), order=0))
    assert fate(frame, tracked, later_deny).fate == DROP
    relabelled = Inventory({**ENDPOINTS.endpoints, "web": dataclasses.replace(WEB, labels={})})
    assert fate(frame, tracked, PEOPLE, relabelled).fate == DROP


def test_replies_are_judged_as_their_opening_not_by_the_rule_that_first_admitted_them():
    another = intents(policy("other", rule("r", ALLOW)))
    verdict = fate(REPLY, ON_REPLY, another)
    assert verdict.fate == TO_WEB
    assert verdict.judgement == fate(REQUEST, NEW, another).judgement


def test_an_icmp_error_passes_exactly_when_the_connection_it_quotes_is_allowed_whoever_sends_it():
    third = dataclasses.replace(
        WEB,
        name="third",
        mac="02:00:00:00:00:09",
        addresses=(ip_address("10.0.0.9"),),
        location=dataclasses.replace(WEB.location, ofport=9, uid="row-9"),
    )
    inventory = Inventory({**ENDPOINTS.endpoints, "third": third})
    from_third = dataclasses.replace(ERROR, in_port=9, eth_src=third.mac, src=third.addresses[0])
    assert fate(from_third, ON_ERROR, PEOPLE, inventory).fate == TO_WEB
    assert fate(from_third, ON_ERROR, without_policy(), inventory).fate == DROP


@pytest.mark.parametrize("side", ["web", "db"])
@pytest.mark.parametrize(("frame", "tracked"), [(REPLY, ON_REPLY), (ERROR, ON_ERROR)])
def test_whoever_gets_the_address_next_inherits_nothing_whatever_its_labels(frame, tracked, side):
    assert fate(frame, tracked, PEOPLE, replugged(side)) == Verdict(DROP, Reason.CHANGED_HANDS)


def test_a_packet_of_the_opening_side_is_an_opening_in_its_own_right_and_takes_the_connection_over():
    assert fate(REQUEST, ON_ORIGINAL, PEOPLE, replugged("web")).fate == TO_DB


def test_a_connection_to_world_ends_when_somebody_gets_the_address():
    opened = Connection(opening(dst="10.0.0.2", sport=40000), WEB.attachment, None)
    assert fate(REPLY, told(ConnectionRole.REPLY, opened)) == Verdict(DROP, Reason.CHANGED_HANDS)


def test_an_error_about_a_connection_with_world_is_judged_as_that_connection():
    quoted = Connection(opening(dst="192.0.2.9", sport=40000), WEB.attachment, None)
    related = told(ConnectionRole.RELATED, quoted)
    assert fate(ERROR, related, intents(policy("p", rule("r", ALLOW, (app("web"),))))).fate == TO_WEB
    assert fate(ERROR, related).fate == DROP


def test_an_icmp_reply_is_judged_as_its_request():
    people = intents(policy("p", rule("r", ALLOW, services=(ServiceMatch(ICMP, icmp_type=8),))))
    echo = opening(protocol=ICMP, dport=None, icmp_type=8, icmp_code=0)
    reply = dataclasses.replace(REPLY, protocol=ICMP, sport=None, dport=None, icmp_type=0, icmp_code=0)
    tracked = told(ConnectionRole.REPLY, Connection(echo, WEB.attachment, DB.attachment))
    assert fate(reply, tracked, people).fate == TO_WEB
    only_replies = intents(policy("p", rule("r", ALLOW, services=(ServiceMatch(ICMP, icmp_type=0),))))
    assert fate(reply, tracked, only_replies).fate == DROP


def test_what_conntrack_calls_invalid_is_dropped():
    assert fate(REQUEST, Tracked(ConnectionRole.INVALID)) == Verdict(DROP, Reason.INVALID)


# -- protocols whose ports conntrack does not keep --------------------------------------------------

SCTP_OPENED = Connection(opening(protocol=SCTP, dport=80, sport=40000), WEB.attachment, DB.attachment)
SCTP_REPLY = dataclasses.replace(REPLY, protocol=SCTP)
EXACT = Capabilities(portless=frozenset())


@pytest.mark.parametrize(("sport", "passes"), [(80, True), (81, False)])
def test_without_ports_a_reply_passes_iff_its_swapped_ports_are_those_of_an_allowed_opening(sport, passes):
    frame = dataclasses.replace(SCTP_REPLY, sport=sport)
    assert (fate(frame, told(ConnectionRole.REPLY, SCTP_OPENED)).fate == TO_WEB) is passes


def test_without_ports_a_packet_of_the_opening_side_passes_iff_it_is_an_allowed_opening():
    request = dataclasses.replace(REQUEST, protocol=SCTP)
    original = told(ConnectionRole.ORIGINAL, SCTP_OPENED)
    assert fate(request, original).fate == TO_DB
    assert fate(dataclasses.replace(request, dport=81), original).fate == DROP


def test_without_ports_nobody_knows_what_an_error_is_about():
    error = told(ConnectionRole.RELATED, SCTP_OPENED)
    assert fate(ERROR, error) == Verdict(DROP, Reason.PORTS_UNKNOWN)
    assert fate(ERROR, error, capabilities=EXACT).fate == TO_WEB


def test_with_ports_the_connection_says_what_was_opened():
    tracked = told(ConnectionRole.REPLY, SCTP_OPENED)
    assert fate(dataclasses.replace(SCTP_REPLY, sport=81), tracked, capabilities=EXACT).fate == TO_WEB


# -- reject ---------------------------------------------------------------------------------------


def test_reject_answers_the_packet_that_would_open_a_connection_and_only_it():
    people = intents(policy("p", rule("r", REJECT)))
    assert (fate(REQUEST, NEW, people).fate, fate(REQUEST, NEW, people).reason) == (DROP, Reason.REJECTED)
    for frame, tracked in ((REQUEST, ON_ORIGINAL), (REPLY, ON_REPLY), (ERROR, ON_ERROR)):
        established = fate(frame, tracked, people)
        assert (established.fate, established.reason) == (DROP, Reason.POLICY)


# -- misuse ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("tracked", [None, Tracked(ConnectionRole.REPLY), Tracked(ConnectionRole.RELATED)])
def test_conntrack_has_to_say_what_it_knows(tracked):
    with pytest.raises(ValueError, match=r"conntrack|say which"):
        fate(REPLY, tracked)


def test_overlapping_networks_do_not_mix():
    assert fate(REQUEST, NEW, PEOPLE, INVENTORY).fate == TO_DB
    assert fate(REPLY, ON_REPLY, PEOPLE, INVENTORY).fate == TO_WEB

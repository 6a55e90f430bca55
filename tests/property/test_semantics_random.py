"""Random cases are what they promise to be, and laws of the semantics hold on them."""

import dataclasses
from collections import Counter

import pytest
from hypothesis import given, settings

from intent.meaning.places import domain_of, holder
from intent.model import Mode
from intent.semantics import Admitted, Reason, admit, candidate_set, evaluate
from tests.property.cases import make_case
from tests.property.strategies import (
    BASIC,
    EVERYTHING,
    NOW,
    OFFSETS,
    case_with_frames,
    changes,
    frames,
    random_case,
    random_change,
    random_frames,
)
from topology.model import Endpoint, UplinkPort
from topology.packet import ConnectionRole, Tracked

NEW = Tracked(ConnectionRole.NEW)
SEEDS = range(60)


def fate(case, frame, intents=None):
    return evaluate(intents or case.intents, case.inventory, frame, NEW, now=NOW, offsets=OFFSETS)


def verdicts(features):
    for seed in SEEDS:
        case = random_case(seed, features)
        for frame in random_frames(case, seed, 40):
            yield fate(case, frame)


def test_a_seed_is_one_case_and_one_list_of_frames():
    assert random_case(7) == random_case(7) != random_case(8)
    case = random_case(7)
    assert random_frames(case, 1, 20) == random_frames(case, 1, 20) != random_frames(case, 2, 20)


@pytest.mark.parametrize("features", [BASIC, EVERYTHING])
def test_no_two_endpoints_of_a_network_share_an_address_or_mac_and_none_a_port(features):
    for seed in SEEDS:
        case = random_case(seed, features)
        for inventory in (case.inventory, random_change(case, seed).inventory):
            plugged = (*inventory.endpoints.values(), *inventory.unaddressed)
            held = [(e.network, a) for e in inventory.endpoints.values() for a in e.addresses]
            for keys in (held, [(e.network, e.mac) for e in plugged], [e.location for e in plugged]):
                assert len(keys) == len(set(keys))


@pytest.mark.parametrize("features", [BASIC, EVERYTHING])
def test_random_frames_meet_every_reason(features):
    reasons = Counter(verdict.reason for verdict in verdicts(features))
    elsewhere = {Reason.UNTRANSLATED}  # test_translation_agrees
    expected = set(Reason) - elsewhere - {Reason.PORTS_UNKNOWN, Reason.CHANGED_HANDS}
    expected -= set() if features.reject else {Reason.REJECTED}
    assert reasons.keys() == expected - (set() if features.routing else {Reason.SPOOFED, Reason.TTL})


def test_random_policies_decide_in_every_way():
    because = Counter(
        (type(ruling.because).__name__, str(ruling.action))
        for verdict in verdicts(EVERYTHING)
        if verdict.judgement
        for ruling in (verdict.judgement.egress, verdict.judgement.ingress)
        if ruling  # the world has none
    )
    rules = {("ByRules", action) for action in ("allow", "deny", "reject")}
    assert because.keys() == {*rules, ("ByIsolation", "deny"), ("ByPosture", "allow"), ("ByPosture", "deny")}


class Simplest:
    """Every choice as a drawn case shrinks to it."""

    def pick(self, options):
        return options[0]

    def chance(self, percent):
        return False


@pytest.mark.parametrize("features", [BASIC, EVERYTHING])
def test_the_case_that_others_shrink_to_is_small(features):
    case = make_case(Simplest(), features)
    assert sum(len(policy.rules) for policy in case.intents.policies.values()) == 1
    assert len(case.intents.networks) == 1
    assert len(case.inventory.endpoints) == 2
    assert not case.intents.groups
    assert not case.intents.services


@settings(max_examples=60)
@given(case_with_frames(EVERYTHING, 4))
def test_composition_does_not_depend_on_who_wrote_first(drawn):
    case, sent = drawn
    backwards = {
        name: dataclasses.replace(policy, rules=policy.rules[::-1])
        for name, policy in reversed(case.intents.policies.items())
    }
    reordered = dataclasses.replace(case.intents, policies=backwards)
    assert [fate(case, frame) for frame in sent] == [fate(case, frame, reordered) for frame in sent]


@settings(max_examples=60)
@given(case_with_frames(EVERYTHING, 4))
def test_observe_policies_and_those_that_are_off_never_change_the_verdict(drawn):
    case, sent = drawn
    enforced = {name: p for name, p in case.intents.policies.items() if p.mode is Mode.ENFORCE}
    without = dataclasses.replace(case.intents, policies=enforced)
    assert [fate(case, frame) for frame in sent] == [fate(case, frame, without) for frame in sent]
    assert candidate_set(without) == without


@settings(max_examples=30)
@given(case_with_frames(count=6).flatmap(lambda drawn: changes(drawn[0])).flatmap(frames))
def test_frames_can_be_drawn_for_a_case_that_changed(sent):
    assert len(sent) == 1


def test_a_frame_that_passes_the_guards_stays_in_its_network_unless_a_router_joins_it_to_another():
    met = Counter()
    for seed in SEEDS:
        case = random_case(seed, EVERYTHING)
        for frame in random_frames(case, seed, 40):
            admitted = admit(case.intents, case.inventory, frame)
            if isinstance(admitted, Admitted):
                joined = domain_of(case.intents, admitted.network)
                ends = ((admitted.source, frame.src, frame.eth_src), (admitted.destination, frame.dst, frame.eth_dst))
                for end, address, mac in ends:
                    if isinstance(end, Endpoint):
                        assert address in end.addresses
                        assert end.network in joined
                        assert admitted.hop or end.mac == mac
                    else:
                        assert holder(case.intents, case.inventory, admitted.network, address) is None
                met[type(admitted.source), type(admitted.destination), admitted.hop is not None] += 1
    assert met.keys() >= {(Endpoint, Endpoint, False), (Endpoint, Endpoint, True), (Endpoint, UplinkPort, True)}
    assert met[UplinkPort, Endpoint, False] + met[UplinkPort, Endpoint, True]

"""Section 4 of the design, sentence by sentence: order, isolation, posture, mode and time."""

from datetime import datetime, timedelta

import pytest

from intent.model import (
    MAX_ORDER,
    Direction,
    Mode,
    Operator,
    Posture,
    Schedule,
    ServiceMatch,
    Window,
    WorldPeer,
)
from intent.semantics import (
    ByIsolation,
    ByPosture,
    Ruling,
    candidate_set,
    judge,
)
from tests.unit.semantics_kit import (
    ALLOW,
    DENY,
    INVENTORY,
    NOW,
    PASS,
    REJECT,
    deciders,
    intents,
    isolate,
    label,
    opening,
    policy,
    rule,
    verdict,
)
from topology.packet import UDP

# -- order ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("strongest", range(4))
def test_in_one_band_deny_beats_reject_beats_allow_beats_pass(strongest):
    actions = (DENY, REJECT, ALLOW, PASS)[strongest:]
    policies = [policy(f"p{n}", rule("r", action)) for n, action in enumerate(reversed(actions))]
    later = policy("later", rule("r", ALLOW), tier="last")
    expected = ALLOW if actions[0] is PASS else actions[0]
    assert verdict(*policies, later) is expected
    assert verdict(later, *reversed(policies)) is expected


def test_the_first_band_with_a_match_decides():
    late = policy("late", rule("r", DENY), order=MAX_ORDER)
    early = policy("early", rule("r", ALLOW), order=1)
    unmatched = policy("unmatched", rule("r", DENY, services=(ServiceMatch(UDP),)), order=0)
    assert verdict(late, early, unmatched) is ALLOW


def test_tiers_come_before_orders():
    assert verdict(policy("a", rule("r", DENY), tier="last"), policy("b", rule("r", ALLOW), order=9)) is ALLOW
    assert verdict(policy("a", rule("r", DENY), order=9), policy("b", rule("r", ALLOW), tier="last")) is DENY


def test_each_matching_rule_of_the_deciding_action_is_a_correct_decider():
    policies = (
        policy("p", rule("a", DENY), rule("b", DENY), rule("c", ALLOW)),
        policy("q", rule("a", DENY), rule("b", DENY, services=(ServiceMatch(UDP),))),
        policy("z", rule("a", DENY), order=1),
    )
    assert deciders(judge(intents(*policies), INVENTORY, opening(), now=NOW).egress) == {"p/a", "p/b", "q/a"}


def test_pass_skips_the_rest_of_its_tier_and_no_more():
    passing = policy("p", rule("r", PASS))
    rest = policy("q", rule("r", DENY), order=1)
    assert verdict(passing, rest, posture=Posture.ALLOW) is ALLOW
    assert verdict(passing, rest, policy("s", rule("r", DENY), tier="last"), posture=Posture.ALLOW) is DENY


# -- isolation ------------------------------------------------------------------------------------


def test_an_isolating_tier_denies_whom_a_policy_selects_with_or_without_a_rule_there():
    unmatched = rule("r", ALLOW, from_=(WorldPeer(),), direction=Direction.INGRESS)
    policies = (isolate("empty"), isolate("full", unmatched), policy("later", rule("r", ALLOW), tier="last"))
    judgement = judge(intents(*policies), INVENTORY, opening(), now=NOW)
    assert judgement.ingress == Ruling(DENY, ByIsolation("pods", frozenset({"empty", "full"})))
    assert judgement.egress.action is ALLOW


def test_others_go_on_to_the_next_tier():
    of_web = isolate("p", subject=label("app", Operator.IN, "web"))
    assert verdict(of_web, policy("later", rule("r", ALLOW), tier="last")) is ALLOW


def test_isolation_is_of_one_direction():
    egress = isolate("p", directions=(Direction.EGRESS,))
    judgement = judge(intents(egress, posture=Posture.ALLOW), INVENTORY, opening(), now=NOW)
    assert judgement.egress == Ruling(DENY, ByIsolation("pods", frozenset({"p"})))
    assert judgement.ingress == Ruling(ALLOW, ByPosture("lan"))


def test_a_rule_of_the_tier_decides_before_its_isolation():
    assert verdict(isolate("p", rule("r", ALLOW, direction=Direction.INGRESS)), posture=Posture.ALLOW) is ALLOW


def test_pass_skips_the_isolation_of_its_tier():
    passing = policy("p", rule("r", PASS), tier="pods")
    assert verdict(passing, isolate("q"), posture=Posture.ALLOW) is ALLOW


@pytest.mark.parametrize("change", [{"mode": Mode.OFF}, {"mode": Mode.OBSERVE}, {"expires": NOW}])
def test_only_an_enforced_unexpired_policy_isolates(change):
    assert verdict(isolate("p", **change), posture=Posture.ALLOW) is ALLOW


def test_policies_of_other_tiers_and_without_a_subject_do_not_isolate():
    two_sided = policy("p", rule("r", ALLOW, services=(ServiceMatch(UDP),)), tier="pods")
    assert verdict(two_sided, isolate("q", tier="last"), posture=Posture.ALLOW) is ALLOW


# -- posture --------------------------------------------------------------------------------------


def test_if_nothing_decides_the_posture_of_the_judged_endpoints_own_network_does():
    assert judge(intents(), INVENTORY, opening(), now=NOW).egress == Ruling(DENY, ByPosture("lan"))
    assert verdict(posture=Posture.ALLOW) is ALLOW
    assert verdict(of=opening("10.0.0.9", "10.0.0.1", network="far")) is ALLOW


# -- mode and time --------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "expected"), [(Mode.ENFORCE, DENY), (Mode.OBSERVE, ALLOW), (Mode.OFF, ALLOW)])
def test_observe_and_off_never_change_the_verdict(mode, expected):
    assert verdict(policy("p", rule("r", DENY), mode=mode), posture=Posture.ALLOW) is expected


def test_the_candidate_set_is_the_enforced_policies_plus_all_in_observe():
    people = intents(
        policy("watched", rule("r", DENY), mode=Mode.OBSERVE),
        policy("off", rule("r", DENY), mode=Mode.OFF),
        policy("on", rule("r", ALLOW)),
    )
    assert judge(people, INVENTORY, opening(), now=NOW).verdict is ALLOW
    assert deciders(judge(candidate_set(people), INVENTORY, opening(), now=NOW).egress) == {"watched/r"}
    assert people.policies["watched"].mode is Mode.OBSERVE


@pytest.mark.parametrize(("after", "expected"), [(-1, ALLOW), (0, DENY), (1, DENY)])
def test_expires_is_the_instant_at_which_the_policy_no_longer_holds(after, expected):
    p = policy("p", rule("r", ALLOW), expires=NOW)
    assert judge(intents(p), INVENTORY, opening(), now=NOW + timedelta(seconds=after)).verdict is expected


def holds_at(window, utc, hours):
    p = policy("p", rule("r", ALLOW), schedule=Schedule("Europe/Berlin", (window,)))
    offsets = {"Europe/Berlin": timedelta(hours=hours)}
    return judge(intents(p), INVENTORY, opening(), now=datetime.fromisoformat(utc), offsets=offsets).verdict is ALLOW


WEDNESDAY = frozenset({2})
EVERY_DAY = frozenset(range(7))


@pytest.mark.parametrize(
    ("utc", "holds"),
    [
        ("2024-05-15T06:59:59Z", False),
        ("2024-05-15T07:00:00Z", True),
        ("2024-05-15T14:59:59Z", True),
        ("2024-05-15T15:00:00Z", False),
        ("2024-05-14T08:00:00Z", False),
    ],
)
def test_windows_are_half_open_in_local_time(utc, holds):
    assert holds_at(Window(WEDNESDAY, 9 * 60, 17 * 60), utc, 2) is holds


@pytest.mark.parametrize(
    ("utc", "holds"),
    [
        ("2024-05-15T19:59:00Z", False),
        ("2024-05-15T20:00:00Z", True),
        ("2024-05-16T03:59:00Z", True),
        ("2024-05-16T04:00:00Z", False),
        ("2024-05-15T03:00:00Z", False),
    ],
)
def test_a_window_that_ends_before_it_starts_ends_on_the_next_day(utc, holds):
    assert holds_at(Window(WEDNESDAY, 22 * 60, 6 * 60), utc, 2) is holds


def test_a_time_that_does_not_exist_is_the_next_that_does():
    window = Window(EVERY_DAY, 2 * 60 + 30, 4 * 60)  # 2024-03-31: 01:59 is followed by 03:00
    assert not holds_at(window, "2024-03-31T00:59:59Z", 1)
    assert holds_at(window, "2024-03-31T01:00:00Z", 2)


def test_a_time_that_occurs_twice_counts_as_both():
    window = Window(EVERY_DAY, 2 * 60, 2 * 60 + 30)  # 2024-10-27: 02:59 is followed by 02:00
    seen = [holds_at(window, f"2024-10-27T0{h}:{m}:00Z", 2 - h) for h in (0, 1) for m in (15, 45)]
    assert seen == [True, False, True, False]


def test_now_needs_a_zone():
    with pytest.raises(ValueError, match="aware"):
        judge(intents(), INVENTORY, opening(), now=NOW.replace(tzinfo=None))


def test_a_window_that_ends_when_it_starts_lasts_a_day():
    window = Window(WEDNESDAY, 9 * 60, 9 * 60)
    seen = [holds_at(window, f"2024-05-{day}:00Z", 0) for day in ("15T08:59", "15T09:00", "16T08:59", "16T09:00")]
    assert seen == [False, True, True, False]

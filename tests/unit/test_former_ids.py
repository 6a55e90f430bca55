"""Id maps and journals of versions that split a band by the numbers of its conjunctions; and damaged ones."""

from __future__ import annotations

import json

import pytest

from intent.compiler import IdMap
from intent.compiler.bands import Band, Places
from intent.compiler.engine import IdChange, applied
from intent.compiler.seats import TIMED
from intent.model import Action

PLACES = {
    "spaces": {"conjunction": {"live": {"a/r#": 1, "b/r#": 2}, "resting": {"3": 5.0}, "next": 4}},
    "bands": {"application": {"10": [4000, 1, [1, 1, 1, 1]], "20": [4064, 2, [2, 1, 4, 1]]}, "platform": {}},
    "resting_slots": {"application": {"4010": 7.0}, "platform": {}},
    "timers": {"application/10": {"t/r": 0, "u/r": 3}, "application/20": {"v/r": 1}},
    "shards": {"application/20": [2, 1, 4, 1]},
}
TOP = 65_000 + 7
"""Of slot 0, from which that version counted."""


def test_what_is_read_has_the_priorities_that_it_had():
    id_map = IdMap.from_json(json.dumps(PLACES))
    whole, split = id_map.bands["application"][10], id_map.bands["application"][20]
    first = TOP - 4000 * 8
    assert [whole.priority(action) for action in Action] == [first, first - 1, first - 2, first - 7]
    assert whole.priority(Action.ALLOW, id_map.seats["application/10"][TIMED]["t/r"]) == first - 3
    assert whole.priority(Action.ALLOW, id_map.seats["application/10"][TIMED]["u/r"]) == first - 6
    first = TOP - 4064 * 8
    assert {split.priority(Action.DENY, place) for place in (0, 1)} == {first, first - 1}
    assert [split.priority(Action.ALLOW, place) for place in range(4)] == [first - n for n in (3, 4, 5, 6)]
    assert split.priority(Action.ALLOW, id_map.seats["application/20"][TIMED]["v/r"]) == first - 8
    assert split.priority(Action.PASS) == first - 15
    assert id_map.number("conjunction", "b/r#") == 2
    assert IdMap.from_json(id_map.to_json()) == id_map


def test_in_a_band_that_was_not_split_nobody_moves_and_in_one_that_was_all_are_seated():
    before = IdMap.from_json(json.dumps(PLACES))
    ten = {Action.ALLOW: ["a/r#"], TIMED: ["t/r", "u/r"]}
    twenty = {Action.DENY: ["b/r#"], TIMED: ["v/r"]}
    after = before.with_bands({"application": {10: ten, 20: twenty}}, 8.0)
    assert after.bands == before.bands
    assert after.seats["application/10"] == {"allow": {"a/r#": 0}, TIMED: {"t/r": 1, "u/r": 4}}
    assert after.seats["application/20"] == {"deny": {"b/r#": 0}, TIMED: {"v/r": 5}}
    assert after.resting_slots["application"] == {4010: 7.0}


def test_a_journal_of_before_goes_on_with_one_of_now():
    places = json.dumps({**PLACES, "spaces": {}})
    former = IdChange.from_json(json.dumps({"at": 1.0, "spaces": {}, "places": places}))
    idle = IdChange.from_json(json.dumps({"at": 2.0, "spaces": {}, "places": None}))
    id_map = applied(IdMap(), [former, idle])
    assert id_map == applied(id_map, [idle])
    assert id_map.seats == IdMap.from_json(places).seats
    now = IdChange.from_json(
        '{"at":3,"spaces":{},"places":null,"seats":{"application/10":{"timed":[{"w/r":9},{"u/r":4}]}}}'
    )
    assert applied(id_map, [now]).seats["application/10"] == {TIMED: {"t/r": 1, "w/r": 9}}
    assert applied(id_map, [now, former]).seats == id_map.seats


@pytest.mark.parametrize(
    "part",
    [
        {"bands": {"t": {"1": [1, [1, 1, 5]]}}},
        {"bands": {"t": {"1": [1, [1, 1, 4, 1]]}}},
        {"bands": {"t": {"1": [1, [1, 0, 6, 1]]}}},
        {"bands": {"t": {"1": ["1", [1, 1, 5, 1]]}}},
        {"bands": {"t": {"1": [0, [1, 1, 5, 1]]}}},
        {"bands": {"t": {"1": [8000, [1, 1, 13, 1]]}}},
        {"bands": {"t": {"1": [1, 1, [1, 1, 1, 1]]}}},
        {"bands": {"t": {"1": [7, [1, 1, 5, 1]], "2": [6, [1, 1, 5, 1]]}}},
        {"seats": {"t/1": {"timed": {"a": 0}}}},
        {"seats": {"t/1": {"timed": {"a": 1, "b": 1}}}},
        {"seats": {"t/1": {"timed": {"a": 1}, "allow": {"b": 1}}}},
        {"seats": {"t/1": {"maybe": {"a": 0}}}},
        {"seats": {"t/1": {"allow": {"a": -1}}}},
        {"seats": {"t/1": {"allow": {"a": 10**9}}}},
        {"seats": {"t/1": {"allow": {"a": None}}}},
        {"seats": {"t/x": {"allow": {"a": 0}}}},
        {"seats": {"t/1": {"allow": 7}}},
    ],
)
def test_what_cannot_be_is_refused(part):
    raw = {"spaces": {}, "bands": {}, "resting_slots": {}, "seats": {}}
    assert IdMap.from_json(json.dumps(raw)) == IdMap()
    with pytest.raises((ValueError, KeyError, TypeError)):
        IdMap.from_json(json.dumps(raw | part))


@pytest.mark.parametrize(
    "part", [{"shards": {"t/1": [1]}}, {"shards": {"t/1": 3}}, {"bands": {"t": {"1": [1, 1, [9, 1, 1, 1]]}}}]
)
def test_what_could_not_be_before_is_refused(part):
    with pytest.raises((ValueError, KeyError, TypeError)):
        IdMap.from_json(json.dumps(PLACES | part))


def test_a_band_that_was_read_is_what_it_would_be_now():
    assert IdMap.from_json(json.dumps(PLACES)).bands["application"] == {
        10: Band(4000, Places(1, 1, 5, 1)),
        20: Band(4064, Places(2, 1, 12, 1)),
    }

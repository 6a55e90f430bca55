"""Bands and seats: the order of actions always holds, and one rule more or less moves nobody else."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intent.compiler import bands, seats
from intent.compiler.bands import MAX_SLOT, SLOT_STRIDE, WIDE, Band, Places
from intent.compiler.engine.journal import IdChange, applied
from intent.compiler.engine.ledger import Ledger
from intent.compiler.ids import IdMap, band_key
from intent.compiler.seats import KINDS, TIMED
from intent.compiler.spaces import REST_S, OutOfNumbers
from intent.model import Action

TIER = "application"
RANK = {Action.DENY: 0, Action.REJECT: 1, Action.ALLOW: 2, TIMED: 2, Action.PASS: 3}
World = dict[int, dict[str, set[str]]]
"""Who wants a seat, by order and kind."""


def with_orders(id_map: IdMap, orders: Iterable[int], now_s: float = 0) -> IdMap:
    return id_map.with_bands({TIER: {order: {} for order in orders}}, now_s)


def with_members(id_map: IdMap, now_s: float = 0, **members: Iterable[str]) -> IdMap:
    """Return the map with one band, order 1, and these members by kind."""
    kinds = {kind.rstrip("_"): list(keys) for kind, keys in members.items()}
    return id_map.with_bands({TIER: {1: kinds}}, now_s)


def priorities(id_map: IdMap) -> dict[tuple[int, str, str], int]:
    """Return the priority of everybody, by order, kind and key."""
    found = {}
    for order, band in id_map.bands[TIER].items():
        for kind, by_key in id_map.seats.get(band_key(TIER, order), {}).items():
            action = Action.ALLOW if kind == TIMED else Action(kind)
            found.update({(order, kind, key): band.priority(action, place) for key, place in by_key.items()})
    return found


def check_laws(id_map: IdMap, world: World) -> None:
    """Everybody is seated, in the order of orders and actions, not too many in a place, and timers alone."""
    found = priorities(id_map)
    assert set(found) == {(o, kind, key) for o, kinds in world.items() for kind, keys in kinds.items() for key in keys}
    ranked: dict[tuple[int, int], list[int]] = {}
    sharing: dict[int, list[str]] = {}
    for (order, kind, _), priority in found.items():
        ranked.setdefault((order, RANK[kind]), []).append(priority)
        sharing.setdefault(priority, []).append(kind)
    for (_, above), (_, below) in itertools.pairwise(sorted(ranked.items())):
        assert min(above) > max(below)
    for kinds in sharing.values():
        assert len(set(kinds)) == 1
        assert len(kinds) <= (1 if kinds[0] == TIMED else seats.SHARD)
    assert all(2 < priority < 2**16 for priority in sharing)
    held = [slot for _, band in sorted(id_map.bands[TIER].items()) for slot in band.slots]
    assert held == sorted(set(held)), "a smaller order has smaller slots, so its band has the higher priority"
    assert not held or (held[0] >= 1 and held[-1] <= bands.MAX_SLOT)
    assert not set(held) & id_map.resting_slots[TIER].keys()


class Follower:
    """A ledger, and beside it the id map made of everybody."""

    def __init__(self) -> None:
        self.world: World = {}
        self.ids = self.written = with_orders(IdMap(), ())
        self.ledger = Ledger(self.ids)
        self.now_s = 0.0

    def turn(self, toggled: Iterable[tuple[int, str, str]]) -> None:
        """Let some come or go, and compare; what moved is checked.

        Raises:
            OutOfNumbers: both said so, and the ledger took it back.
        """
        self.now_s += REST_S / 3
        for order, kind, key in toggled:
            self._toggle(order, kind, f"{kind}-{key}")
        before, had = self.ids, priorities(self.ids)
        try:
            after = self.ids.with_bands({TIER: self.world}, self.now_s)
        except OutOfNumbers as error:
            with pytest.raises(OutOfNumbers, match="same order"):
                self.ledger.settle(self.now_s)
            self.ledger.undo()
            assert dataclasses.replace(self.ledger.id_map(), spaces={}) == before
            raise OutOfNumbers from error
        change = self.ledger.settle(self.now_s)
        self.told = {int(band.rpartition("/")[2]) for band in change.moved}
        self._compare(after, change)
        check_laws(after, self.world)
        have = priorities(after)
        self.moved = {key[0] for key in had.keys() & have.keys() if had[key] != have[key]}
        self.lacked = {o for o, b in before.bands[TIER].items() if o in self.world and not b.has_room(needs(after, o))}
        self.ids = after

    def _compare(self, after: IdMap, change: IdChange) -> None:
        again = IdChange.from_json(change.to_json())
        self.written = dataclasses.replace(applied(self.written, [again]), spaces={})
        held = dataclasses.replace(self.ledger.id_map(), spaces={})
        assert held.to_json() == after.to_json() == self.written.to_json()
        assert IdMap.from_json(after.to_json()) == after == held

    def _toggle(self, order: int, kind: str, key: str) -> None:
        band = band_key(TIER, order)
        kinds = self.world.setdefault(order, {})
        keys = kinds.setdefault(kind, set())
        comes = key not in keys
        if not any(kinds.values()):
            self.ledger.want_order(TIER, order)
        (keys.add if comes else keys.remove)(key)
        if kind == TIMED:
            (self.ledger.want_timer if comes else self.ledger.release_timer)(band, key)
        else:
            (self.ledger.want_part if comes else self.ledger.release_part)(key, band, Action(kind))
        if not any(kinds.values()):
            del self.world[order]
            self.ledger.release_order(TIER, order)


def needs(id_map: IdMap, order: int) -> Places:
    return seats.places(id_map.seats.get(band_key(TIER, order), {}))


toggles = st.tuples(st.integers(0, 4), st.sampled_from(KINDS), st.sampled_from("abcdefgh"))
turns = st.lists(st.lists(toggles, max_size=8), max_size=12)


@settings(max_examples=300, deadline=None)
@given(turns)
def test_one_more_or_less_moves_nobody_while_there_is_room(history: list[list[tuple[int, str, str]]]) -> None:
    """Shards of two, so that parts come and go around their bounds all the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seats, "SHARD", 2)
        follower = Follower()
        for toggled in history:
            follower.turn(toggled)
            assert not follower.moved


@settings(max_examples=300, deadline=None)
@given(turns, st.integers(1, 2), st.integers(5, 60))
def test_in_a_tight_tier_the_laws_hold_and_who_moves_lacked_room(
    history: list[list[tuple[int, str, str]]], wide: int, slots: int
) -> None:
    """So few slots that bands are extended, moved, make room and are refused; the ledger says what the whole says."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in ((seats, "SHARD", 1), (bands, "WIDE", wide), (bands, "MAX_SLOT", slots)):
            patch.setattr(module, name, value)
        follower = Follower()
        for toggled in history:
            came_before = follower.ids.bands[TIER].keys()
            try:
                follower.turn(toggled)
            except OutOfNumbers:
                break
            asked = follower.lacked or follower.world.keys() - came_before
            assert follower.moved <= follower.lacked or asked, "who has room moves only to make room for another"
            assert follower.moved <= follower.told, "who moves is told"


# -- single steps --------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=12), max_size=6))
def test_slots_follow_the_orders_and_survive_json(history: list[list[int]]) -> None:
    id_map = IdMap()
    for step, orders in enumerate(history):
        id_map = with_orders(id_map, orders, step)
        assert id_map.bands[TIER].keys() == set(orders)
        check_laws(id_map, {})
        assert IdMap.from_json(id_map.to_json()) == id_map


def test_orders_that_come_one_after_another_move_nobody_for_long() -> None:
    """At the end, where most come, in a tier that was spread before; between neighbours until there is no gap."""
    id_map = with_orders(IdMap(), range(50))
    for last in range(50, 80):
        grown = with_orders(id_map, range(last + 1))
        assert all(grown.bands[TIER][o] == band for o, band in id_map.bands[TIER].items())
        id_map = grown
    for extra in range(150):
        id_map = with_orders(id_map, {*id_map.bands[TIER], 1000 - extra})
        check_laws(id_map, {})


def test_an_order_that_comes_and_goes_rests_only_the_slots_that_it_used() -> None:
    id_map = with_orders(IdMap(), [1, 3])
    others = id_map.bands[TIER]
    for step in range(100):
        id_map = id_map.with_bands({TIER: {1: {}, 2: {"allow": ["r#"]}, 3: {}}}, step)
        id_map = with_orders(id_map, [1, 3], step)
        assert id_map.bands[TIER] == others
        assert len(id_map.resting_slots[TIER]) == step + 1
    assert not with_orders(id_map, [1, 3], 100 + REST_S).resting_slots[TIER]


def test_more_bands_than_priorities_are_refused() -> None:
    with pytest.raises(OutOfNumbers, match="tier application uses 8001 orders and needs 8001 slots"):
        with_orders(IdMap(), range(MAX_SLOT + 1))
    full = IdMap().with_bands({TIER: {o: {"allow": [f"{o}#"]} for o in range(MAX_SLOT)}}, 0)
    assert len(full.bands[TIER]) == MAX_SLOT
    check_laws(full, {o: {"allow": {f"{o}#"}} for o in range(MAX_SLOT)})


def test_a_rule_more_than_a_place_holds_takes_another_and_nobody_moves() -> None:
    before = with_members(IdMap(), allow=[f"{n:04}" for n in range(1000)], deny=["d"], pass_=["p"])
    after = with_members(before, allow=[f"{n:04}" for n in range(1001)], deny=["d", "e"], pass_=["p"])
    had, have = priorities(before), priorities(after)
    assert {k: have[k] for k in had} == had
    assert have[1, "allow", "1000"] == have[1, "allow", "0000"] - 1
    back = with_members(after, allow=[f"{n:04}" for n in range(1, 1002)], deny=["e"], pass_=["p"])
    assert priorities(back)[1, "allow", "1000"] == have[1, "allow", "1000"], "it stays, though there is room above"
    assert priorities(back)[1, "allow", "1001"] == have[1, "allow", "0000"], "who comes fills the gap"


def test_a_band_that_is_full_grows_in_place_where_that_moves_nobody() -> None:
    narrow = dataclasses.replace(IdMap(), bands={TIER: {1: Band(4000)}})
    for kinds in ({"timed": 40}, {"deny": 9000, "timed": 40}, {"pass_": 3000}):
        members = {kind: [f"{kind}{n:05}" for n in range(many)] for kind, many in kinds.items()}
        few = {kind: keys[:4] for kind, keys in members.items()}
        before = with_members(narrow, **few)
        after = with_members(before, **members)
        assert before.bands[TIER][1] == Band(4000)
        assert set(Band(4000).slots) < set(after.bands[TIER][1].slots)
        assert priorities(before).items() <= priorities(after).items()
        assert not after.resting_slots[TIER]


def test_a_band_that_cannot_grow_in_place_moves_to_one_twice_as_wide() -> None:
    """Allows would push the passes away, so all of the band moves, once; nobody of another band does."""
    members = {"pass_": ["p"], "timed": [f"t{n:03}" for n in range(80)]}
    before = with_orders(IdMap(), [0, 1, 2])
    full = before.with_bands({TIER: {0: {}, 1: {"pass": ["p"], "timed": members["timed"][:79]}, 2: {}}}, 0)
    assert full.bands == before.bands
    more = full.with_bands({TIER: {0: {}, 1: {"pass": ["p"], "timed": members["timed"]}, 2: {}}}, 0)
    assert (more.bands[TIER][0], more.bands[TIER][2]) == (before.bands[TIER][0], before.bands[TIER][2])
    assert len(more.bands[TIER][1].slots) >= 2 * WIDE
    assert more.resting_slots[TIER].keys() < set(before.bands[TIER][1].slots)


def test_seats_that_were_left_are_taken_up_before_a_tier_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last of so many timed rules that they had all of the tier does not keep it all."""
    monkeypatch.setattr(bands, "MAX_SLOT", 100)
    many = [f"t{n:03}" for n in range(100 * SLOT_STRIDE - 4)]
    alone = with_members(IdMap(), timed=many)
    assert len(alone.bands[TIER][1].slots) == 100
    with pytest.raises(OutOfNumbers, match="let fewer rules expire"):
        with_members(alone, timed=[*many, "u"])
    two = alone.with_bands({TIER: {1: {"timed": many[-1:]}, 2: {"allow": ["r#"]}}}, 1)
    check_laws(two, {1: {"timed": {many[-1]}}, 2: {"allow": {"r#"}}})


def test_no_place_is_counted_twice_and_each_has_a_priority_of_its_own() -> None:
    band = Band(7, Places(3, 2, 9, 2))
    ordered = [band.priority(a, place) for a, many in zip(Action, band.room, strict=True) for place in range(many)]
    deny = ordered[:3]
    assert deny == sorted(deny), "deny grows upwards"
    assert ordered[3:] == sorted(ordered[3:], reverse=True)
    assert max(ordered[3:]) < min(deny)
    assert sorted(ordered) == list(range(min(ordered), min(ordered) + 16))
    assert min(ordered) == Band(band.end).priority(Action.DENY) + 1


def test_a_full_gap_moves_its_neighbours_and_not_the_tier() -> None:
    id_map = with_orders(IdMap(), range(0, 60_000, 10))
    for order in (30_001, 30_002, 30_003):
        grown = with_orders(id_map, {*id_map.bands[TIER], order})
        moved = [o for o, band in id_map.bands[TIER].items() if grown.bands[TIER][o] != band]
        assert len(moved) <= 64
        assert all(abs(o - order) < 1000 for o in moved)
        check_laws(grown, {})
        id_map = grown

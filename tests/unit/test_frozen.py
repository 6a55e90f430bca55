"""A map that never changes: successors are what a dict would be, predecessors stay, and differences are exact."""

from __future__ import annotations

import random

import pytest

from topology.frozen import FrozenMap, differing, frozen


@pytest.mark.parametrize("seed", range(3))
def test_successors_are_what_a_dict_would_be_and_predecessors_stay(seed):
    chance = random.Random(seed)
    held, plain = FrozenMap(), {}
    for _ in range(300):
        before, plain_before = held, dict(plain)
        put = {chance.randrange(600): chance.randrange(4) for _ in range(chance.choice((0, 1, 1, 30, 300)))}
        gone = [chance.randrange(600) for _ in range(chance.randrange(3))]
        for key in gone:
            plain.pop(key, None)
        plain.update(put)
        held = held.but(put, gone)
        assert held == plain == dict(held.items())
        assert len(held) == len(plain) == len(list(held.values()))
        assert before == plain_before
        changed = {k for k in plain.keys() | plain_before.keys() if plain.get(k) != plain_before.get(k)}
        assert set(differing(before, held)) == set(differing(plain_before, held)) == changed
        assert sorted(differing(held, before)) == sorted(changed)


def test_what_is_no_change_is_the_same_object():
    held = FrozenMap({n: [n] for n in range(100)})
    assert held.but({5: [5]}, [1000]) is held, "an equal value is no change"
    assert held.but({n: [n] for n in range(100)}, range(200, 300)) is held, "much that is no change is none either"
    assert frozen(held) is held
    assert held.but({5: [6]})[4] is held[4]


def test_little_is_copied_for_a_single_change():
    held = FrozenMap({n: n for n in range(100_000)})
    after = held.but({7: -7})
    others = [node for node, before in zip(after.nodes, held.nodes, strict=True) if node is not before]
    assert len(others) == 1
    copied = [leaf for leaf in others[0] if not any(leaf is other for node in held.nodes for other in node)]
    assert len(copied) == 1
    assert len(copied[0]) < 100


def test_it_cannot_be_a_key():
    with pytest.raises(TypeError, match="no hash"):
        hash(FrozenMap())
    assert repr(FrozenMap({1: 2})) == "FrozenMap({1: 2})"
    assert 1 not in FrozenMap()
    assert FrozenMap([(1, 2)]).get(3, 4) == 4

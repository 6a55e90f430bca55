"""Routers, uplinks and forwards come, go and change, and the engine follows: no program is made from nothing.

Numbers, programs and deltas are those of a compilation of everything, at each step, on three switches with tunnels.
"""

from __future__ import annotations

import dataclasses

import pytest

from tests.property.cases import Case
from tests.property.choice import Seeded, subset
from tests.property.histories import expansions
from tests.property.rerouted import DPIDS, make_detours
from tests.property.test_engine_agrees import Follower

SEEDS = 60
SLICE = 6


@pytest.mark.parametrize("first", range(0, SEEDS, SLICE))
def test_every_detour_equals_a_compilation_of_everything(first: int) -> None:
    for seed in range(first, first + SLICE):
        history = make_detours(Seeded(f"detour {seed}"), steps=8)
        for name, expanded in expansions(history):
            if name in ("as it is", "reversed", "squashed", "with empties", "duplicated")[: 5 if seed % 3 == 0 else 2]:
                follower = Follower(DPIDS)
                for case in expanded:
                    follower.follow(case)


@pytest.mark.parametrize("seed", range(12))
def test_switches_that_go_and_come_meanwhile_equal_a_compilation_of_everything(seed: int) -> None:
    """Programs are wanted for some of the switches only, others each time; uplinks stay plugged in everywhere."""
    choice = Seeded(f"detour with gaps {seed}")
    follower = Follower(DPIDS)
    for case in make_detours(choice, steps=14):
        follower.dpids = subset(choice, DPIDS, 70)
        follower.follow(case)


def test_other_gateways_are_answered_for_though_everybody_there_is_plugged_in_anew() -> None:
    """Between those who go and those who come, a switch has nobody in the network."""
    answered = 0
    for seed in range(12):
        case = make_detours(Seeded(f"plugged in anew {seed}"), steps=0)[0]
        follower = Follower(DPIDS)
        follower.follow(case)
        before = dict(follower.programs)
        endpoints = {
            name: dataclasses.replace(e, location=dataclasses.replace(e.location, uid=f"{e.location.uid}+"))
            for name, e in case.inventory.endpoints.items()
        }
        networks = {
            name: dataclasses.replace(network, gateways=network.gateways[1:])
            for name, network in case.intents.networks.items()
        }
        follower.follow(
            Case(
                dataclasses.replace(case.intents, networks=networks),
                dataclasses.replace(case.inventory, endpoints=endpoints),
            )
        )
        answered += before != follower.programs
    assert answered


def test_a_switch_that_was_away_from_the_beginning_is_a_way_out_once_it_is_back() -> None:
    for seed in range(12):
        case = make_detours(Seeded(f"back {seed}"), steps=0)[0]
        follower = Follower(DPIDS)
        for away in (frozenset({2}), frozenset[int]()):
            follower.follow(dataclasses.replace(case, inventory=dataclasses.replace(case.inventory, away=away)))

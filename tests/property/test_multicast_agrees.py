"""Multicast groups over two hosts and over wires: each member gets one copy, or none, as the semantics says of it.

The other property tests send to groups too; here nearly all is sent there, between changes of everything.
"""

from __future__ import annotations

import dataclasses
import random

import pytest

from tests.property.cases import BASIC, DPID, OTHER_DPID, SITE, change_case, make_case
from tests.property.choice import Seeded
from tests.property.frames import to_listed_group
from tests.property.histories import make_history
from tests.property.pair import Pair
from tests.property.test_fabric_agree import DPIDS, Site, fabric_of, scattered, wire
from topology.packet import Outcome

SEEDS = 90
SLICE = 30


@pytest.mark.parametrize("first", range(0, SEEDS, SLICE))
def test_copies_reach_whom_the_semantics_says_over_two_hosts(first: int) -> None:
    copied = crossed = 0
    for seed in range(first, first + SLICE):
        choice = Seeded(f"groups {seed}")
        history = make_history(choice, SITE, steps=3)
        pair = Pair(history[0])
        for case in history:
            pair.follow(case)
            for dpid in (DPID, OTHER_DPID):
                here = dataclasses.replace(case, dpid=dpid)
                for _ in range(12 if case.inventory.on_switch(dpid) else 0):
                    copied += pair.check(to_listed_group(choice, here)).fate.outcome is Outcome.COPY
        crossed += pair.copied
    assert (copied > SLICE, crossed > 2) == (True, True), "the cases say nothing if nothing is ever copied"


@pytest.mark.parametrize("first", range(0, 24, 12))
def test_copies_reach_whom_the_semantics_says_over_wires(first: int) -> None:
    copied = 0
    for seed in range(first, first + 12):
        rng, choice = random.Random(seed), Seeded(f"wired groups {seed}")
        fabric = fabric_of(wire(rng, rng.randint(4, 9)))
        site = Site(scattered(make_case(choice, dataclasses.replace(BASIC, multicast=True)), rng, fabric), rng)
        for _ in range(3):
            for dpid in DPIDS:
                here = dataclasses.replace(site.case, dpid=dpid)
                for _ in range(6 if here.inventory.on_switch(dpid) else 0):
                    site.send(to_listed_group(choice, here))
            site.follow(scattered(change_case(choice, site.case), rng, fabric))
        copied += site.copied
    assert copied > 3, "the cases say nothing if no copy ever crosses a wire"

"""A spread of the Kubernetes cases in all three ways; `make conformance` runs them all."""

from __future__ import annotations

import dataclasses

import pytest

from tests.conformance import modelled
from tests.conformance.cases import MissingDataError, load
from tests.conformance.check import Tally, check, spread
from tests.conformance.cluster import Cluster, seats
from tests.conformance.ground import Ground

CASES = 25
MEASURED = 4
SEVERAL = 3
"""Of the cases, those of several steps."""


@pytest.fixture(scope="module")
def cases():
    try:
        return load()
    except MissingDataError as error:
        pytest.skip(str(error))


def test_kubernetes_cases_come_out_as_their_truth_tables_say(cases, real_parts):
    several = [case for case in cases if 1 < len(case) < 5][:SEVERAL]
    single = [case for case in cases if len(case) == 1]
    some = several + [single[n * len(single) // (CASES - SEVERAL)] for n in range(CASES - SEVERAL)]
    tally = check(some, set(spread(some[SEVERAL - 1 :], MEASURED)), print)
    assert tally.passed, "\n".join(list(tally.wrong.values())[:10])
    assert len(tally.measured_cases) == MEASURED
    assert tally.blocked > 0


def test_each_way_notices_a_wrong_truth_table(cases, real_parts):
    """The ruler is checked too: with one blocked and one open cell exchanged, each way reports exactly these."""
    step = next(case[0] for case in cases if len({v for c, v in case[0].expected.items() if c.protocol == 6}) > 1)
    tcp = {letters: cell for cell, letters in step.expected.items() if cell.protocol == 6}
    blocked = next(letters for letters in tcp if letters[2] == "B")
    swapped = {tcp["AAA"]: blocked, tcp[blocked]: "AAA"}
    wrong = dataclasses.replace(step, expected=dict(step.expected) | swapped)
    world = Cluster(seats([step])).follow(wrong)
    assert sorted(cell for cell, _ in modelled.wrong_cells(world)) == sorted([*swapped] * 2)
    with Ground(seats([step]), [step]) as ground:
        ground.install(world)
        assert {cell for cell, _ in ground.traced_wrong(world)} == swapped.keys()
        assert {cell for cell, _ in ground.measured_wrong(world)[1]} == swapped.keys()


def test_what_cannot_be_expressed_is_counted_and_no_success(cases):
    tally, step = Tally(), cases[0][0]
    tally.add(step)
    assert tally.passed
    tally.refuse(step, "it cannot be expressed")
    assert not tally.passed
    count, blocked = len(step.expected), sum(letters[2] == "B" for letters in step.expected.values())
    assert str(tally) == f"conformance: 0/{count} cells right (0/{blocked} blocked cells right), {count} unsupported"

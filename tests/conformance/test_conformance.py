"""A spread of the Kubernetes cases in all three ways; `make conformance` runs them all."""

from __future__ import annotations

import pytest

from tests.conformance.cases import MissingDataError, load
from tests.conformance.check import check, spread

CASES = 25
MEASURED = 5


@pytest.fixture(scope="module")
def cases():
    try:
        return load()
    except MissingDataError as error:
        pytest.skip(str(error))


def test_kubernetes_cases_come_out_as_their_truth_tables_say(cases, real_parts):
    some = [cases[index] for index in sorted(set(spread(cases[::-1], CASES - 2)) | {0, 1})]
    several = [case for case in some if len(case) > 1]
    some = [case for case in some if len(case) == 1] + several[:4]
    tally = check(some, set(spread(some, MEASURED)), print)
    assert tally.passed, "\n".join(list(tally.wrong.values())[:10])
    assert len(tally.measured_cases) == MEASURED
    assert tally.blocked > 0

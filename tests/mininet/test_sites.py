"""Several hosts: nothing allowed is lost while policies change, moves are quick, lies change nothing and are told once.

Forbidden packets never arrive, whatever happens.
"""

import itertools

import pytest

from tests.mininet import sandboxed

FIRST_PACKET_MS = 100


@pytest.fixture(scope="module")
def seen():
    return sandboxed.found("site_inside")


def test_what_the_policies_before_and_after_allow_loses_nothing_over_two_hosts(seen):
    found = seen["changing"]
    assert found["sent"] > 500
    assert found["forbidden"] > 500
    assert (found["lost"], found["leaked"]) == (0, 0)


def test_a_workload_that_moves_is_reached_at_once_and_nothing_is_left_behind(seen):
    found = seen["moving"]
    assert found["leaked"] == 0
    assert sorted(found["delays_ms"])[len(found["delays_ms"]) // 2] < FIRST_PACKET_MS


def test_what_it_counted_goes_along_with_a_workload_that_moves(seen):
    found = seen["moving"]
    assert found["totals"][-1] == found["device"]
    for before, after in itertools.pairwise(found["totals"]):
        assert all(after[figure] > before[figure] for figure in before)


def test_packets_from_nobody_end_at_the_guard_and_are_told_once(seen):
    found = seen["lying"]
    assert found["guarded"] > 0
    assert not found["changed"]
    assert found["told"] == 1

"""The ruler is checked before it measures: bridges whose behaviour is known give the known matrix."""

import pytest

from tests.mininet import sandboxed


@pytest.fixture(scope="module")
def seen():
    return sandboxed.found("ruler_inside")


def outcomes(rows, probe=None, version=None):
    return {outcome for p, v, outcome in rows if probe in {None, p} and version in {None, v}}


def test_everything_is_open_on_a_learning_bridge(seen):
    assert outcomes(seen["open"]) == {"open"}
    assert {(p, v) for p, v, _ in seen["open"]} == {
        (p, v) for p in ("tcp/443", "tcp/22", "udp/53", "icmp") for v in (4, 6)
    }


def test_a_lost_answer_is_not_a_blocked_packet(seen):
    assert outcomes(seen["one-way"], "tcp/443", 4) == {"one-way"}
    assert outcomes(seen["one-way"], "udp/53", 6) == {"blocked"}
    assert outcomes(seen["one-way"], "udp/53", 4) == {"open"}


def test_a_packet_that_arrives_elsewhere_is_a_leak(seen):
    assert outcomes(seen["flooding"], version=4) == {"leaked"}


def test_nothing_arrives_through_an_empty_table(seen):
    assert outcomes(seen["closed"]) == {"blocked"}


def test_every_raw_frame_is_found_wherever_it_arrives(seen):
    everybody = {"mallory", "trudy", "alice", "bob", "eve"}
    assert len(seen["frames"]) > 400
    wrong = [row for row in seen["frames"] if set(row[2]) != everybody - {row[1]}]
    assert wrong == []

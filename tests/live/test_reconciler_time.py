"""The reconciler as time passes: it tries again, and an allow that is over stays over."""

from __future__ import annotations

import time

import pytest

from intent.compiler.flow import FlowBody, FlowKey, Goto
from tests.fakes.fake_switch import FakeSwitch, until
from tests.unit.reconciler_kit import Bench, program

LASTS_S = 4
"""Long enough for a busy machine to have it sent before."""


@pytest.fixture
def bench():
    return Bench()


def test_a_refused_message_leaves_nothing_and_is_reported(bench):
    switch = FakeSwitch()
    switch.refuse = lambda count, _body: (5, 1) if count == 2 else None
    bench.connect(switch)
    bench.want(program(1, 2))
    assert until(lambda: "TABLE_FULL" in bench.state().problem)
    assert switch.tables == {}
    assert not bench.reconciler.is_realized(1)
    switch.refuse = lambda _count, _body: None
    assert bench.realized(), "it is tried again"
    assert bench.state().problem == ""


def test_a_flow_that_ends_by_itself_is_sent_with_its_timer_and_not_again_when_it_is_over():
    bench = Bench(interval_s=0.2)
    ends = int(time.time()) + LASTS_S
    wanted = {**program(1), FlowKey(3, 7, ()): FlowBody((Goto(5),), 9, expires_at=ends)}
    switch = FakeSwitch()
    added: list[int] = []

    def note(_count: int, flow_mod: bytes) -> None:
        if (flow_mod[24], flow_mod[25]) == (3, 0):  # an ADD to table 3
            added.append(int.from_bytes(flow_mod[28:30]))

    switch.refuse = note
    bench.connect(switch)
    bench.want(wanted)
    assert bench.realized()
    assert len(added) == 1
    assert 1 <= added[0] <= LASTS_S
    assert until(lambda: time.time() > ends and not any(table == 3 for table, *_ in switch.tables))
    time.sleep(0.5)
    assert len(added) == 1, "an allow that is over is never sent again"
    assert bench.state().missing_restored == 0

"""Timers: what the switch counts down serves what the program wants, and is renewed in time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from intent.compiler.flow import Flow, FlowBody, FlowKey
from ryu_apps import changes
from ryu_apps.changes import Bundle
from ryu_apps.timers import MAX_TIMEOUT_S, RENEW_S, from_wire, on_wire, over, settled, timed
from ryu_apps.wire import Command
from topology.frozen import FrozenMap

KEY = FlowKey(50, 100, ())
NOW = 1_700_000_000.0


@given(st.integers(1, 10**7), st.floats(0, 10**7), st.floats(-1, 1))
def test_a_flow_never_outlives_its_end_and_is_renewed_before_it_dies(remaining: int, later: float, skew: float) -> None:
    """Sent at NOW, dumped `later`: either the switch's timer still serves, or it is sent again."""
    ends = int(NOW) + remaining
    sent = on_wire(Flow(KEY, FlowBody((), 1, expires_at=ends)), NOW).body
    assert 1 <= sent.hard_timeout <= MAX_TIMEOUT_S
    assert NOW + sent.hard_timeout <= max(ends, NOW + 1)
    left = sent.hard_timeout - later
    if left <= 1 or ends <= NOW + later + 3:
        return
    dumped = from_wire(sent, left + skew, NOW + later)
    desired = {KEY: FlowBody((), 1, expires_at=ends)}
    same = settled(FrozenMap({KEY: dumped}), desired, timed(desired), NOW + later)[KEY].expires_at == ends
    if not same:
        assert left < RENEW_S + 2, "renewed although more than half was left"
        assert remaining > MAX_TIMEOUT_S, "only a long timer is ever renewed"


def test_what_ended_while_a_large_change_was_under_way_is_not_begun_anew() -> None:
    body = FlowBody((), 1, expires_at=int(NOW) + 10)
    bundle = Bundle(changes=((Command.ADD, Flow(KEY, body)),))
    for later, command in ((8, Command.ADD), (9.5, Command.DELETE_STRICT), (60, Command.DELETE_STRICT)):
        ((sent, flow),) = changes.on_wire(bundle, NOW + later).changes
        assert sent is command
        assert sent is Command.DELETE_STRICT or NOW + later + flow.body.hard_timeout <= body.expires_at


def test_another_end_is_a_change() -> None:
    actual = FrozenMap({KEY: FlowBody((), 1, expires_at=int(NOW) + 100)})
    for other in (95, 105, 90_000):
        desired = {KEY: FlowBody((), 1, expires_at=int(NOW) + other)}
        assert settled(actual, desired, timed(desired), NOW) == actual
    assert settled(actual, {KEY: FlowBody((), 1)}, {}, NOW) == actual


def test_far_ends_of_one_rule_are_renewed_together() -> None:
    """An edit gave one flow a younger timer: without a controller the other would end first, and half a rule stay."""
    other, ends = FlowKey(50, 99, ()), int(NOW) + 10**6
    desired = {key: FlowBody((), 1, expires_at=ends) for key in (KEY, other)}
    for apart, stays in ((0, True), (2, True), (60, False)):
        actual = FrozenMap(
            {
                KEY: FlowBody((), 1, expires_at=int(NOW) + 60_000),
                other: FlowBody((), 1, expires_at=int(NOW) + 60_000 + apart),
            }
        )
        assert (settled(actual, desired, timed(desired), NOW) == desired) is stays
    alone = FrozenMap({KEY: FlowBody((), 1, expires_at=int(NOW) + 60_000)})
    assert settled(alone, desired, timed(desired), NOW) == alone, "one is missing: all are sent, with one timer"


def test_what_never_ends_has_no_timer() -> None:
    flow = Flow(KEY, FlowBody((), 1))
    assert on_wire(flow, NOW) is flow
    assert from_wire(flow.body, None, NOW) is flow.body
    assert not timed({KEY: flow.body})


def test_what_is_over_is_not_sent_again() -> None:
    program = {KEY: FlowBody((), 1, expires_at=int(NOW))}
    assert over(timed(program), NOW - 1) == set()
    assert over(timed(program), NOW - 0.5) == {KEY}, "a switch counts whole seconds"
    assert over(timed(program), NOW) == {KEY}

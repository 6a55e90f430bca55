"""A switch with very many flows that others wrote: whoever answers requests and echoes never waits long for it."""

from __future__ import annotations

import gc
import struct
import time
from typing import TYPE_CHECKING

import pytest

from intent.compiler.cookie import PIPELINE
from intent.compiler.fields import IN_PORT
from intent.compiler.flow import FlowBody, FlowKey, Goto, exact, match_of
from ryu_apps import changes, others, wire
from ryu_apps.changes import Bundle, changes_between, stages
from ryu_apps.session import Dump
from tests.fakes.fake_switch import FakeSwitch
from tests.unit.reconciler_kit import Bench, program
from topology.breathing import PIECE
from topology.frozen import FrozenMap

if TYPE_CHECKING:
    from collections.abc import Iterator

MANY = 50_000
MARKED = PIPELINE
LONGEST_S = 0.15
"""Of the processor's time between two breaths, where 14 ms are usual; in one go it takes ten times this."""


@pytest.fixture
def _uncollected() -> Iterator[None]:
    """What the garbage collector does depends on all tests before."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Watch:
    """A `breathe` that knows how long others had to wait at most."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self.breaths = 0
        self._at = time.thread_time()

    def __call__(self) -> None:
        now = time.thread_time()
        self.longest_s, self.breaths, self._at = max(self.longest_s, now - self._at), self.breaths + 1, now


def match_bytes(number: int) -> bytes:
    """Return what Open vSwitch says of `ip,nw_src=10.x.y.z`, padded."""
    return bytes.fromhex("00010012 80000a02 0800 80001604") + (0x0A000000 | number).to_bytes(4) + bytes(6)


def said(count: int, cookie: int) -> list[bytes]:
    """Return the parts of a dump of flows that drop what comes from so many addresses."""
    entries = [
        struct.pack("!HBxIIHHHHH2xQQQ", 72, 0, 1, 0, 20000, 0, 0, 0, 0, cookie, 0, 0) + match_bytes(number)
        for number in range(count)
    ]
    return [b"".join(entries[at : at + 800]) for at in range(0, count, 800)]


@pytest.mark.usefixtures("_uncollected")
def test_comparing_with_very_many_rogue_flows_lets_others_run_all_the_time():
    """They look like ours, which takes longest: each is decoded, compared, and turned away by a bit."""
    port = FlowKey(0, 10, match_of([exact(IN_PORT, 1)]))
    ours = FrozenMap({port: FlowBody((Goto(1),), PIPELINE), FlowKey(1, 1, ()): FlowBody((), PIPELINE)})
    flows = [found for body in said(MANY, MARKED) for found in wire.decode_unexpected(body, wire.Expected(), ours)]
    watch = Watch()
    dump = Dump(flows, [], ours)
    actual = dump.held(0.0, watch)
    assert others.deeds(ours, actual, [], watch).added == MANY
    whole = Bundle(changes=changes_between(actual, ours, None, watch))
    assert len(whole) == MANY
    parts = 0
    for part in stages(whole, actual, ours, breathe=watch):
        assert len(part) <= changes.MAX_MESSAGES
        parts += 1
        watch()  # it is sent, and confirmed, before the next
    assert parts > MANY // changes.MAX_MESSAGES
    assert watch.breaths > 10 * MANY // PIECE, "after each piece of each step"
    assert watch.longest_s < LONGEST_S


def test_flows_with_a_cookie_that_is_none_of_ours_are_not_decoded_unless_they_stand_in_the_place_of_ours():
    (one, two) = wire.decode_flow_stats(b"".join(said(2, 7)))
    (foreign, found) = wire.decode_unexpected(b"".join(said(2, 7)), wire.Expected(), {two.flow.key})
    assert isinstance(foreign, wire.ForeignFlow)
    assert (foreign.table, foreign.priority, foreign.key, found) == (0, one.flow.key.priority, None, two)
    assert list(wire.decode_unexpected(b"".join(said(2, MARKED)), wire.Expected(), {})) == list(
        wire.decode_flow_stats(b"".join(said(2, MARKED)))
    )


@pytest.mark.parametrize("cookie", [0, MARKED], ids=["of others", "like ours"])
def test_rogue_flows_go_in_bundles_that_hurt_nobody_and_how_far_it_is_can_be_seen(cookie):
    bench = Bench()
    switch = FakeSwitch({(0, 20000, match_bytes(n)): (cookie, 0, b"") for n in range(MANY)})
    bench.connect(switch)
    seen = set[int]()
    note = bench.reconciler.note

    def watch(dpid: int, **news: object) -> None:
        note(dpid, **news)
        seen.add(bench.state().flows)

    bench.reconciler.note = watch
    bench.want(program(1, 2))
    assert bench.realized()
    assert len(switch.tables) == len(program(1, 2))
    assert max(switch.committed) <= changes.MAX_MESSAGES
    assert len(seen) > MANY // changes.MAX_MESSAGES

"""Open vSwitch agrees that a change which turns by a bit is, between any two of its bundles, the old or the new one."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from ryu_apps.changes import Bundle, applied, changes_between, stages
from ryu_apps.turning import TOP
from tests.ovs.raw_switch import RawSwitch
from tests.property.cases import BASIC, NAMES, change_case, make_case
from tests.property.choice import Seeded
from tests.property.frames import make_frames, reply_to
from tests.property.world import Switch
from topology.frozen import FrozenMap

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 12
SEEDS = 14


@pytest.fixture
def switch(session_ovs, unique_bridge) -> Iterator[RawSwitch]:
    """A bridge with a port for each endpoint that a random case may have."""
    raw = RawSwitch(session_ovs, unique_bridge, len(NAMES))
    yield raw
    raw.close()


def test_between_bundles_the_switch_traces_every_packet_as_before_or_as_after(switch: RawSwitch) -> None:
    turns = differing = 0
    for seed in range(SEEDS):
        choice = Seeded(f"turning {seed}")
        model = Switch(make_case(choice, BASIC))
        old, frames = dict(model.program), make_frames(choice, model.case, 10)
        switch.install(old)
        model.follow(change_case(choice, change_case(choice, model.case)))
        new, frames = dict(model.program), [*frames, *make_frames(choice, model.case, 10)]
        packets = [(frame, model.conntrack.view(1, frame, None)) for frame in frames if frame.dpid == model.case.dpid]
        packets += [(reply_to(model.case, frame), view) for frame, view in packets]
        said = [[switch.trace(*packet) for packet in packets]]
        program = FrozenMap(old)
        for part in stages(Bundle(changes=changes_between(old, new)), old, new, LIMIT):
            turns += any(flow.key.priority == TOP for _, flow in part.changes)
            program = applied(program, part.changes)
            switch.install(dict(program.items()))
            assert switch.dump() == program
            said.append([switch.trace(*packet) for packet in packets])
        assert program == new
        moments = [fates for fates, _ in itertools.groupby(said)]
        assert len(moments) <= 2, seed
        differing += len(moments) == 2
    assert (turns >= 3 * 4, differing >= 4) == (True, True), (turns, differing)

"""Open vSwitch itself agrees: it holds exactly the program, and traces every packet to where the semantics says."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from intent.compiler.flow import IN_PORT
from intent.semantics import Admitted, admit
from tests.ovs.raw_switch import RawSwitch
from tests.property.cases import BASIC, NAMES, change_case, make_case
from tests.property.choice import Seeded
from tests.property.frames import make_frames, reply_to, to_listed_group
from tests.property.routed import UPLINKS
from tests.property.routed_frames import router_of
from tests.property.world import Switch
from topology.packet import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from topology.packet import Frame

LISTED = dataclasses.replace(BASIC, multicast=True)
ROUTED = dataclasses.replace(LISTED, routing=True)
SEEDS = 120
SLICE = 40


@pytest.fixture
def switch(session_ovs, unique_bridge) -> Iterator[RawSwitch]:
    """A bridge with a port for each endpoint and uplink that a random case may have."""
    raw = RawSwitch(session_ovs, unique_bridge, len(NAMES) + len(UPLINKS))
    yield raw
    raw.close()


@pytest.mark.parametrize("first", range(0, SEEDS, SLICE))
def test_the_switch_holds_the_program_and_traces_as_the_semantics_says(switch: RawSwitch, first: int) -> None:
    """Each case is installed as an update of the one before, and changed once under open connections."""
    delivered = copied = 0
    for seed in range(first, first + SLICE):
        choice = Seeded(f"ovs {seed}")
        model = Switch(make_case(choice, (LISTED, ROUTED)[seed % 2]))
        for _ in range(2):
            switch.install(model.program)
            assert switch.dump() == model.program
            groups = 4 if model.case.inventory.on_switch(model.case.dpid) else 0
            to_many = [to_listed_group(choice, model.case) for _ in range(groups)]
            for frame in [*make_frames(choice, model.case, 12), *to_many]:
                outcome = _agree(switch, model, frame)
                delivered += outcome is Outcome.DELIVER
                copied += outcome is Outcome.COPY
                if delivered:
                    _agree(switch, model, reply_to(model.case, frame))
            model.follow(change_case(choice, model.case))
    assert (delivered > SLICE, copied > 2) == (True, True)


def _agree(switch: RawSwitch, model: Switch, frame: Frame) -> Outcome:
    if frame.dpid != model.case.dpid:  # an answer that begins on another switch: this one never sees it
        return Outcome.DROP
    verdict = model.expected(frame)
    admitted = admit(model.case.intents, model.case.inventory, frame)
    view = None
    if isinstance(admitted, Admitted):
        router = router_of(model.case, admitted.network)
        zone = model.ids.number("network", admitted.network if router is None else f"router/{router.name}")
        view = model.conntrack.view(zone, frame, None)
    location = verdict.fate.location
    wanted = {
        Outcome.DROP: [],
        Outcome.ANSWER: [IN_PORT],
        Outcome.COPY: sorted(place.ofport for place in verdict.fate.copies),
        Outcome.DELIVER: [location.ofport if location else None],
    }[verdict.fate.outcome]
    assert sorted(switch.trace(frame, view)) == wanted, (frame, view, verdict)
    model.actual(frame)
    return verdict.fate.outcome

"""The great property over two hosts: what one program sends, the other delivers, exactly as the semantics says."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.property.cases import DPID, OTHER_DPID, SITE, change_case, make_case
from tests.property.choice import Drawn, Seeded
from tests.property.frames import make_frames, reply_to
from tests.property.pair import Pair
from tests.property.routed_frames import error_frame, routed_errors
from topology.packet import Outcome

SEEDS = 120
SLICE = 20


def _play(choice: Drawn | Seeded, *, steps: int, frames: int) -> int:
    """Send frames both ways, their replies and errors about them; change something; again."""
    pair = Pair(make_case(choice, SITE))
    for _ in range(steps):
        for dpid in (DPID, OTHER_DPID):
            case = dataclasses.replace(pair.case, dpid=dpid)
            for frame in make_frames(choice, case, frames):
                if pair.check(frame).fate.outcome is Outcome.DELIVER:
                    pair.check(reply_to(case, frame))
        _errors(pair)
        pair.follow(change_case(choice, pair.case))
        _errors(pair)
    return pair.crossed


def _errors(pair: Pair) -> None:
    """An ICMP error from either end about each open connection passes as the connection itself would."""
    everyone = pair.case.inventory.endpoints.values()
    for opening in pair.connections():
        for dpid in (DPID, OTHER_DPID) if pair.case.intents.routers else ():
            for frame in routed_errors(dataclasses.replace(pair.case, dpid=dpid), opening):
                pair.check(frame, opening)
        for sender in (e for e in everyone if {opening.src, opening.dst} & {*e.addresses}):
            src, dst = (opening.src, opening.dst) if opening.src in sender.addresses else (opening.dst, opening.src)
            peers = (e for e in everyone if e.network == sender.network and dst in e.addresses)
            for peer in peers:
                entry = sender.location.dpid, sender.location.ofport
                pair.check(error_frame(entry, (sender.mac, peer.mac), (src, dst)), opening)


@pytest.mark.parametrize("first", range(0, SEEDS, SLICE))
def test_two_programs_and_semantics_agree_on_seeded_cases(first: int) -> None:
    """Fast and many: the same cases in every run."""
    crossed = sum(_play(Seeded(f"pair {seed}"), steps=3, frames=10) for seed in range(first, first + SLICE))
    assert crossed > SLICE // 4, "the cases say nothing if nothing ever crosses"


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_two_programs_and_semantics_agree_on_drawn_cases(data: st.DataObject) -> None:
    """Slower, but a disagreement shrinks to its core."""
    _play(Drawn(data.draw), steps=2, frames=4)

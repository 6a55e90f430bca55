"""The compiled program does with every packet what the semantics says: many more cases than `tests/property`."""

import time

from tests.property.cases import BASIC, EVERYTHING, change_case, make_case
from tests.property.choice import Seeded
from tests.property.frames import make_frames, reply_to
from tests.property.world import Switch
from topology.packet import Outcome

STEPS, FRAMES = 4, 12


def play(seed: int) -> int:
    """Check one case through its changes; return the frames checked. A disagreement raises."""
    choice = Seeded(f"soak {seed}")
    switch = Switch(make_case(choice, EVERYTHING if seed % 4 else BASIC))
    checked = 0
    for _ in range(STEPS):
        for frame in make_frames(choice, switch.case, FRAMES):
            checked += 1
            if switch.check(frame).fate.outcome is Outcome.DELIVER:
                switch.check(reply_to(switch.case, frame))
                checked += 1
        switch.follow(change_case(choice, switch.case))
    return checked


def test_program_and_semantics_agree_case_after_case(effort, figure):
    seeds = effort(short=100, full=4_000)
    begin = time.monotonic()
    frames = sum(play(seed) for seed in range(seeds))
    figure("random policy sets on which program and semantics agree", seeds, "policy sets")
    figure("frames on which program and semantics agree", frames, "frames", at_least=seeds)
    figure("time of that agreement run", round(time.monotonic() - begin), "s")

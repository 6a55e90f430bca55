"""Programs of uplinks that translate do what the semantics says, addresses and ports included."""

from __future__ import annotations

import pytest

from intent.semantics import Reason
from tests.property.cases import EVERYTHING, SITE, change_case, make_case
from tests.property.choice import Seeded
from tests.property.frames import make_frames, reply_to
from tests.property.histories import make_history
from tests.property.test_engine_agrees import Follower
from tests.property.translated import TranslatingSwitch, errors, make_translated, translating
from topology.packet import Outcome

SEEDS, SLICE, STEPS, FRAMES = 240, 40, 3, 12


def play(seed: int) -> tuple[int, int]:
    """Send frames, replies and errors while things change; return how many went translated, and for want of it not."""
    choice = Seeded(f"translate {seed}")
    switch = TranslatingSwitch(translating(choice, make_case(choice, EVERYTHING)))
    translated = untranslated = 0
    for _ in range(STEPS):
        made = [make_translated(choice, switch.case) for _ in range(FRAMES)]
        for frame in (*(frame for frame in made if frame is not None), *make_frames(choice, switch.case, 4)):
            verdict = switch.check(frame)
            untranslated += verdict.reason is Reason.UNTRANSLATED
            if verdict.fate.outcome is Outcome.DELIVER:
                translated += verdict.fate.ends is not None
                for _ in range(2):
                    switch.check(reply_to(switch.case, switch.left))
                    switch.check(frame)
        for frame, quoted in errors(switch.case, switch.conntrack)[:60]:
            switch.check(frame, quoted=quoted)
        switch.follow(translating(choice, change_case(choice, switch.case)))
    return translated, untranslated


@pytest.mark.parametrize("first", range(0, SEEDS, SLICE))
def test_programs_and_semantics_agree_where_addresses_are_translated(first: int) -> None:
    translated, untranslated = map(sum, zip(*map(play, range(first, first + SLICE)), strict=True))
    assert translated > SLICE // 4
    assert untranslated > 0


@pytest.mark.parametrize("seed", range(12))
def test_an_engine_that_follows_translations_equals_a_compilation_of_everything(seed: int) -> None:
    """On two switches with tunnels: also, what translates here is not reached from there."""
    choice = Seeded(f"translate history {seed}")
    follower = Follower()
    for case in make_history(choice, SITE, steps=6):
        for _ in range(2):
            follower.follow(translating(choice, case))

"""Random cases and frames: as hypothesis strategies that shrink, and from a seed, fast.

@given(case_with_frames())
def test_something(drawn): ...

case = random_case(seed)
for frame in random_frames(case, seed, 50): ...
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from tests.property.cases import BASIC, DPID, EVERYTHING, NOW, OFFSETS, Case, Features, change_case, make_case
from tests.property.choice import Drawn, Seeded
from tests.property.frames import make_frames, reply_to
from topology.packet import Frame

__all__ = [
    "BASIC",
    "DPID",
    "EVERYTHING",
    "NOW",
    "OFFSETS",
    "Case",
    "Features",
    "case_with_frames",
    "cases",
    "changes",
    "frames",
    "random_case",
    "random_change",
    "random_frames",
    "reply_to",
]

_Draw = Callable[[st.SearchStrategy[int]], int]


@st.composite
def cases(draw: _Draw, features: Features = BASIC) -> Case:
    """Cases over the chosen part of the language; the simplest is two endpoints and one rule."""
    return make_case(Drawn(draw), features)


@st.composite
def frames(draw: _Draw, case: Case, count: int = 1) -> list[Frame]:
    """Frames that enter the case's switch."""
    return make_frames(Drawn(draw), case, count)


@st.composite
def changes(draw: _Draw, case: Case) -> Case:
    """The case after one change."""
    return change_case(Drawn(draw), case)


@st.composite
def case_with_frames(draw: _Draw, features: Features = BASIC, count: int = 8) -> tuple[Case, list[Frame]]:
    """A case and frames that enter its switch, one after another."""
    choice = Drawn(draw)
    case = make_case(choice, features)
    return case, make_frames(choice, case, count)


def random_case(seed: int, features: Features = BASIC) -> Case:
    """Return the case of a seed: the same in every run."""
    return make_case(Seeded(f"case {seed}"), features)


def random_frames(case: Case, seed: int, n: int) -> list[Frame]:
    """Return n frames for a case: the same for the same case and seed."""
    return make_frames(Seeded(f"frames {seed}"), case, n)


def random_change(case: Case, seed: int) -> Case:
    """Return the case after one change, the same for the same case and seed."""
    return change_case(Seeded(f"change {seed}"), case)

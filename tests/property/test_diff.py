"""Laws of the difference between two programs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from intent.compiler import delta as diff
from intent.compiler import fields as f
from intent.compiler.delta import Delta
from intent.compiler.flow import FlowBody, FlowKey, Goto, exact

_KEYS = st.builds(
    FlowKey, st.integers(0, 3), st.integers(0, 3), st.sampled_from([(), (exact(f.IN_PORT, 1),), (exact(f.IN_PORT, 2),)])
)
_BODIES = st.builds(FlowBody, st.sampled_from([(), (Goto(9),)]), st.integers(0, 2), st.integers(0, 1))
_PROGRAMS = st.dictionaries(_KEYS, _BODIES, max_size=12)


@given(_PROGRAMS, _PROGRAMS)
def test_applying_a_diff_leads_there_and_nothing_is_sent_twice(actual: dict, desired: dict) -> None:
    delta = diff.diff(actual, desired)
    assert diff.apply(actual, delta) == desired
    assert diff.diff(desired, desired) == Delta()
    assert not diff.diff(desired, desired)
    touched = [*delta.deletes, *(x.key for x in (*delta.adds, *delta.changes))]
    assert len(set(touched)) == len(touched) == len(delta)
    assert len(delta) == sum(actual.get(k) != desired.get(k) for k in actual.keys() | desired.keys())


@given(_PROGRAMS, _PROGRAMS)
def test_a_diff_is_the_same_whatever_order_its_inputs_come_in(actual: dict, desired: dict) -> None:
    shuffled = dict(reversed(actual.items())), dict(reversed(desired.items()))
    assert diff.diff(*shuffled) == diff.diff(actual, desired)

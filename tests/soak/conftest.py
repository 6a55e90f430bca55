"""Long runs. In short as a part of `make test`; in full, with figures on file, by `make soak`.

A soak test takes its repetitions from `effort(short, full)` and reports through `figure(...)`:

    def test_restarts(effort, figure):
        lost = sum(restart_once() for _ in range(effort(short=2, full=20)))
        figure("packets lost in restarts", lost, "packets", at_most=0)

`figure` fails the test when the bound is not kept. Full runs write docs/figures.json.
"""

import os
from datetime import UTC, datetime

import pytest

from scripts import figures

FULL = os.environ.get("RINGFENCE_SOAK") == "1"


@pytest.fixture(scope="session")
def effort():
    """A function of (short, full) that returns the number of repetitions of this run."""

    def choose(*, short: int, full: int) -> int:
        return full if FULL else short

    return choose


@pytest.fixture
def figure(request, record_property):
    """A function that reports one measured value and asserts its bound."""

    def report(name, value, unit, *, at_most=None, at_least=None):
        made = figures.Figure(name, value, unit, request.node.nodeid.partition("[")[0], at_most, at_least)
        record_property(name, value)
        print(f"figure: {name}: {value:g} {unit}")
        if FULL:
            where = f"{figures.machine()}, {datetime.now(UTC):%Y-%m-%d}"
            figures.save(figures.merge(figures.load(), [made], where))
        assert made.kept, f"{name}: {value:g} {unit} is outside of its bound"

    return report

"""Proofs report figures as soak runs do; a controller for one test."""

import pytest

from tests.ovs.controller_bench import ControllerBench
from tests.soak.conftest import effort, figure

__all__ = ["effort", "figure"]


@pytest.fixture
def bench(janitor, ovs):
    """A controller that is not started yet, beside the test's switch."""
    bench = ControllerBench(janitor, ovs)
    yield bench
    bench.kill()

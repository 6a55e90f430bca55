"""What the first request would wait for is there before it comes."""

from __future__ import annotations

import subprocess
import sys

from ryu_apps import readiness

LOOK = """
from intent.api.answers import AppliedAnswer
from intent.schema.documents import KINDS
from ryu_apps import readiness
models = [*KINDS.values(), AppliedAnswer]
assert not any(model.__pydantic_complete__ for model in KINDS.values()), "the start made what it need not"
readiness.AFTER_S = readiness.BREATH_S = 0.0
part = readiness.Readiness()
part.run()
assert part.stopped and all(model.__pydantic_complete__ for model in models)
"""


def test_validators_are_made_once_and_then_the_thread_ends():
    subprocess.run([sys.executable, "-c", LOOK], check=True, timeout=60)


def test_a_stop_ends_it_soon(monkeypatch):
    monkeypatch.setattr(readiness, "AFTER_S", 0.0)
    part = readiness.Readiness()
    part.stop()
    part.run()
    assert part.stopped

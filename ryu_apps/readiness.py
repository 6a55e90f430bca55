"""What the first request would have to wait for, made before it comes."""

from __future__ import annotations

import time

from intent.api.answers import AppliedAnswer
from intent.schema import prepared

AFTER_S = 1.0
"""After the start, of which every moment counts when switches wait."""
BREATH_S = 0.02
"""Between two steps, of which the longest takes as long."""


class Readiness:
    """A thread that ends when all is made: the validators of documents, 40 ms of the first one's time."""

    def __init__(self) -> None:
        self.stopped = False

    def run(self) -> None:
        """Make everything, a step at a time."""
        time.sleep(AFTER_S)
        for _ in prepared():
            time.sleep(BREATH_S)
            if self.stopped:
                return
        AppliedAnswer.model_rebuild()
        self.stopped = True

    def stop(self) -> None:
        """End the thread soon."""
        self.stopped = True

"""Log lines for people, and a limit on what a hostile peer can make us write."""

from __future__ import annotations

import logging
import sys
import time

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
LIMIT_S = 10.0
"""One line in so long about one subject."""
MAX_SUBJECTS = 1024


def set_up(level: str) -> None:
    """Log to stderr, one line a record, at `level` and above; replaces what Ryu set up."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(logging.Formatter(FORMAT))
    root.addHandler(output)
    root.setLevel(logging.WARNING)
    logging.getLogger("ringfence").setLevel(level.upper())


class Limited:
    """Warns at most once in LIMIT_S about one subject, and says how often it kept silent."""

    def __init__(self, log: logging.Logger) -> None:
        self.log = log
        self._last: dict[str, tuple[float, int]] = {}

    def warning(self, subject: str, message: str, *args: object) -> None:
        """Log `message % args`, unless `subject` was logged a moment ago."""
        now = time.monotonic()
        logged_at, silent = self._last.get(subject, (-LIMIT_S, 0))
        if now - logged_at < LIMIT_S:
            self._last[subject] = (logged_at, silent + 1)
            return
        if len(self._last) >= MAX_SUBJECTS:
            self._last.clear()
        self._last[subject] = (now, 0)
        self.log.warning("%s%s", message % args, f" ({silent} more like this)" if silent else "")

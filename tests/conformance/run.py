"""`make conformance`: every Kubernetes case, in the model, on a real bridge, and with packets.

The last line is the result; the exit code is 0 only when every cell is right.
"""

from __future__ import annotations

import functools
import signal
import sys
import time

from mininet_scenarios.private_ovs import missing
from tests.conformance.cases import MissingDataError, load
from tests.conformance.check import check, spread

MEASURED_CASES = 44
"""Cases that also get real packets."""


def main() -> int:
    """Run all; return the exit code."""
    say = functools.partial(print, flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that everything is cleaned up
    begin = time.monotonic()
    try:
        cases = load()
    except MissingDataError as error:
        say(f"conformance: not run: {error}")
        return 2
    why_not = missing()
    if why_not is not None:
        say(f"conformance: not run: {why_not}")
        return 2
    try:
        tally = check(cases, set(spread(cases, MEASURED_CASES)), say)
    except KeyboardInterrupt:
        say("conformance: interrupted")
        return 130
    say(f"took {time.monotonic() - begin:.0f} s")
    say(str(tally))
    return int(not tally.passed)


if __name__ == "__main__":
    sys.exit(main())

"""Says that packets come out of a switch's tunnel which no endpoint of the host that sent them can have sent."""

from __future__ import annotations

import logging
import time

from intent.compiler.cookie import Guard, Kind, Origin, encode
from ryu_apps.telemetry import Count, Counters

log = logging.getLogger("ringfence.strangers")

SILENCE_S = 600.0
"""Once said, nothing more is said of a switch for so long; the counter goes on."""
COOKIE = encode(Origin(Kind.GUARD, Guard.TUNNEL))


class Strangers:
    """One switch. The counter of its tunnel's guard says how many there were."""

    def __init__(self) -> None:
        self._said: int | None = None
        self._silent_until = 0.0

    def look(self, dpid: int, counters: Counters) -> None:
        """Compare the newest count with what was said; the first look only learns what was before our time."""
        packets = counters.of(dpid).get(COOKIE, Count(0, 0)).packets
        before, now = self._said, time.monotonic()
        if before is None or packets < before:  # the switch, or its flow, is new
            self._said = packets
        elif packets > before and now >= self._silent_until:
            self._said, self._silent_until = packets, now + SILENCE_S
            log.warning(
                "%016x: %d packets came out of its tunnel that no endpoint of the host they came from may have sent: "
                "look for a host that lies, or for one that is no longer managed",
                dpid,
                packets - before,
            )

"""What time does to intents: policies that are over, and those whose window is shut, are not there.

The reconciler asks again at `next_look`; between two looks nothing changes by the clock.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from intent.model import Intents, Policy, Schedule
from topology.frozen import FrozenMap, differing

MINUTE = timedelta(minutes=1)
DAY_MINUTES = 24 * 60


def zones(intents: Intents) -> frozenset[str]:
    """Return the IANA zones whose offset has to be known."""
    return frozenset(p.schedule.zone for p in intents.policies.values() if p.schedule is not None)


def effective(intents: Intents, now: datetime, offsets: Mapping[str, timedelta]) -> Intents:
    """Return the intents with only the policies that hold at an instant.

    Args:
        intents: as stored.
        now: an aware datetime.
        offsets: local time minus UTC at `now`, for each of `zones`.
    """
    policies = {name: p for name, p in intents.policies.items() if _holds(p, now, offsets)}
    return intents if len(policies) == len(intents.policies) else dataclasses.replace(intents, policies=policies)


def next_look(intents: Intents, now: datetime) -> datetime | None:
    """Return when the clock may change something next; None if nothing depends on it.

    Windows open and shut, and zones change their offset, at whole minutes.
    """
    ends = [p.expires for p in intents.policies.values() if p.expires is not None and p.expires > now]
    if zones(intents):
        ends.append(now.replace(second=0, microsecond=0) + MINUTE)
    return min(ends, default=None)


class Watch:
    """Says what the functions of this module say; looks only at what changed and at what has a time.

    Call `take`, then ask.
    """

    def __init__(self) -> None:
        self._intents = Intents()
        self._timed: dict[str, Policy] = {}
        """Policies that end, or have windows."""
        self._dirty: set[str] = set()
        self._effective: FrozenMap[str, Policy] = FrozenMap()

    def take(self, intents: Intents) -> None:
        """Look at these intents from now on."""
        for name in differing(self._intents.policies, intents.policies):
            self._dirty.add(name)
            policy = intents.policies.get(name)
            if policy is not None and (policy.expires or policy.schedule):
                self._timed[name] = policy
            else:
                self._timed.pop(name, None)
        self._intents = intents

    @property
    def by_clock(self) -> bool:
        """Whether some policy has an end or a schedule."""
        return bool(self._timed)

    def zones(self) -> frozenset[str]:
        """As `zones`."""
        return zones(self._those_with_time())

    def next_look(self, now: datetime) -> datetime | None:
        """As `next_look`."""
        return next_look(self._those_with_time(), now)

    def _those_with_time(self) -> Intents:
        return Intents(policies=self._timed)

    def effective(self, now: datetime, offsets: Mapping[str, timedelta]) -> Intents:
        """As `effective`."""
        put: dict[str, Policy] = {}
        gone: list[str] = []
        for name in self._dirty | self._timed.keys():
            policy = self._intents.policies.get(name)
            if policy is not None and _holds(policy, now, offsets):
                put[name] = policy
            else:
                gone.append(name)
        self._dirty.clear()
        self._effective = self._effective.but(put, gone)
        return dataclasses.replace(self._intents, policies=self._effective)


def _holds(policy: Policy, now: datetime, offsets: Mapping[str, timedelta]) -> bool:
    if policy.expires is not None and policy.expires <= now:
        return False
    return policy.schedule is None or _is_open(policy.schedule, now.astimezone(UTC) + offsets[policy.schedule.zone])


def _is_open(schedule: Schedule, local: datetime) -> bool:
    minute = local.hour * 60 + local.minute
    for window in schedule.windows:
        length = (window.end_minute - window.start_minute) % DAY_MINUTES or DAY_MINUTES
        since = (minute - window.start_minute) % DAY_MINUTES
        began = local if minute >= window.start_minute else local - timedelta(days=1)
        if since < length and began.weekday() in window.days:
            return True
    return False

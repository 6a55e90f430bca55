"""What a document is worth now. Switches can hold all it means and it may still decide nothing: then this says why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from intent.api.scene import Scene
from intent.clockwork import effective
from intent.model import Intents, Mode, Policy, Schedule
from intent.schema.documents import Document, EndpointDoc, PolicyDoc
from intent.schema.problems import Problem

DAYS = 8
"""Within these, today included, every weekly window opens at least once."""


class Standing(NamedTuple):
    """Whether a document counts, and if it does not, why."""

    in_force: bool
    note: str = ""


IN_FORCE = Standing(in_force=True)


def _not(note: str) -> Standing:
    return Standing(in_force=False, note=note)


def instant(at: datetime) -> str:
    """Write an instant as RFC 3339, in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


class Standings:
    """The standing of each document at one instant."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._unaddressed = {port.name for port in scene.inventory.unaddressed}
        self._problems: dict[str, list[str]] = defaultdict(list)
        for report in scene.inventory.reports:
            self._problems[report.subject].append(report.problem)

    def of(self, document: Document) -> Standing:
        """Return the standing of a current document."""
        policy = self._scene.intents.policies.get(document.name)
        if isinstance(document, PolicyDoc) and policy is not None:
            return self._policy(policy)
        return self._endpoint(document) if isinstance(document, EndpointDoc) else IN_FORCE

    def _policy(self, policy: Policy) -> Standing:
        now, offsets = self._scene.now, self._scene.offsets
        if policy.expires is not None and policy.expires <= now:
            return _not(f"expired at {instant(policy.expires)}")
        if policy.mode is Mode.OFF:
            return _not("off: it decides nothing")
        if policy.mode is Mode.OBSERVE:
            return _not("observed: it changes no verdict")
        alone = Intents(policies={policy.name: policy})
        if policy.schedule is None or effective(alone, now, offsets).policies:
            return IN_FORCE
        return _not(_outside(policy.schedule, policy.expires, now, offsets[policy.schedule.zone]))

    def _endpoint(self, document: EndpointDoc) -> Standing:
        if document.name in self._scene.inventory.endpoints:
            return IN_FORCE
        if document.name in self._unaddressed:
            return _not("it has no address yet: it is denied until one is declared or learned")
        binding = document.binding
        where = f"{binding.bridge}/{binding.interface}" if binding.iface_id is None else f"iface-id {binding.iface_id}"
        unplugged = f"no port of ours is {where}: it is not plugged in"
        return _not("; ".join(self._problems.get(f"endpoint {document.name}", [unplugged])))


def _outside(schedule: Schedule, expires: datetime | None, now: datetime, offset: timedelta) -> str:
    """Say when a window opens next, by the clock of its zone: so the answer holds over a change of the offset."""
    local = now.astimezone(UTC) + offset
    opens = min(start for start in _starts(schedule, local) if start > local)
    if expires is not None and expires <= opens - offset:
        return f"outside its window, and it expires at {instant(expires)}, before the next one"
    return f"outside its window until {opens:%Y-%m-%d %H:%M} in {schedule.zone}"


def _starts(schedule: Schedule, local: datetime) -> Iterator[datetime]:
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    for day in (midnight + timedelta(days=number) for number in range(DAYS)):
        for window in schedule.windows:
            if day.weekday() in window.days:
                yield day + timedelta(minutes=window.start_minute)


def warning(document: Document, now: datetime) -> Problem | None:
    """Return what is odd about a document that is being put: a policy that is over before it begins."""
    if not isinstance(document, PolicyDoc) or document.expires is None:
        return None
    if datetime.fromisoformat(document.expires) > now:
        return None
    message = f"it expired at {document.expires}: the policy is not in force"
    return document.problem(("expires",), message, "set a later instant, or leave `expires` out")

"""IANA time zones: which there are, and how far each is from UTC at an instant. Reads the system's zone files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from intent.schema.documents import Document, PolicyDoc
from intent.schema.problems import Problem, did_you_mean


def offsets(zones: Iterable[str], now: datetime) -> Mapping[str, timedelta]:
    """Return local time minus UTC at an instant, by zone; `now` has a time zone.

    A zone that has gone from the system since it was accepted counts as UTC.
    """
    return {zone: _offset(zone, now) for zone in zones}


def zone_problems(documents: Iterable[Document]) -> Iterator[Problem]:
    """Yield a problem for each schedule in a zone that does not exist here."""
    for doc in documents:
        if isinstance(doc, PolicyDoc) and doc.schedule is not None and not _exists(doc.schedule.zone):
            remedy = did_you_mean(doc.schedule.zone, available_timezones(), "write it as `Europe/Berlin`")
            yield doc.problem(("schedule", "zone"), f"there is no time zone `{doc.schedule.zone}`", remedy)


def _exists(zone: str) -> bool:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _offset(zone: str, now: datetime) -> timedelta:
    return now.astimezone(ZoneInfo(zone)).utcoffset() or timedelta(0) if _exists(zone) else timedelta(0)

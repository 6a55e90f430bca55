"""Multipart replies of every kind, each with all it holds (OpenFlow 1.4, 7.3.5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ryu_apps.frames import parts
from ryu_apps.frames.span import Span
from ryu_apps.wire.messages import Multipart

MAX_ENTRIES = 8192
"""A frame of 65,535 bytes holds no more of the smallest."""
MAX_EXPERIMENTER = 4096
"""Bytes; Ryu copies the rest of such a body once every 16."""
_MAX_NEXT_TABLES = 256
_EVENT_FULL, _EVENT_LAST = 3, 6


def check_multipart(body: Span, kind: int) -> None:
    """Check the body of a multipart reply of the kind."""
    checker = _CHECKERS.get(kind)
    if checker is None:
        raise body.bad(f"multipart type {kind} is none of OpenFlow 1.4")
    checker(body)


def _check_flows(body: Span) -> None:
    for entry in body.parts("flow stats", length_at=0, minimum=56, limit=MAX_ENTRIES):
        instructions = parts.check_match(entry.rest(48, "match"))
        instructions.what = "instructions"
        parts.check_instructions(instructions)


def _check_port_stats(body: Span) -> None:
    for entry in body.parts("port stats", length_at=0, minimum=80, limit=MAX_ENTRIES):
        parts.check_properties(entry.rest(80, "port stats properties"), parts.PORT_STATS_PROPERTIES)


def _check_queue_stats(body: Span) -> None:
    for entry in body.parts("queue stats", length_at=0, minimum=48, limit=MAX_ENTRIES):
        parts.check_properties(entry.rest(48, "queue stats properties"), parts.NO_PROPERTIES)


def _check_groups(body: Span) -> None:
    for entry in body.parts("group stats", length_at=0, minimum=40, limit=MAX_ENTRIES):
        entry.rest(40, "bucket counters").multiple_of(16)


def _check_group_descs(body: Span) -> None:
    for entry in body.parts("group", length_at=0, minimum=8, limit=MAX_ENTRIES):
        parts.check_buckets(entry.rest(8, "buckets"))


def _check_meters(body: Span) -> None:
    for entry in body.parts("meter stats", length_at=4, minimum=40, limit=MAX_ENTRIES):
        entry.rest(40, "band counters").multiple_of(16)


def _check_meter_configs(body: Span) -> None:
    for entry in body.parts("meter", length_at=0, minimum=8, limit=MAX_ENTRIES):
        parts.check_bands(entry.rest(8, "meter bands"))


def _check_ports(body: Span) -> None:
    for entry in body.parts("port", length_at=4, minimum=40, limit=MAX_ENTRIES):
        parts.check_port(entry)


def _check_table_descs(body: Span) -> None:
    for entry in body.parts("table", length_at=0, minimum=8, limit=MAX_ENTRIES):
        parts.check_table_desc(entry)


def _check_queue_descs(body: Span) -> None:
    for entry in body.parts("queue", length_at=8, minimum=16, limit=MAX_ENTRIES):
        parts.check_properties(entry.rest(16, "queue properties"), parts.QUEUE_PROPERTIES)


def _check_updates(body: Span) -> None:
    for entry in body.parts("flow update", length_at=0, minimum=8, limit=MAX_ENTRIES):
        event = entry.u16(2)
        if event > _EVENT_LAST:
            raise entry.bad(f"event {event} is not known")
        if event > _EVENT_FULL:
            entry.exactly(8)
        else:
            following = parts.check_match(entry.at_least(32).rest(24, "match"))
            following.what = "instructions"
            parts.check_instructions(following)


# -- table features ---------------------------------------------------------------------------------

_INSTRUCTION_LISTS, _TABLE_LISTS, _ACTION_LISTS = (0, 1), (2, 3, 16), (4, 5, 6, 7)
_OXM_LISTS = (8, 10, 12, 13, 14, 15)


def _check_table_features(body: Span) -> None:
    for entry in body.parts("table features", length_at=0, minimum=64, limit=MAX_ENTRIES):
        properties = entry.rest(64, "table feature properties")
        for kind, part in properties.padded("table feature", minimum=4, limit=parts.MAX_PROPERTIES):
            _check_feature(part.at_most(parts.MAX_PROPERTY), kind)


def _check_feature(part: Span, kind: int) -> None:
    content = part.rest(4, "table feature list")
    if kind in _INSTRUCTION_LISTS or kind in _ACTION_LISTS:
        _check_ids(content)
    elif kind in _OXM_LISTS:
        _check_oxm_ids(content)
    elif kind in _TABLE_LISTS:
        content.at_most(_MAX_NEXT_TABLES)
    else:
        part.at_least(12).multiple_of(4)


def _check_ids(span: Span) -> None:
    while span.at < span.end:
        size = span.at_least(4).u16(2)
        if size < 4:  # noqa: PLR2004 - its own header
            raise span.bad(f"an id of {size} bytes")
        span.at_least(size)
        span.at += size


def _check_oxm_ids(span: Span) -> None:
    while span.at < span.end:
        size = 8 if span.at_least(4).u16(0) == parts.EXPERIMENTER else 4
        span.at_least(size)
        span.at += size


_CHECKERS: Mapping[int, Callable[[Span], object]] = {
    Multipart.DESC: lambda body: body.exactly(1056),
    Multipart.FLOW: _check_flows,
    Multipart.AGGREGATE: lambda body: body.exactly(24),
    Multipart.TABLE: lambda body: body.multiple_of(24),
    Multipart.PORT_STATS: _check_port_stats,
    Multipart.QUEUE_STATS: _check_queue_stats,
    Multipart.GROUP: _check_groups,
    Multipart.GROUP_DESC: _check_group_descs,
    Multipart.GROUP_FEATURES: lambda body: body.exactly(40),
    Multipart.METER: _check_meters,
    Multipart.METER_CONFIG: _check_meter_configs,
    Multipart.METER_FEATURES: lambda body: body.exactly(16),
    Multipart.TABLE_FEATURES: _check_table_features,
    Multipart.PORT_DESC: _check_ports,
    Multipart.TABLE_DESC: _check_table_descs,
    Multipart.QUEUE_DESC: _check_queue_descs,
    Multipart.FLOW_MONITOR: _check_updates,
    Multipart.EXPERIMENTER: lambda body: body.at_least(8).at_most(MAX_EXPERIMENTER),
}

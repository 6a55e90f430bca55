"""What a switch says about its flows: multipart flow statistics, flow-removed, flow monitor, aggregates.

A flow that none of our programs could hold becomes a `ForeignFlow`, which can still be deleted.
"""

from __future__ import annotations

import gc
import struct
from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple

from intent.compiler.cookie import MARK
from intent.compiler.flow import Flow, FlowBody, FlowKey
from ryu_apps.wire.errors import ForeignError, WireError
from ryu_apps.wire.expected import Expected, entry_size
from ryu_apps.wire.instructions import decode_instructions
from ryu_apps.wire.oxm import decode_match, decode_terms, match_extent

_ENTRY = struct.Struct("!HBxIIHHHHH2xQQQ")
_FLOW_REMOVED = struct.Struct("!QHBBIIHHQQ")
_AGGREGATE = struct.Struct("!QQI4x")
_TABLE = struct.Struct("!B3xIQQ")
_COOKIE_AT = 24
"""Where the cookie begins in an entry, with what marks ours (OpenFlow 1.4, 7.3.5.2)."""
_NS = 1e-9


class FlowStats(NamedTuple):
    """A flow as the switch holds it."""

    flow: Flow
    packets: int
    bytes: int
    age_s: float
    """Since it was added, or added again."""
    flags: int
    """OFPFF_*."""

    @property
    def remaining_s(self) -> float | None:
        """Seconds until its hard timeout, None without one.

        Exact while flows are renewed by adding them again: a MODIFY also restarts the timeout, but
        keeps the age, so that afterwards too little is reported.
        """
        timeout = self.flow.body.hard_timeout
        return max(0.0, timeout - self.age_s) if timeout else None


class ForeignFlow(NamedTuple):
    """A flow that nobody here could have written."""

    table: int
    priority: int
    raw_match: bytes
    """The `ofp_match` as reported, unpadded."""
    cookie: int
    reason: str
    key: FlowKey | None
    """Where its match is one of ours: a flow of this key would be replaced by an ADD. None where nobody asks: there may
    be a million of them."""


class FlowRemoved(NamedTuple):
    """A flow that ended; `key` None if its match is none of ours."""

    key: FlowKey | None
    cookie: int
    reason: int
    """OFPRR_*: 0 idle, 1 hard timeout, 2 delete, 3 group, 4 meter, 5 eviction."""
    packets: int
    bytes: int
    age_s: float


class FlowChange(NamedTuple):
    """A change of flows that a flow monitor tells of."""

    event: int
    """OFPFME_*: 0 initial, 1 added, 2 removed, 3 modified, 4 own (only `xid`), 5 paused, 6 resumed."""
    xid: int | None = None
    key: FlowKey | None = None
    """None in 4 to 6, and for a match that is none of ours."""
    cookie: int = 0


class Aggregate(NamedTuple):
    """Sums over flows."""

    packets: int
    bytes: int
    flows: int


class TableStats(NamedTuple):
    """What a table holds and did."""

    table: int
    flows: int
    lookups: int
    matched: int


class PortStats(NamedTuple):
    """What a port counted; `rx` is what came from the endpoint, `tx` what went to it. 0 for what it does not count."""

    ofport: int
    rx_packets: int
    tx_packets: int
    rx_bytes: int
    tx_bytes: int
    rx_dropped: int
    tx_dropped: int


def decode_flow_stats(body: bytes) -> Iterator[FlowStats | ForeignFlow]:
    """Yield the flows of one flow-stats reply; `body` is what follows its multipart header.

    Raises:
        WireError: broken framing.
    """
    at, end = 0, len(body)
    while at < end:
        size = entry_size(body, at)
        yield _entry(body, at)
        at += size


def decode_unexpected(
    body: bytes, expected: Expected, program: Container[FlowKey] | None = None
) -> Iterator[FlowStats | ForeignFlow]:
    """Yield the flows of one flow-stats reply that are not `expected`; those that are count as found there.

    With a `program`, a flow whose cookie is not of this project's is foreign too, unless it stands in the place of one
    of the program. It is not decoded, and takes a tenth of the memory.

    Raises:
        WireError: broken framing.
    """
    for at, _ in expected.recognize(body):
        yield (program is not None and _unmarked(body, at, program)) or _entry(body, at)


def _unmarked(body: bytes, at: int, program: Container[FlowKey]) -> ForeignFlow | None:
    """Return a flow with a cookie that nobody here gives, None for one with such or in the place of one of ours."""
    if body[at + _COOKIE_AT] == MARK:
        return None
    found = _foreign(body, at, _ENTRY.unpack_from(body, at), "its cookie is none of ours")
    return None if found.key in program else found._replace(key=None)


def decode_dump(bodies: Iterable[bytes]) -> list[FlowStats | ForeignFlow]:
    """Return the flows of all parts of one dump.

    The garbage collector rests meanwhile: nothing here makes cycles, and its passes over the new
    values would double the time. Takes about 10 us a flow without a pause; a green thread that must
    stay responsive decodes part by part instead.

    Raises:
        WireError: broken framing.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        return [entry for body in bodies for entry in decode_flow_stats(body)]
    finally:
        if was_on:
            gc.enable()


def _entry(body: bytes, at: int) -> FlowStats | ForeignFlow:
    head = _ENTRY.unpack_from(body, at)
    size, table, seconds, nanoseconds, priority, idle, hard, flags, importance, cookie, packets, octets = head
    if idle or importance:
        return _foreign(body, at, head, "it has an idle timeout or an importance, ours have none")
    try:
        match, following = decode_match(body, at + _ENTRY.size, at + size)
        actions = decode_instructions(body[following : at + size])
    except ForeignError as error:
        return _foreign(body, at, head, str(error))
    flow = Flow(FlowKey(table, priority, match), FlowBody(actions, cookie, hard))
    return FlowStats(flow, packets, octets, seconds + nanoseconds * _NS, flags)


def _foreign(body: bytes, at: int, head: tuple[int, ...], reason: str) -> ForeignFlow:
    size, table, priority, cookie = head[0], head[1], head[4], head[9]
    start = at + _ENTRY.size
    stop, _ = match_extent(body, start, at + size)
    key = _key(body, table, priority, (start, stop))
    return ForeignFlow(table, priority, body[start:stop], cookie, reason, key)


def _key(raw: bytes, table: int, priority: int, extent: tuple[int, int]) -> FlowKey | None:
    try:
        return FlowKey(table, priority, decode_terms(raw, extent[0] + 4, extent[1]))
    except ForeignError:
        return None


def decode_flow_removed(frame: bytes) -> FlowRemoved:
    """Decode an OFPT_FLOW_REMOVED message, header included.

    Raises:
        WireError: broken framing.
    """
    start = 8 + _FLOW_REMOVED.size
    if len(frame) < start + 8:
        raise WireError(f"flow removed: {len(frame)} bytes")
    cookie, priority, reason, table, seconds, nanoseconds, _, _, packets, octets = _FLOW_REMOVED.unpack_from(frame, 8)
    stop, _ = match_extent(frame, start, len(frame))
    key = _key(frame, table, priority, (start, stop))
    return FlowRemoved(key, cookie, reason, packets, octets, seconds + nanoseconds * _NS)


def decode_flow_monitor(body: bytes) -> Iterator[FlowChange]:
    """Yield the changes of one flow-monitor reply; `body` is what follows its multipart header.

    Raises:
        WireError: broken framing.
    """
    at = 0
    while at < len(body):
        if len(body) - at < 8:  # noqa: PLR2004 - the smallest update
            raise WireError(f"flow monitor: {len(body) - at} bytes at {at} hold no update")
        size, event, xid = struct.unpack_from("!HHI", body, at)
        if size < 8 or size & 7 or at + size > len(body):  # noqa: PLR2004
            raise WireError(f"flow monitor: update of {size} bytes at {at} of {len(body)}")
        yield _change(body[at : at + size], event, xid)
        at += size


_OWN, _LAST_FULL, _LAST_EVENT = 4, 3, 6
_FULL = struct.Struct("!HHBBHHH4xQ")


def _change(raw: bytes, event: int, xid: int) -> FlowChange:
    if event > _LAST_EVENT:
        raise WireError(f"flow monitor: event {event} is not known")
    if event > _LAST_FULL:
        return FlowChange(event, xid if event == _OWN else None)
    if len(raw) < _FULL.size + 8:
        raise WireError(f"flow monitor: full update of {len(raw)} bytes")
    _, _, table, _, _, _, priority, cookie = _FULL.unpack_from(raw)
    stop, _ = match_extent(raw, _FULL.size, len(raw))
    return FlowChange(event, None, _key(raw, table, priority, (_FULL.size, stop)), cookie)


def decode_aggregate(body: bytes) -> Aggregate:
    """Decode an aggregate reply.

    Raises:
        WireError: not 24 bytes.
    """
    if len(body) != _AGGREGATE.size:
        raise WireError(f"aggregate stats: {len(body)} bytes instead of {_AGGREGATE.size}")
    return Aggregate(*_AGGREGATE.unpack(body))


def decode_table_stats(body: bytes) -> list[TableStats]:
    """Decode a table-stats reply.

    Raises:
        WireError: not a multiple of 24 bytes.
    """
    if len(body) % _TABLE.size:
        raise WireError(f"table stats: {len(body)} bytes are no multiple of {_TABLE.size}")
    return [TableStats(*entry) for entry in _TABLE.iter_unpack(body)]


_PORT_STATS = struct.Struct("!H2xIII8Q")
ABSENT = (1 << 64) - 1
"""What a switch says of a counter that it does not have (OpenFlow 1.4, 7.3.5.6)."""


def decode_port_stats(body: bytes) -> Iterator[PortStats]:
    """Yield the ports of one port-stats reply; what follows the counters of one is passed over.

    Raises:
        WireError: a length that cannot be.
    """
    at = 0
    while at < len(body):
        if len(body) - at < _PORT_STATS.size:
            raise WireError(f"port stats at {at}: {len(body) - at} bytes left, {_PORT_STATS.size} needed")
        size, ofport, _, _, *counters = _PORT_STATS.unpack_from(body, at)
        if size < _PORT_STATS.size or at + size > len(body):
            raise WireError(f"port stats at {at}: length {size}")
        yield PortStats(ofport, *(0 if counter == ABSENT else counter for counter in counters[:6]))
        at += size

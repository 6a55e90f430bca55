"""The gate in front of Ryu's parser: frames that could hang it or fill its memory do not get there.

Ryu 4.34 believes every length inside a message: a Hello of 16 bytes with an element of length 0
hangs it for ever, and every switch with it. `split` cuts a stream into frames, `check` refuses a
frame with anything broken in it, however deep, and all that a switch has no business to send.
A bad frame ends its connection and no other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ryu_apps.frames import parts
from ryu_apps.frames.multipart import check_multipart
from ryu_apps.frames.span import BadFrame, Span
from ryu_apps.wire.messages import VERSION, Kind

__all__ = ["HEADER_SIZE", "MAX_FRAME", "BadFrame", "check", "check_version", "split"]

HEADER_SIZE = 8
MAX_FRAME = 0xFFFF
HELLO_VERSIONS = frozenset((1, 3, 4, 5, 6))
"""OpenFlow 1.0 and 1.2 to 1.5: Hellos that Ryu has a parser for. It answers those without 1.4 with an error."""
_MAX_HELLO = 1024
_HELLO_FAILED = 0


def split(buffer: bytearray, limit: int = 256) -> list[bytes]:
    """Take up to `limit` whole frames out of `buffer`, which then begins with the next.

    A buffer that is read into only after `split` gave nothing more never holds over 64 KiB and one
    read: no frame is longer.

    Raises:
        BadFrame: what stands at its beginning is no OpenFlow header.
    """
    found: list[bytes] = []
    at = 0
    while len(found) < limit and len(buffer) - at >= HEADER_SIZE:
        if not 1 <= buffer[at] <= max(HELLO_VERSIONS):
            raise BadFrame(f"version {buffer[at]}: this is no OpenFlow")
        size = buffer[at + 2] << 8 | buffer[at + 3]
        if size < HEADER_SIZE:
            raise BadFrame(f"header: length {size}, at least {HEADER_SIZE} needed")
        if len(buffer) - at < size:
            break
        found.append(bytes(buffer[at : at + size]))
        at += size
    del buffer[:at]
    return found


def check(frame: bytes) -> None:
    """Make sure that one whole message from a switch is sound in all its parts.

    Raises:
        BadFrame: it is not, with the part, the place and the reason.
    """
    size = len(frame)
    if size < HEADER_SIZE or frame[2] << 8 | frame[3] != size:
        raise BadFrame(f"header: a frame of {size} bytes says otherwise")
    version, kind = frame[0], frame[1]
    if kind == Kind.HELLO:
        _check_hello(Span(frame, HEADER_SIZE, size, "Hello"), version)
        return
    check_version(frame)
    checker = _CHECKERS.get(kind)
    if checker is None:
        raise BadFrame(f"type {kind}: not for a switch to send")
    checker(Span(frame, HEADER_SIZE, size, Kind(kind).name.lower().replace("_", " ")))


def check_version(frame: bytes) -> None:
    """Make sure that a message is one of OpenFlow 1.4. Enough for flow statistics, which Ryu never sees.

    Our own decoder refuses what is broken in them, and to look at each part of 100,000 flows twice takes a second.

    Raises:
        BadFrame: it is of another version.
    """
    if frame[0] != VERSION:
        raise BadFrame(
            f"version {frame[0]}: only OpenFlow 1.4 (version {VERSION}) is spoken here; "
            "add it to the bridge's protocols"
        )


def _check_hello(body: Span, version: int) -> None:
    if version not in HELLO_VERSIONS:
        raise BadFrame(f"Hello: version {version} is not known")
    body.at_most(_MAX_HELLO)
    # Ryu does not skip the padding of an element, so only elements without one can be read alike.
    for element in body.parts("Hello element", length_at=2, minimum=8, limit=parts.MAX_PROPERTIES):
        element.at_most(MAX_FRAME)


def _check_error(body: Span) -> None:
    kind = body.at_least(4).u16(0)
    if kind == parts.EXPERIMENTER:
        body.at_least(8)
    elif kind == _HELLO_FAILED and not body.raw[body.at + 4 : body.end].isascii():
        raise body.bad("its explanation is not ASCII, as Ryu takes for granted")


def _check_packet_in(body: Span) -> None:
    total = body.at_least(24).u16(4)
    data = parts.check_match(body.rest(16, "match")).at_least(2)
    if len(data) - 2 > total:
        raise data.bad(f"{len(data) - 2} bytes of a packet of {total}")


def _check_flow_removed(body: Span) -> None:
    parts.check_match(body.rest(40, "match")).exactly(0)


def _check_port_status(body: Span) -> None:
    port = body.rest(8, "port").at_least(40)
    if port.u16(4) != len(port):
        raise port.bad(f"length {port.u16(4)} of {len(port)}")
    parts.check_port(port)


def _check_table_status(body: Span) -> None:
    table = body.rest(8, "table").at_least(8)
    if table.u16(0) != len(table):
        raise table.bad(f"length {table.u16(0)} of {len(table)}")
    parts.check_table_desc(table)


def _check_role_status(body: Span) -> None:
    parts.check_properties(body.rest(16, "role properties"), parts.NO_PROPERTIES)


def _check_bundle_control(body: Span) -> None:
    step = body.at_least(8).u16(4)
    if step > 7 or not step % 2:  # noqa: PLR2004 - OFPBCT_DISCARD_REPLY; the requests are even
        raise body.bad(f"step {step} is no reply")
    parts.check_properties(body.rest(8, "bundle properties"), parts.NO_PROPERTIES)


def _check_multipart_reply(body: Span) -> None:
    check_multipart(body.rest(8, "multipart body"), body.u16(0))


_CHECKERS: Mapping[int, Callable[[Span], object]] = {
    Kind.ERROR: _check_error,
    Kind.ECHO_REQUEST: lambda _: None,
    Kind.ECHO_REPLY: lambda _: None,
    Kind.EXPERIMENTER: lambda body: body.at_least(8),
    Kind.FEATURES_REPLY: lambda body: body.exactly(24),
    Kind.GET_CONFIG_REPLY: lambda body: body.exactly(4),
    Kind.PACKET_IN: _check_packet_in,
    Kind.FLOW_REMOVED: _check_flow_removed,
    Kind.PORT_STATUS: _check_port_status,
    Kind.MULTIPART_REPLY: _check_multipart_reply,
    Kind.BARRIER_REPLY: lambda body: body.exactly(0),
    Kind.ROLE_REPLY: lambda body: body.exactly(16),
    Kind.GET_ASYNC_REPLY: lambda body: parts.check_properties(body, parts.ASYNC_PROPERTIES),
    Kind.ROLE_STATUS: _check_role_status,
    Kind.TABLE_STATUS: _check_table_status,
    Kind.REQUESTFORWARD: parts.check_forwarded,
    Kind.BUNDLE_CONTROL: _check_bundle_control,
}

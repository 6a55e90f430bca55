"""OpenFlow 1.4 messages that are not flow-mods, and the common header.

Numbers and structures: OpenFlow Switch Specification 1.4.0, sections 7.1 to 7.5.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

from intent.compiler.flow import Actions
from ryu_apps.wire.actions import encode_actions
from ryu_apps.wire.errors import WireError

VERSION: Final = 5
HEADER = struct.Struct("!BBHI")
MAX_MESSAGE: Final = 0xFFFF
ANY: Final = 0xFFFFFFFF
"""OFPP_ANY, OFPG_ANY, OFPM_ALL and OFP_NO_BUFFER."""


class Kind(enum.IntEnum):
    """OFPT_*."""

    HELLO = 0
    ERROR = 1
    ECHO_REQUEST = 2
    ECHO_REPLY = 3
    EXPERIMENTER = 4
    FEATURES_REQUEST = 5
    FEATURES_REPLY = 6
    GET_CONFIG_REQUEST = 7
    GET_CONFIG_REPLY = 8
    SET_CONFIG = 9
    PACKET_IN = 10
    FLOW_REMOVED = 11
    PORT_STATUS = 12
    PACKET_OUT = 13
    FLOW_MOD = 14
    GROUP_MOD = 15
    PORT_MOD = 16
    TABLE_MOD = 17
    MULTIPART_REQUEST = 18
    MULTIPART_REPLY = 19
    BARRIER_REQUEST = 20
    BARRIER_REPLY = 21
    ROLE_REQUEST = 24
    ROLE_REPLY = 25
    GET_ASYNC_REQUEST = 26
    GET_ASYNC_REPLY = 27
    SET_ASYNC = 28
    METER_MOD = 29
    ROLE_STATUS = 30
    TABLE_STATUS = 31
    REQUESTFORWARD = 32
    BUNDLE_CONTROL = 33
    BUNDLE_ADD_MESSAGE = 34


class Multipart(enum.IntEnum):
    """OFPMP_*."""

    DESC = 0
    FLOW = 1
    AGGREGATE = 2
    TABLE = 3
    PORT_STATS = 4
    QUEUE_STATS = 5
    GROUP = 6
    GROUP_DESC = 7
    GROUP_FEATURES = 8
    METER = 9
    METER_CONFIG = 10
    METER_FEATURES = 11
    TABLE_FEATURES = 12
    PORT_DESC = 13
    TABLE_DESC = 14
    QUEUE_DESC = 15
    FLOW_MONITOR = 16
    EXPERIMENTER = 0xFFFF


class Role(enum.IntEnum):
    """OFPCR_ROLE_*."""

    NOCHANGE = 0
    EQUAL = 1
    MASTER = 2
    SLAVE = 3


class BundleStep(enum.IntEnum):
    """OFPBCT_*."""

    OPEN_REQUEST = 0
    OPEN_REPLY = 1
    CLOSE_REQUEST = 2
    CLOSE_REPLY = 3
    COMMIT_REQUEST = 4
    COMMIT_REPLY = 5
    DISCARD_REQUEST = 6
    DISCARD_REPLY = 7


class BundleFlag(enum.IntFlag):
    """OFPBF_*."""

    ATOMIC = 1
    ORDERED = 2


ATOMIC_ORDERED = BundleFlag.ATOMIC | BundleFlag.ORDERED


class AsyncKind(enum.IntEnum):
    """OFPACPT_*, those of a master; the value for a slave is one less."""

    PACKET_IN = 1
    PORT_STATUS = 3
    FLOW_REMOVED = 5
    ROLE_STATUS = 7
    TABLE_STATUS = 9
    REQUESTFORWARD = 11


class MeterCommand(enum.IntEnum):
    """OFPMC_*."""

    ADD = 0
    MODIFY = 1
    DELETE = 2


class MeterFlag(enum.IntFlag):
    """OFPMF_*."""

    KBPS = 1
    PKTPS = 2
    BURST = 4
    STATS = 8


class MeterSpec(NamedTuple):
    """A meter with one drop band."""

    id: int
    rate: int
    """In the unit of `flags`: packets or kilobits per second."""
    burst: int = 0
    flags: MeterFlag = MeterFlag.PKTPS | MeterFlag.BURST | MeterFlag.STATS


class MonitorFlag(enum.IntFlag):
    """OFPFMF_*."""

    INITIAL = 1
    ADD = 2
    REMOVED = 4
    MODIFY = 8
    INSTRUCTIONS = 16
    NO_ABBREV = 32
    ONLY_OWN = 64


CHANGES = MonitorFlag.ADD | MonitorFlag.REMOVED | MonitorFlag.MODIFY
"""Every change; our own come as the xid of the message that made them."""


def message(kind: Kind, xid: int, body: bytes = b"") -> bytes:
    """Return a message of OpenFlow 1.4.

    Raises:
        WireError: a body of more than 65,527 bytes.
    """
    size = HEADER.size + len(body)
    if size > MAX_MESSAGE:
        raise WireError(f"{kind.name}: {size} bytes; a message holds {MAX_MESSAGE}")
    return HEADER.pack(VERSION, kind, size, xid) + body


def hello(xid: int, versions: tuple[int, ...] = (VERSION,)) -> bytes:
    """Return a Hello with a version bitmap."""
    bitmap = sum(1 << version for version in versions)
    return message(Kind.HELLO, xid, struct.pack("!HHI", 1, 8, bitmap))


def echo_request(xid: int, data: bytes = b"") -> bytes:
    """Return an echo request."""
    return message(Kind.ECHO_REQUEST, xid, data)


def echo_reply(xid: int, data: bytes = b"") -> bytes:
    """Return the answer to an echo request: the same xid and data."""
    return message(Kind.ECHO_REPLY, xid, data)


def features_request(xid: int) -> bytes:
    """Ask for the datapath id."""
    return message(Kind.FEATURES_REQUEST, xid)


def barrier_request(xid: int) -> bytes:
    """Ask for a reply once everything before is done."""
    return message(Kind.BARRIER_REQUEST, xid)


def role_request(xid: int, role: Role, generation_id: int) -> bytes:
    """Ask for a role; `generation_id` (64 bits) must not be older than what the switch has seen."""
    return message(Kind.ROLE_REQUEST, xid, struct.pack("!I4xQ", role, generation_id))


def set_config(xid: int, miss_send_len: int) -> bytes:
    """Say how many bytes of a packet a table miss sends; fragments stay as they are."""
    return message(Kind.SET_CONFIG, xid, struct.pack("!HH", 0, miss_send_len))


def set_async(xid: int, master: Mapping[AsyncKind, int], slave: Mapping[AsyncKind, int]) -> bytes:
    """Say which asynchronous messages come: bit n of a mask for reason n (OpenFlow 1.4, 7.3.10)."""
    pairs: list[tuple[int, int]] = [*master.items()]
    pairs += [(kind - 1, mask) for kind, mask in slave.items()]
    body = b"".join(struct.pack("!HHI", kind, 8, mask) for kind, mask in sorted(pairs))
    return message(Kind.SET_ASYNC, xid, body)


def packet_out(xid: int, in_port: int, actions: Actions, data: bytes) -> bytes:
    """Send a packet as if it came in at `in_port`.

    Raises:
        WireError: Goto or Meter among the actions, or too much data.
    """
    encoded = encode_actions(actions)
    head = struct.pack("!IIH6x", ANY, in_port, len(encoded))
    return message(Kind.PACKET_OUT, xid, head + encoded + data)


def bundle_control(xid: int, bundle_id: int, step: BundleStep, flags: BundleFlag = ATOMIC_ORDERED) -> bytes:
    """Open, close, commit or discard a bundle; the flags are the same at every step."""
    return message(Kind.BUNDLE_CONTROL, xid, struct.pack("!IHH", bundle_id, step, flags))


def bundle_add(xid: int, bundle_id: int, inner: bytes, flags: BundleFlag = ATOMIC_ORDERED) -> bytes:
    """Put a finished message into a bundle; it takes the xid of the outer one, as OpenFlow asks."""
    same_xid = inner[:4] + xid.to_bytes(4, "big") + inner[8:]
    return message(Kind.BUNDLE_ADD_MESSAGE, xid, struct.pack("!I2xH", bundle_id, flags) + same_xid)


def meter_mod(xid: int, command: MeterCommand, meter: MeterSpec) -> bytes:
    """Add, change or delete a meter; deleting looks only at the id."""
    band = struct.pack("!HHII4x", 1, 16, meter.rate, meter.burst)
    body = struct.pack("!HHI", command, meter.flags, meter.id)
    return message(Kind.METER_MOD, xid, body if command is MeterCommand.DELETE else body + band)


def multipart_request(xid: int, kind: Multipart, body: bytes = b"") -> bytes:
    """Ask for a multipart reply; table stats and port descriptions need no body."""
    return message(Kind.MULTIPART_REQUEST, xid, struct.pack("!HH4x", kind, 0) + body)


_EVERY_MATCH = b"\x00\x01\x00\x04\x00\x00\x00\x00"


def flow_stats_request(xid: int, table: int = 0xFF) -> bytes:
    """Ask for the flows of a table, or of all."""
    return multipart_request(xid, Multipart.FLOW, _selection(table, 0, 0))


def aggregate_request(xid: int, table: int = 0xFF, cookie: int = 0, cookie_mask: int = 0) -> bytes:
    """Ask for the sums over the flows whose masked cookie is `cookie`."""
    return multipart_request(xid, Multipart.AGGREGATE, _selection(table, cookie, cookie_mask))


def _selection(table: int, cookie: int, cookie_mask: int) -> bytes:
    return struct.pack("!B3xII4xQQ", table, ANY, ANY, cookie, cookie_mask) + _EVERY_MATCH


def port_stats_request(xid: int, ofport: int = ANY) -> bytes:
    """Ask what a port counted, or every port."""
    return multipart_request(xid, Multipart.PORT_STATS, struct.pack("!I4x", ofport))


def meter_config_request(xid: int, meter_id: int = ANY) -> bytes:
    """Ask what meters there are."""
    return multipart_request(xid, Multipart.METER_CONFIG, struct.pack("!I4x", meter_id))


def flow_monitor_request(xid: int, monitor_id: int, flags: MonitorFlag = CHANGES) -> bytes:
    """Ask to be told of every flow that changes, in any table, by any hand."""
    head = struct.pack("!IIIHBB", monitor_id, ANY, ANY, flags, 0xFF, 0)
    return multipart_request(xid, Multipart.FLOW_MONITOR, head + _EVERY_MATCH)

"""Messages from a switch, other than flow statistics, as values. Each raises WireError on broken framing."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from intent.compiler import fields as f
from intent.compiler.flow import Match
from ryu_apps.wire.errors import WireError
from ryu_apps.wire.messages import HEADER, BundleFlag, BundleStep, MeterFlag, MeterSpec, Multipart, Role
from ryu_apps.wire.oxm import decode_known_terms, match_extent

_ERROR_NAMES: dict[tuple[int, int], str] = {
    (0, 0): "HELLO_FAILED/INCOMPATIBLE",
    (1, 1): "BAD_REQUEST/BAD_TYPE",
    (1, 5): "BAD_REQUEST/EPERM",
    (1, 6): "BAD_REQUEST/BAD_LEN",
    (1, 10): "BAD_REQUEST/IS_SLAVE",
    (2, 0): "BAD_ACTION/BAD_TYPE",
    (2, 1): "BAD_ACTION/BAD_LEN",
    (2, 5): "BAD_ACTION/BAD_ARGUMENT",
    (2, 10): "BAD_ACTION/MATCH_INCONSISTENT",
    (2, 14): "BAD_ACTION/BAD_SET_LEN",
    (2, 15): "BAD_ACTION/BAD_SET_ARGUMENT",
    (3, 2): "BAD_INSTRUCTION/BAD_TABLE_ID",
    (4, 6): "BAD_MATCH/BAD_FIELD",
    (4, 7): "BAD_MATCH/BAD_VALUE",
    (4, 8): "BAD_MATCH/BAD_MASK",
    (4, 9): "BAD_MATCH/BAD_PREREQ",
    (4, 10): "BAD_MATCH/DUP_FIELD",
    (5, 1): "FLOW_MOD_FAILED/TABLE_FULL",
    (5, 2): "FLOW_MOD_FAILED/BAD_TABLE_ID",
    (11, 0): "ROLE_REQUEST_FAILED/STALE",
    (12, 1): "METER_MOD_FAILED/METER_EXISTS",
    (12, 3): "METER_MOD_FAILED/UNKNOWN_METER",
    (17, 2): "BUNDLE_FAILED/BAD_ID",
    (17, 3): "BUNDLE_FAILED/BUNDLE_EXIST",
    (17, 4): "BUNDLE_FAILED/BUNDLE_CLOSED",
    (17, 9): "BUNDLE_FAILED/MSG_BAD_XID",
    (17, 10): "BUNDLE_FAILED/MSG_UNSUP",
    (17, 12): "BUNDLE_FAILED/MSG_TOO_MANY",
    (17, 13): "BUNDLE_FAILED/MSG_FAILED",
    (17, 14): "BUNDLE_FAILED/TIMEOUT",
}
"""The errors this product has met or provokes (OpenFlow 1.4, 7.5.4)."""
_EXPERIMENTER_ERROR = 0xFFFF


class SwitchError(NamedTuple):
    """An OFPT_ERROR: what the switch refused."""

    xid: int
    """Of the refused message."""
    kind: int
    code: int
    data: bytes
    """The beginning of the refused message."""

    @property
    def name(self) -> str:
        """As the specification names it, or both numbers."""
        return _ERROR_NAMES.get((self.kind, self.code), f"type {self.kind}, code {self.code}")


class RoleReply(NamedTuple):
    """The role this connection has."""

    role: Role
    generation_id: int


class BundleReply(NamedTuple):
    """One step of a bundle is done."""

    bundle_id: int
    step: BundleStep
    flags: BundleFlag


class Features(NamedTuple):
    """Who the switch is."""

    dpid: int
    tables: int
    auxiliary: int
    capabilities: int


class PacketIn(NamedTuple):
    """A packet that a flow sent here."""

    in_port: int
    table: int
    reason: int
    cookie: int
    metadata: Match
    """What the pipeline knew of it: registers, ct_state and the like; fields that are none of ours are left out."""
    data: bytes


class PortState(NamedTuple):
    """A port of the switch."""

    ofport: int
    mac: str
    name: str
    config: int
    state: int


class PartHeader(NamedTuple):
    """One message of a multipart reply."""

    kind: int
    """`Multipart`, as a number: a switch may send others."""
    more: bool
    body: bytes


def _need(frame: bytes, size: int, what: str) -> None:
    if len(frame) < size:
        raise WireError(f"{what}: {len(frame)} bytes, at least {size} needed")


def decode_error(frame: bytes) -> SwitchError:
    """Decode an OFPT_ERROR."""
    _need(frame, 12, "error")
    _, _, _, xid, kind, code = struct.unpack_from("!BBHIHH", frame)
    if kind == _EXPERIMENTER_ERROR:
        _need(frame, 16, "experimenter error")
        return SwitchError(xid, kind, code, frame[16:])
    return SwitchError(xid, kind, code, frame[12:])


def decode_role_reply(frame: bytes) -> RoleReply:
    """Decode an OFPT_ROLE_REPLY."""
    _need(frame, 24, "role reply")
    role, generation_id = struct.unpack_from("!I4xQ", frame, HEADER.size)
    try:
        return RoleReply(Role(role), generation_id)
    except ValueError as error:
        raise WireError(f"role reply: {error}") from error


def decode_bundle_control(frame: bytes) -> BundleReply:
    """Decode an OFPT_BUNDLE_CONTROL reply."""
    _need(frame, 16, "bundle control")
    bundle_id, step, flags = struct.unpack_from("!IHH", frame, HEADER.size)
    try:
        return BundleReply(bundle_id, BundleStep(step), BundleFlag(flags & 3))
    except ValueError as error:
        raise WireError(f"bundle control: {error}") from error


def decode_features(frame: bytes) -> Features:
    """Decode an OFPT_FEATURES_REPLY."""
    _need(frame, 32, "features reply")
    dpid, _, tables, auxiliary, capabilities = struct.unpack_from("!QIBB2xI", frame, HEADER.size)
    return Features(dpid, tables, auxiliary, capabilities)


def decode_packet_in(frame: bytes) -> PacketIn:
    """Decode an OFPT_PACKET_IN."""
    _need(frame, 34, "packet in")
    total, reason, table, cookie = struct.unpack_from("!4xHBBQ", frame, HEADER.size)
    stop, following = match_extent(frame, 24, len(frame))
    data = frame[following + 2 :][:total]
    metadata = decode_known_terms(frame, 28, stop)
    in_port = next((term.value for term in metadata if term.field is f.IN_PORT), None)
    if in_port is None:
        raise WireError("packet in: its match names no in_port")
    return PacketIn(in_port, table, reason, cookie, metadata, data)


def decode_multipart(frame: bytes) -> PartHeader:
    """Take the multipart header off an OFPT_MULTIPART_REPLY."""
    _need(frame, 16, "multipart reply")
    kind, flags = struct.unpack_from("!HH", frame, HEADER.size)
    return PartHeader(kind, bool(flags & 1), frame[16:])


def decode_ports(body: bytes) -> Iterator[PortState]:
    """Yield the ports of one port-description reply; `body` is what follows the multipart header."""
    at = 0
    while at < len(body):
        port, size = _port(body, at)
        yield port
        at += size


def decode_port_status(frame: bytes) -> tuple[int, PortState]:
    """Decode an OFPT_PORT_STATUS: reason (0 add, 1 delete, 2 modify) and port."""
    _need(frame, 56, "port status")
    return frame[8], _port(frame, 16)[0]


_PORT = struct.Struct("!IH2x6s2x16sII")


def _port(raw: bytes, at: int) -> tuple[PortState, int]:
    _need(raw[at:], _PORT.size, f"port at {at}")
    ofport, size, mac, name, config, state = _PORT.unpack_from(raw, at)
    if size < _PORT.size or size & 7 or at + size > len(raw):
        raise WireError(f"port at {at}: length {size}")
    text = name.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")
    return PortState(ofport, mac.hex(":"), text, config, state), size


_METER = struct.Struct("!HHI")
_BAND = struct.Struct("!HHII")
_BAND_SIZE = 16
_DROP = 1


def decode_meters(body: bytes) -> Iterator[tuple[int, MeterSpec | None]]:
    """Yield the meters of one meter-config reply: id, and what it is (None: not one of our kind)."""
    at = 0
    while at < len(body):
        _need(body[at:], _METER.size, f"meter at {at}")
        size, flags, meter_id = _METER.unpack_from(body, at)
        if size < _METER.size or size & 7 or at + size > len(body):
            raise WireError(f"meter at {at}: length {size}")
        yield meter_id, _meter(body[at + _METER.size : at + size], meter_id, flags)
        at += size


def _meter(bands: bytes, meter_id: int, flags: int) -> MeterSpec | None:
    if len(bands) != _BAND_SIZE:
        return None
    kind, _, rate, burst = _BAND.unpack_from(bands)
    return MeterSpec(meter_id, rate, burst, MeterFlag(flags & 15)) if kind == _DROP else None


def is_flow_stats(frame: bytes) -> bool:
    """Say whether a frame is a flow-stats reply, which only this package's decoder should see."""
    return frame[1:2] == b"\x13" and frame[8:10] == Multipart.FLOW.to_bytes(2, "big")

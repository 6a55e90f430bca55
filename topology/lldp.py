"""Frames by which a controller proves that two ports are wired to each other (LLDP, IEEE 802.1AB).

A frame names the port that it was sent from and the time slot, and carries a code over both that only the
controller can make (HMAC-SHA256, RFC 2104). So nobody can forge one, and one that was kept is of no use
a moment later. A frame is proof when it is, byte by byte, the one that would have been sent.
"""

from __future__ import annotations

import hashlib
import hmac
import struct

from topology.paths import LinkEnd

ETH_LLDP = 0x88CC
NEAREST_BRIDGE = 0x0180C200000E
"""Destination of LLDP: no bridge forwards it (802.1AB, table 7-1)."""
TICK_S = 1.0
"""Length of a time slot: each port sends once in it."""
TICKS = 2
"""Slots in which a frame counts: that in which it was sent, and the next."""
KEY_BYTES = 32
FRAME_BYTES = 96
"""Length of every frame of ours."""

_SOURCE = bytes.fromhex("025246000001")
_OUI, _SUBTYPE = bytes.fromhex("025246"), 1
"""A locally administered organisation identifier: nobody else's."""
_CHASSIS, _PORT, _TTL, _SPECIFIC = 1, 2, 3, 127
_LOCALLY_ASSIGNED = b"\x07"
_CODE_BYTES = 16
_HEAD = struct.pack("!Q", NEAREST_BRIDGE)[2:] + _SOURCE + struct.pack("!H", ETH_LLDP)
_NUMBERS = struct.Struct("!QIQ")


class Unproven(Exception):
    """A frame proves nothing; `forged` if it pretends to."""

    def __init__(self, message: str, *, forged: bool) -> None:
        super().__init__(message)
        self.forged = forged


def frame(key: bytes, end: LinkEnd, tick: int) -> bytes:
    """Return the frame that a port sends in a time slot; `FRAME_BYTES` long.

    Args:
        key: `KEY_BYTES` that only the controller knows.
        end: the port.
        tick: number of the slot, 0 to 2^64 - 1.
    """
    numbers = _NUMBERS.pack(end.dpid, end.ofport, tick)
    code = hmac.digest(key, b"ringfence link" + numbers, hashlib.sha256)[:_CODE_BYTES]
    body = b"".join(
        (
            _tlv(_CHASSIS, _LOCALLY_ASSIGNED + f"{end.dpid:016x}".encode()),
            _tlv(_PORT, _LOCALLY_ASSIGNED + struct.pack("!I", end.ofport)),
            _tlv(_TTL, struct.pack("!H", int(TICK_S * TICKS))),
            _tlv(_SPECIFIC, _OUI + bytes((_SUBTYPE,)) + numbers[-8:] + code),
            _tlv(0, b""),
        )
    )
    return (_HEAD + body).ljust(FRAME_BYTES, b"\0")


def read(key: bytes, data: bytes, tick: int) -> LinkEnd:
    """Return the port that a frame was sent from, which it proves.

    Args:
        key: as in `frame`.
        data: the frame as it was received, of any length.
        tick: the slot in which it was received.

    Raises:
        Unproven: it is no frame of this controller's, or not of now.
    """
    found = _claim(data)
    if found is None:
        raise Unproven("it is LLDP of another kind", forged=False)
    end, sent = found
    if not hmac.compare_digest(frame(key, end, sent), data):
        raise Unproven("its code is not what this controller would have written", forged=True)
    if not 0 <= tick - sent < TICKS:
        raise Unproven(f"it was sent {tick - sent} s ago and kept since", forged=True)
    return end


_PORT_AT = 14 + 2 + 17 + 2 + 1
_SPECIFIC_AT = _PORT_AT + 4 + 2 + 2 + 2


def _claim(data: bytes) -> tuple[LinkEnd, int] | None:
    """Return what a frame of our form claims: port and slot; None for one of another form."""
    if len(data) != FRAME_BYTES or data[: len(_HEAD)] != _HEAD:
        return None
    if data[_SPECIFIC_AT : _SPECIFIC_AT + 4] != _OUI + bytes((_SUBTYPE,)):
        return None
    (ofport,) = struct.unpack_from("!I", data, _PORT_AT)
    (sent,) = struct.unpack_from("!Q", data, _SPECIFIC_AT + 4)
    try:
        dpid = int.from_bytes(bytes.fromhex(data[17:33].decode("ascii")), "big")
    except ValueError:
        return None
    return LinkEnd(dpid, ofport), sent


def _tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!H", kind << 9 | len(value)) + value

"""Where a switch keeps Geneve options for flows: Nicira's TLV table messages (OVS include/openflow/nicira-ext.h).

No bundle takes them. An option that is kept nowhere cannot be matched or written.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

from ryu_apps.wire.errors import WireError
from ryu_apps.wire.messages import HEADER, Kind, message

NICIRA: Final = 0x00002320
MOD, REQUEST, REPLY = 24, 25, 26
"""NXT_TLV_TABLE_*."""
_HEAD = struct.Struct("!II")
_STATUS = struct.Struct("!IH10x")
_MAP = struct.Struct("!HBBH2x")
MAX_FIELDS = 64
"""TUN_METADATA_NUM_OPTS."""


class OptionMap(NamedTuple):
    """An option, and the field `tun_metadata<index>` that it is kept in."""

    option_class: int
    option_type: int
    size: int
    """Bytes, a multiple of 4."""
    place: int


class OptionCommand(enum.IntEnum):
    """NXTTMC_*."""

    ADD = 0
    DELETE = 1
    CLEAR = 2


def option_mod(xid: int, command: OptionCommand, maps: Iterable[OptionMap] = ()) -> bytes:
    """Add or delete maps, or clear them all."""
    body = _HEAD.pack(NICIRA, MOD) + struct.pack("!H6x", command)
    return message(Kind.EXPERIMENTER, xid, body + b"".join(_MAP.pack(*entry) for entry in maps))


def options_request(xid: int) -> bytes:
    """Ask which maps there are."""
    return message(Kind.EXPERIMENTER, xid, _HEAD.pack(NICIRA, REQUEST))


def decode_options(frame: bytes) -> frozenset[OptionMap]:
    """Return the maps of a reply.

    Raises:
        WireError: it is no such reply, or broken.
    """
    head, maps = HEADER.size + _HEAD.size, frame[HEADER.size + _HEAD.size + _STATUS.size :]
    if len(frame) < head + _STATUS.size or _HEAD.unpack_from(frame, HEADER.size) != (NICIRA, REPLY):
        raise WireError("TLV table: another answer than was asked for")
    if len(maps) % _MAP.size or len(maps) > MAX_FIELDS * _MAP.size:
        raise WireError(f"TLV table: {len(maps)} bytes of maps of {_MAP.size} each; at most {MAX_FIELDS} fit")
    return frozenset(OptionMap(*entry) for entry in _MAP.iter_unpack(maps))

"""Groups of ports that the switch chooses from: group-mods, and what a switch says it holds (OpenFlow 1.4, 7.3.4.3)."""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from typing import Final

from intent.compiler.fabric import Bucket, GroupSpec
from intent.compiler.flow import Act, Group, Output
from ryu_apps.wire.actions import encode_actions
from ryu_apps.wire.errors import WireError
from ryu_apps.wire.messages import ANY, Kind, Multipart, message, multipart_request

SELECT, FAST_FAILOVER = 1, 3
"""OFPGT_*."""
EVERY: Final = 0xFFFFFFFC
"""OFPG_ALL."""

_HEAD = struct.Struct("!HBxI")
_BUCKET = struct.Struct("!HHII4x")


class GroupCommand(enum.IntEnum):
    """OFPGC_*."""

    ADD = 0
    MODIFY = 1
    DELETE = 2


def group_mod(xid: int, command: GroupCommand, number: int, spec: GroupSpec | None = None) -> bytes:
    """Add, change or delete a group; deleting needs no content, and deletes the flows that use it.

    Raises:
        WireError: more buckets than a message holds.
    """
    kind = SELECT if spec is not None and spec.spread else FAST_FAILOVER
    return message(Kind.GROUP_MOD, xid, _HEAD.pack(command, kind, number) + (encode_buckets(spec) if spec else b""))


def encode_buckets(spec: GroupSpec) -> bytes:
    """Return the buckets of a group as they are sent."""
    return b"".join(_bucket(bucket, weight=int(spec.spread)) for bucket in spec.buckets)


def _bucket(bucket: Bucket, weight: int) -> bytes:
    act: Act = Group(bucket.group) if bucket.group else Output(bucket.port)
    actions = encode_actions((act,))
    watched = (bucket.watch or ANY, bucket.group or ANY)
    return _BUCKET.pack(_BUCKET.size + len(actions), weight, *watched) + actions


def group_desc_request(xid: int) -> bytes:
    """Ask what groups there are, with their content."""
    return multipart_request(xid, Multipart.GROUP_DESC)


def decode_group_descs(body: bytes) -> Iterator[tuple[int, tuple[bool, bytes] | None]]:
    """Yield the number of each group, whether it spreads, and its buckets as bytes; None for a kind that is not ours.

    Raises:
        WireError: broken framing.
    """
    at = 0
    while at < len(body):
        if len(body) - at < _HEAD.size:
            raise WireError(f"group: {len(body) - at} bytes at {at} hold no header")
        size, kind, number = _HEAD.unpack_from(body, at)
        if size < _HEAD.size or at + size > len(body):
            raise WireError(f"group {number}: length {size} at {at} of {len(body)}")
        ours = kind in (SELECT, FAST_FAILOVER)
        yield number, (kind == SELECT, body[at + _HEAD.size : at + size]) if ours else None
        at += size

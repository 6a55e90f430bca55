"""What an uplink that translates addresses makes of packets: outside of judgement, on both ways.

Of the IP versions that it covers no packet passes as it is. `kept` is the packet as the translations there are make it,
if it belongs to one: a connection keeps its translation until it ends.
"""

from __future__ import annotations

import dataclasses

from topology.model import IPAddress, Translation
from topology.packet import ICMP, ICMPV6, TCP, UDP, Ends, Frame, ends_of

_KINDS = {4: frozenset({TCP, UDP, ICMP}), 6: frozenset({TCP, UDP, ICMPV6})}


def covers(translation: Translation, address: IPAddress | None) -> bool:
    """Say whether packets to or from an address pass translated."""
    return address is not None and translation.covers(address.version)


def is_known_kind(frame: Frame) -> bool:
    """Say whether packets of a protocol can be translated."""
    return frame.dst is not None and frame.protocol in _KINDS[frame.dst.version]


def inbound(translation: Translation, frame: Frame, kept: Frame | None) -> Frame | None:
    """Return a packet from the world as endpoints see it, None if it is for none.

    The port of the client may be another, where one client reaches one port by two ways.
    """
    if kept is not None:
        return kept
    for forward in translation.forwards:
        if forward.holds(frame.dst, frame.protocol, frame.dport):
            port = frame.dport if forward.port is None else forward.port
            return dataclasses.replace(frame, dst=forward.to, dport=port)
    return None


def outbound(translation: Translation, frame: Frame, kept: Frame | None, *, opens: bool) -> Ends | None:
    """Return with what addresses a packet goes out to the world, None if it does not.

    Its port is the sender's own if that is free, else another (None here).
    """
    if kept is not None:
        return ends_of(kept)
    source = None if frame.src is None else translation.source(frame.src.version)
    if source is None or not opens:
        return None
    return dataclasses.replace(ends_of(frame), src=source, sport=None)

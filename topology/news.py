"""What happened, in words: the differences of two maps, and a bounded journal that readers follow.

A journal gives each piece of news a number. A reader remembers the last number it saw and asks for what came
after; who asks for what the journal no longer holds is told so, and looks at the whole topology anew.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import TypeVar

from topology.map import BridgeNode, EndpointNode, HostNode, LinkNode, Map, State, TunnelNode
from topology.model import Report
from topology.paths import LinkEnd

_ID = re.compile(r"([0-9a-f]{1,16})-([0-9]{1,15})")


@dataclasses.dataclass(frozen=True, slots=True)
class News:
    """One thing that happened."""

    kind: str
    """`endpoint.came`, `endpoint.moved`, `switch.connected`, `revision.realized`, …"""
    subject: str
    """What it is about: a name, a datapath id, a number."""
    details: Mapping[str, str | int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """News with its number and time."""

    number: int
    """From 1, without gaps."""
    at: datetime
    news: News


def differences(before: Map, after: Map) -> Iterator[News]:
    """Yield what happened between two maps; what left comes before what came."""
    yield from _told(before.hosts, after.hosts, _host)
    yield from _told(before.bridges, after.bridges, _switch)
    yield from _told(before.links, after.links, _link)
    yield from _told(before.tunnels, after.tunnels, _tunnel)
    yield from _told(before.endpoints, after.endpoints, _endpoint)


def report_news(before: Iterable[Report], after: Iterable[Report]) -> Iterator[News]:
    """Yield which reports came and which are settled."""
    old, new = set(before), set(after)
    for report in sorted(old - new):
        yield News("report.settled", report.subject, {"problem": report.problem})
    for report in sorted(new - old):
        yield News("report.raised", report.subject, {"problem": report.problem, "remedy": report.remedy})


K = TypeVar("K")
N = TypeVar("N")


def _told(
    before: Mapping[K, N], after: Mapping[K, N], tell: Callable[[N | None, N | None], Iterator[News]]
) -> Iterator[News]:
    """Tell of each thing that differs; of those that are gone first."""
    if before is after:
        return
    for key, old in before.items():
        if key not in after:
            yield from tell(old, None)
    for key, new in after.items():
        was = before.get(key)
        if was is not new:
            yield from tell(was, new)


def _host(old: HostNode | None, new: HostNode | None) -> Iterator[News]:
    yield from _came_and_went("host", new or old, was=_is_up(old), is_=_is_up(new))


def _switch(old: BridgeNode | None, new: BridgeNode | None) -> Iterator[News]:
    yield from _came_and_went("switch", new or old, was=_is_up(old), is_=_is_up(new))


def _is_up(node: HostNode | BridgeNode | LinkNode | TunnelNode | None) -> bool:
    return node is not None and node.state is State.UP


def _came_and_went(word: str, node: HostNode | BridgeNode | None, *, was: bool, is_: bool) -> Iterator[News]:
    if node is None or was == is_:
        return
    what = f"{word}.{'connected' if is_ else 'disconnected'}"
    if isinstance(node, HostNode):
        yield News(what, node.name)
    else:
        yield News(what, f"{node.dpid or 0:016x}", {"host": node.host, "bridge": node.name})


def _link(old: LinkNode | None, new: LinkNode | None) -> Iterator[News]:
    node = new or old
    if node is not None and _is_up(old) != _is_up(new):
        yield News("link.up" if _is_up(new) else "link.down", f"{_end(node.a)} {_end(node.b)}")


def _end(end: LinkEnd) -> str:
    return f"{end.dpid:016x}/{end.ofport}"


def _tunnel(old: TunnelNode | None, new: TunnelNode | None) -> Iterator[News]:
    node = new or old
    if node is not None and _is_up(old) != _is_up(new):
        what = "tunnel.up" if _is_up(new) else "tunnel.down"
        yield News(what, node.name, {"host": node.host, "type": node.type, "remote": node.remote})


def _endpoint(old: EndpointNode | None, new: EndpointNode | None) -> Iterator[News]:
    if new is None and old is not None:
        yield News("endpoint.left", old.name, _whereabouts(old))
    elif new is not None and old is None:
        yield News("endpoint.came", new.name, _whereabouts(new))
    elif new is not None and old is not None and new.place != old.place:
        yield News("endpoint.moved", new.name, _whereabouts(new))
    elif new is not None and old is not None:
        yield News("endpoint.changed", new.name, _whereabouts(new))


def _whereabouts(node: EndpointNode) -> dict[str, str | int]:
    return {
        "network": node.network,
        "addresses": " ".join(node.addresses),
        "host": node.host,
        "dpid": f"{node.dpid:016x}",
        "ofport": node.ofport,
        "interface": node.interface,
        "state": node.state.value,
    }


class Journal:
    """The newest entries. Not safe for threads: whoever shares it locks it."""

    def __init__(self, name: str, capacity: int) -> None:
        """Begin anew; `name` (1 to 16 hexadecimal digits) tells it from those of earlier starts."""
        self.name = name
        self._entries: collections.deque[Entry] = collections.deque(maxlen=capacity)
        self._last = 0

    @property
    def last(self) -> int:
        """Number of the newest entry, 0 before the first."""
        return self._last

    @property
    def oldest(self) -> int:
        """The number after which everything is kept."""
        return self._last - len(self._entries)

    def append(self, news: Iterable[News], at: datetime) -> int:
        """Add news; return how many. The oldest entries go where there are too many."""
        before = self._last
        for item in news:
            self._last += 1
            self._entries.append(Entry(self._last, at, item))
        return self._last - before

    def after(self, number: int, most: int) -> list[Entry] | None:
        """Return the entries after a number, at most `most`; None where some of them are not there any more."""
        skipped = len(self._entries) - (self._last - number)
        if number > self._last or skipped < 0:
            return None
        return list(itertools.islice(self._entries, skipped, skipped + most))

    def position(self, text: str) -> int | None:
        """Return the number in an id that `mark` wrote; None if it is none of this journal's."""
        found = _ID.fullmatch(text)
        if found is None or found[1] != self.name or int(found[2]) > self._last:
            return None
        return int(found[2])

    def mark(self, number: int) -> str:
        """Return a number as an id for readers, which says that it is of this journal."""
        return f"{self.name}-{number}"

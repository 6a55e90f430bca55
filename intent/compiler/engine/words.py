"""What policies read of endpoints, counted, and what an address is called by it."""

from __future__ import annotations

import dataclasses
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from ipaddress import IPV4LENGTH, IPV6LENGTH
from typing import TypeVar

from intent.compiler.flow import make
from intent.compiler.resolve import Identity, Vocabulary
from intent.model import IPNetwork
from topology.model import NAME_LABEL, Endpoint, IPAddress, NamedPort

_IPV4 = 4
_Word = TypeVar("_Word", str, IPNetwork)


class Prefixes:
    """A set of prefixes that finds those which hold an address, longest first, and those inside another."""

    def __init__(self) -> None:
        self._levels: dict[tuple[int, int], dict[int, IPNetwork]] = {}
        """By IP version and length, then by the bits that count."""
        self._lengths: dict[int, tuple[int, ...]] = {4: (), 6: ()}
        self._shifted: dict[int, list[tuple[int, dict[int, IPNetwork]]]] = {4: [], 6: []}
        """By IP version: how many bits of an address do not count at a length, and its level; longest first."""
        self._sorted: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
        """By IP version: first address and length."""

    def __contains__(self, prefix: IPNetwork) -> bool:
        return _bits(prefix) in self._levels.get((prefix.version, prefix.prefixlen), {})

    def __iter__(self) -> Iterator[IPNetwork]:
        return (prefix for level in self._levels.values() for prefix in level.values())

    def add(self, prefix: IPNetwork) -> None:
        """Add a prefix that is not there."""
        level = (prefix.version, prefix.prefixlen)
        if level not in self._levels:
            self._levels[level] = {}
            self._sort(prefix.version)
        self._levels[level][_bits(prefix)] = prefix
        insort(self._sorted[prefix.version], (int(prefix.network_address), prefix.prefixlen))

    def discard(self, prefix: IPNetwork) -> None:
        """Remove a prefix that is there."""
        level = (prefix.version, prefix.prefixlen)
        del self._levels[level][_bits(prefix)]
        entries = self._sorted[prefix.version]
        del entries[bisect_left(entries, (int(prefix.network_address), prefix.prefixlen))]
        if not self._levels[level]:
            del self._levels[level]
            self._sort(prefix.version)

    def _sort(self, version: int) -> None:
        self._lengths[version] = tuple(sorted((n for v, n in self._levels if v == version), reverse=True))
        bits = IPV4LENGTH if version == _IPV4 else IPV6LENGTH
        self._shifted[version] = [(bits - n, self._levels[version, n]) for n in self._lengths[version]]

    def holding(self, prefix: IPNetwork) -> Iterator[IPNetwork]:
        """Yield the prefixes that hold all of one, itself included."""
        value, bits = int(prefix.network_address), prefix.max_prefixlen
        for length in self._lengths[prefix.version]:
            if length <= prefix.prefixlen:
                found = self._levels[prefix.version, length].get(value >> (bits - length))
                if found is not None:
                    yield found

    def inside(self, prefix: IPNetwork) -> Iterator[IPNetwork]:
        """Yield the prefixes that lie in one, itself included."""
        entries, version, bits = self._sorted[prefix.version], prefix.version, prefix.max_prefixlen
        first = bisect_left(entries, (int(prefix.network_address), prefix.prefixlen))
        end = bisect_right(entries, (int(prefix.broadcast_address), bits))
        for start, length in entries[first:end]:
            if length >= prefix.prefixlen:
                yield self._levels[version, length][start >> (bits - length)]

    def longest(self, address: IPAddress) -> IPNetwork | None:
        """Return the longest prefix that holds an address."""
        value = int(address)
        for shift, level in self._shifted[address.version]:
            found = level.get(value >> shift)
            if found is not None:
                return found
        return None


def _bits(prefix: IPNetwork) -> int:
    return int(prefix.network_address) >> (prefix.max_prefixlen - prefix.prefixlen)


@dataclasses.dataclass(slots=True)
class NewWords:
    """What began or ceased to be read: who has any of it is to be named anew."""

    label_keys: set[str] = dataclasses.field(default_factory=set)
    endpoint_names: set[str] = dataclasses.field(default_factory=set)
    port_names: set[str] = dataclasses.field(default_factory=set)
    prefixes: set[IPNetwork] = dataclasses.field(default_factory=set)


class Words:
    """The vocabulary of all policies."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str | IPNetwork], int] = {}
        self._label_keys: set[str] = set()
        self._endpoint_names: set[str] = set()
        self._port_names: set[str] = set()
        self._prefixes = Prefixes()
        self.new = NewWords()

    def read(self, vocabulary: Vocabulary, readers: int) -> None:
        """Count 1 policy that reads this, or -1."""
        for name, mine, new in (
            ("label_keys", self._label_keys, self.new.label_keys),
            ("endpoint_names", self._endpoint_names, self.new.endpoint_names),
            ("port_names", self._port_names, self.new.port_names),
        ):
            for word in self._turned(name, getattr(vocabulary, name), readers):
                mine ^= {word}
                new ^= {word}
        for prefix in self._turned("prefixes", vocabulary.prefixes, readers):
            self.new.prefixes ^= {prefix}
            if readers > 0:
                self._prefixes.add(prefix)
            else:
                self._prefixes.discard(prefix)

    def _turned(self, kind: str, found: Iterable[_Word], readers: int) -> Iterator[_Word]:
        """Yield what got its first reader or lost its last."""
        for word in found:
            before = self._counts.get((kind, word), 0)
            after = before + readers
            if after:
                self._counts[kind, word] = after
            else:
                del self._counts[kind, word]
            if not before or not after:
                yield word

    def prefixes(self) -> Iterator[IPNetwork]:
        """Yield all prefixes in force."""
        return iter(self._prefixes)

    def take_new(self) -> NewWords:
        """Return what began or ceased to be read since the last time."""
        found, self.new = self.new, NewWords()
        return found

    def identities(self, endpoint: Endpoint) -> list[Identity]:
        """Return what policy can tell about each address of an endpoint."""
        keys, names = self._label_keys, self._endpoint_names
        found = [label for label in endpoint.labels.items() if label[0] in keys]
        if names and NAME_LABEL not in keys and endpoint.labels.get(NAME_LABEL) in names:
            found.append((NAME_LABEL, endpoint.labels[NAME_LABEL]))
        found.sort()
        labels = tuple(found)
        ports: tuple[NamedPort, ...] = ()
        if endpoint.ports:
            ports = tuple(sorted(p for p in endpoint.ports if p.name in self._port_names))
        longest = self._prefixes.longest
        return [make(Identity, (endpoint.network, labels, ports, longest(a))) for a in endpoint.addresses]

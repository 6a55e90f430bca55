"""Who is plugged in, found by place and by what policies read of endpoints."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import TypeVar

from intent.compiler.engine.plugs import Plug
from intent.compiler.engine.words import NewWords
from intent.model import IPNetwork
from topology.model import NAME_LABEL, NETWORK_LABEL, Endpoint, UnaddressedPort

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Roster:
    """Endpoints by name, and four indices."""

    def __init__(self) -> None:
        self.plugs: dict[str, Plug] = {}
        self.places: dict[str, dict[int, dict[str, Plug]]] = {}
        """By network, datapath id and name."""
        self.switches: dict[int, dict[str, Plug]] = {}
        """By datapath id and name."""
        self.unaddressed: dict[tuple[int, str], dict[UnaddressedPort, None]] = {}
        """By datapath id and network."""
        self._by_label: dict[str, dict[str, None]] = {}
        self._by_port: dict[str, dict[str, None]] = {}
        self._addresses: dict[int, list[tuple[int, str]]] = {4: [], 6: []}
        """By IP version: address and name, sorted unless `_unsorted`."""
        self._unsorted = True

    def add(self, plug: Plug) -> None:
        """Take an endpoint in."""
        endpoint = plug.endpoint
        name, dpid = endpoint.name, endpoint.location.dpid
        self.plugs[name] = plug
        self.switches.setdefault(dpid, {})[name] = plug
        self.places.setdefault(endpoint.network, {}).setdefault(dpid, {})[name] = plug
        for key in endpoint.labels:
            if key not in {NAME_LABEL, NETWORK_LABEL}:
                self._by_label.setdefault(key, {})[name] = None
        for port in endpoint.ports:
            self._by_port.setdefault(port.name, {})[name] = None
        for address in endpoint.addresses:
            entry = (int(address), name)
            if self._unsorted:
                self._addresses[address.version].append(entry)
            else:
                insort(self._addresses[address.version], entry)

    def remove(self, name: str) -> Plug:
        """Let an endpoint go."""
        plug = self.plugs.pop(name)
        endpoint = plug.endpoint
        dpid, network = endpoint.location.dpid, endpoint.network
        _discard(self.switches, dpid, name)
        _discard(self.places[network], dpid, name)
        if not self.places[network]:
            del self.places[network]
        for key in endpoint.labels:
            if key not in {NAME_LABEL, NETWORK_LABEL}:
                _discard(self._by_label, key, name)
        for port in {p.name for p in endpoint.ports}:
            _discard(self._by_port, port, name)
        self._sort()
        for address in endpoint.addresses:
            entries = self._addresses[address.version]
            del entries[bisect_left(entries, (int(address), name))]
        return plug

    def rename(self, plug: Plug, endpoint: Endpoint) -> None:
        """Follow an endpoint that nothing but its labels and named ports make another."""
        name, before = endpoint.name, plug.endpoint
        plug.endpoint = endpoint
        if before.labels.keys() != endpoint.labels.keys():
            for key in before.labels.keys() - endpoint.labels.keys():
                _discard(self._by_label, key, name)
            for key in endpoint.labels.keys() - before.labels.keys():
                self._by_label.setdefault(key, {})[name] = None
        if before.ports != endpoint.ports:
            for port in {p.name for p in before.ports}:
                _discard(self._by_port, port, name)
            for new in endpoint.ports:
                self._by_port.setdefault(new.name, {})[name] = None

    def _sort(self) -> None:
        if self._unsorted:
            self._addresses[4].sort()
            self._addresses[6].sort()
            self._unsorted = False

    def concerned(self, new: NewWords) -> set[str]:
        """Return the endpoints that have anything that began or ceased to be read."""
        found = {name for name in new.endpoint_names if name in self.plugs}
        if NAME_LABEL in new.label_keys:
            found |= self.plugs.keys()
        for key in new.label_keys:
            found |= self._by_label.get(key, {}).keys()
        for port in new.port_names:
            found |= self._by_port.get(port, {}).keys()
        for prefix in new.prefixes:
            found.update(self._inside(prefix))
        return found

    def _inside(self, prefix: IPNetwork) -> Iterator[str]:
        self._sort()
        entries = self._addresses[prefix.version]
        first, last = int(prefix.network_address), int(prefix.broadcast_address)
        low = bisect_left(entries, (first, ""))
        high = bisect_left(entries, (last + 1, ""))
        return (name for _, name in entries[low:high])


def _discard(index: dict[_Key, dict[str, _Value]], key: _Key, name: str) -> None:
    found = index[key]
    del found[name]
    if not found:
        del index[key]

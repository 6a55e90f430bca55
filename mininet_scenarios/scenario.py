"""The scenario format: a topology, intents, probes and steps. Never an expectation.

What must come out is always computed by `intent.semantics`; a scenario only says what is there and
what is asked for. `docs` of the format stand in the dataclasses below; an unknown key is an error.
Needs only PyYAML and the standard library, because Mininet's own Python reads scenarios too.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import yaml

Document: TypeAlias = Mapping[str, Any]
"""One intent document as the REST API takes it: `kind`, `name` and the fields of the kind."""

SCENARIOS = Path(__file__).with_name("scenarios")
MAX_BYTES = 1 << 20
PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1}
SOURCES = ("ovsdb", "api", "none")
FORGERIES = ("honest", "mac", "address", "both")
KINDS = ("udp", "tcp", "icmp", "arp-request", "arp-reply", "ns", "na", "ra")

_NAME = re.compile(r"[a-z][a-z0-9-]{0,12}[a-z0-9]")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_T = TypeVar("_T")


class ScenarioError(ValueError):
    """A scenario file that cannot be used; the message begins with the file and the key."""


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Probe:
    """One kind of opening packet: `tcp/80`, `udp/53` or `icmp` (echo, ICMPv6 where the address is IPv6)."""

    protocol: str
    port: int = 0

    def __str__(self) -> str:
        return f"{self.protocol}/{self.port}" if self.port else self.protocol


@dataclasses.dataclass(frozen=True, slots=True)
class Workload:
    """One network namespace, plugged into the bridge at an interface that has its name."""

    name: str
    """Lower case, at most 14 characters: an interface's name."""
    network: str
    mac: str
    addresses: tuple[str, ...]
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    ports: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Named ports: `http: tcp/80`."""
    source: str = "ovsdb"
    """Who tells the controller: `ovsdb` (external_ids), `api` (an Endpoint document), `none` (nobody)."""

    def external_ids(self) -> dict[str, str]:
        """Return what the OVSDB row of its interface says."""
        if self.source != "ovsdb":
            return {}
        return {
            "iface-id": self.name,
            "attached-mac": self.mac,
            "ringfence:ip": ",".join(self.addresses),
            "ringfence:network": self.network,
            **{f"ringfence:label/{key}": value for key, value in self.labels.items()},
            **{f"ringfence:port/{key}": value for key, value in self.ports.items()},
        }

    def document(self, bridge: str) -> Document | None:
        """Return its Endpoint document, where the API is its source."""
        if self.source != "api":
            return None
        return {
            "kind": "Endpoint",
            "name": self.name,
            "network": self.network,
            "labels": dict(self.labels),
            "mac": self.mac,
            "addresses": list(self.addresses),
            "ports": dict(self.ports),
            "binding": {"bridge": bridge, "interface": self.name},
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One change: documents applied and deleted, workloads plugged and unplugged. All at once."""

    name: str
    apply: tuple[Document, ...] = ()
    delete: tuple[tuple[str, str], ...] = ()
    """(kind, name); written `Policy/web-to-app`."""
    plug: tuple[str, ...] = ()
    unplug: tuple[str, ...] = ()
    relabel: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    """New labels of plugged workloads whose source is `ovsdb`."""


@dataclasses.dataclass(frozen=True, slots=True)
class Forge:
    """Raw frames: every sender x victim x target x kind x forgery x common address family."""

    senders: tuple[str, ...]
    victims: tuple[str, ...]
    """Whose MAC or address is claimed."""
    targets: tuple[str, ...]
    kinds: tuple[str, ...]
    forgeries: tuple[str, ...]
    """`honest` claims nothing, `mac` the victim's MAC, `address` its address, `both` both."""
    port: int = 53


@dataclasses.dataclass(frozen=True, slots=True)
class Churn:
    """The steps, round and round, under streams of datagrams between all workloads that are never unplugged."""

    rounds: int
    port: int
    interval_ms: int = 20
    renew: int = 5
    """Datagrams of one source port."""


@dataclasses.dataclass(frozen=True, slots=True)
class Scenario:
    """A whole scenario."""

    name: str
    description: str
    workloads: Mapping[str, Workload]
    intents: tuple[Document, ...]
    probes: tuple[Probe, ...]
    steps: tuple[Step, ...] = ()
    unplugged: tuple[str, ...] = ()
    """Workloads that are there from the start but plugged in by a step."""
    forge: Forge | None = None
    churn: Churn | None = None
    bridge: str = "br-ring"


def names() -> list[str]:
    """Return the names of the scenarios that come with this package."""
    return sorted(path.stem for path in SCENARIOS.glob("*.yaml"))


def load(name: str) -> Scenario:
    """Return a scenario by name, or by the path of its file.

    Raises:
        ScenarioError: there is none, or it is wrong.
    """
    path = Path(name) if name.endswith(".yaml") else SCENARIOS / f"{name}.yaml"
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror}; known scenarios: {', '.join(names())}") from error
    if len(raw) > MAX_BYTES:
        raise ScenarioError(f"{path}: longer than {MAX_BYTES} bytes")
    try:
        return parse(path.stem, yaml.safe_load(raw))
    except yaml.YAMLError as error:
        raise ScenarioError(f"{path}: no valid YAML: {' '.join(str(error).split())}") from error


def parse(name: str, data: object) -> Scenario:
    """Return the scenario that a parsed YAML document describes.

    Raises:
        ScenarioError: a key is unknown, missing or wrong, or a name has no workload.
    """
    reader = _Reader(name, data)
    items = reader.take("workloads", _mappings)
    workloads = {w.name: w for w in (_workload(f"{name}.workloads[{n}]", item) for n, item in enumerate(items))}
    if len(workloads) < len(items):
        raise ScenarioError(f"{name}.workloads: a name occurs twice")
    steps = enumerate(reader.take("steps", _mappings, []))
    scenario = Scenario(
        name=name,
        description=reader.take("description", _text).strip(),
        workloads=workloads,
        intents=tuple(reader.take("intents", _mappings)),
        probes=tuple(probe(text) for text in reader.take("probes", _texts, [])),
        steps=tuple(_step(f"{name}.steps[{n}]", item) for n, item in steps),
        unplugged=tuple(reader.take("unplugged", _texts, [])),
        forge=_forge(f"{name}.forge", reader.take("forge", _mapping, None)),
        churn=_churn(f"{name}.churn", reader.take("churn", _mapping, None)),
        bridge=reader.take("bridge", _text, "br-ring"),
    )
    reader.done()
    _check_names(scenario)
    return scenario


def probe(text: str) -> Probe:
    """Return a probe from `tcp/80`, `udp/53` or `icmp`.

    Raises:
        ScenarioError: it is none of these.
    """
    protocol, slash, port = text.partition("/")
    if text == "icmp":
        return Probe("icmp")
    if protocol in {"tcp", "udp"} and slash and port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16:
        return Probe(protocol, int(port))
    raise ScenarioError(f"probe {text!r}: write tcp/80, udp/53 or icmp")


# -- parts ------------------------------------------------------------------------------------


def _workload(place: str, data: object) -> Workload:
    reader = _Reader(place, data)
    workload = Workload(
        name=reader.take("name", _matching(_NAME, "a lower case name of 2 to 14 characters")),
        network=reader.take("network", _text),
        mac=reader.take("mac", _matching(_MAC, "a MAC as 02:00:00:00:00:01")),
        addresses=tuple(str(_address(place, a)) for a in reader.take("addresses", _texts)),
        labels=reader.take("labels", _text_map, {}),
        ports=reader.take("ports", _text_map, {}),
        source=reader.take("source", _one_of(SOURCES), "ovsdb"),
    )
    reader.done()
    return workload


def _address(place: str, text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError as error:
        raise ScenarioError(f"{place}.addresses: {error}") from error


def _step(place: str, data: object) -> Step:
    reader = _Reader(place, data)
    relabel = reader.take("relabel", _mapping, {})
    step = Step(
        name=reader.take("name", _text),
        apply=tuple(reader.take("apply", _mappings, [])),
        delete=tuple(_kind_and_name(place, text) for text in reader.take("delete", _texts, [])),
        plug=tuple(reader.take("plug", _texts, [])),
        unplug=tuple(reader.take("unplug", _texts, [])),
        relabel={name: _text_map(labels) for name, labels in relabel.items()},
    )
    reader.done()
    return step


def _kind_and_name(place: str, text: str) -> tuple[str, str]:
    kind, slash, name = text.partition("/")
    if not (kind and slash and name):
        raise ScenarioError(f"{place}.delete: {text!r}: write Kind/name")
    return kind, name


def _forge(place: str, data: object) -> Forge | None:
    if data is None:
        return None
    reader = _Reader(place, data)
    forge = Forge(
        senders=tuple(reader.take("senders", _texts)),
        victims=tuple(reader.take("victims", _texts)),
        targets=tuple(reader.take("targets", _texts)),
        kinds=tuple(reader.take("kinds", _all_of(KINDS), list(KINDS))),
        forgeries=tuple(reader.take("forgeries", _all_of(FORGERIES), list(FORGERIES))),
        port=reader.take("port", _number, 53),
    )
    reader.done()
    return forge


def _churn(place: str, data: object) -> Churn | None:
    if data is None:
        return None
    reader = _Reader(place, data)
    churn = Churn(
        rounds=reader.take("rounds", _number),
        port=reader.take("port", _number),
        interval_ms=reader.take("interval_ms", _number, 20),
        renew=reader.take("renew", _number, 5),
    )
    reader.done()
    return churn


def _check_names(scenario: Scenario) -> None:
    used = [("unplugged", name) for name in scenario.unplugged]
    for number, step in enumerate(scenario.steps):
        used += [(f"steps[{number}]", name) for name in (*step.plug, *step.unplug, *step.relabel)]
    if scenario.forge is not None:
        parts = (scenario.forge.senders, scenario.forge.victims, scenario.forge.targets)
        used += [("forge", name) for part in parts for name in part]
    for place, name in used:
        if name not in scenario.workloads:
            raise ScenarioError(f"{scenario.name}.{place}: there is no workload {name!r}")
    for number, step in enumerate(scenario.steps):
        for name in step.relabel:
            if scenario.workloads[name].source != "ovsdb":
                raise ScenarioError(f"{scenario.name}.steps[{number}].relabel: the labels of {name} are not OVSDB's")


# -- reading values ---------------------------------------------------------------------------


class _Reader:
    """Takes each key of a mapping once, checked; what is left at the end is unknown."""

    _REQUIRED = object()

    def __init__(self, place: str, data: object) -> None:
        try:
            self._left = dict(_mapping(data))
        except ValueError as error:
            raise ScenarioError(f"{place}: {error}") from error
        self._place = place

    def take(self, key: str, check: Callable[[object], _T], default: Any = _REQUIRED) -> _T:  # noqa: ANN401 - or _T
        """Return the checked value of a key, or the default if it is absent."""
        if key not in self._left:
            if default is self._REQUIRED:
                raise ScenarioError(f"{self._place}.{key}: missing")
            return default  # type: ignore[no-any-return]
        try:
            return check(self._left.pop(key))
        except (TypeError, ValueError) as error:
            raise ScenarioError(f"{self._place}.{key}: {error}") from error

    def done(self) -> None:
        """Refuse keys that nobody took."""
        if self._left:
            raise ScenarioError(f"{self._place}.{next(iter(self._left))}: unknown key")


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("write a text")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 1 << 16:
        raise ValueError("write a number from 1 to 65535")
    return value


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ValueError("write a mapping of keys")
    return value


def _mappings(value: object) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise TypeError("write a list of mappings")
    return [_mapping(item) for item in value]


def _texts(value: object) -> list[str]:
    if not isinstance(value, list):
        raise TypeError("write a list of texts")
    return [_text(item) for item in value]


def _text_map(value: object) -> dict[str, str]:
    return {key: _text(item) for key, item in _mapping(value).items()}


def _matching(pattern: re.Pattern[str], wanted: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        if not pattern.fullmatch(_text(value)):
            raise ValueError(f"{value!r} is not {wanted}")
        return str(value)

    return check


def _one_of(words: Sequence[str]) -> Callable[[object], str]:
    def check(value: object) -> str:
        if value not in words:
            raise ValueError(f"{value!r}: one of {', '.join(words)}")
        return str(value)

    return check


def _all_of(words: Sequence[str]) -> Callable[[object], list[str]]:
    one = _one_of(words)
    return lambda value: [one(item) for item in _texts(value)]

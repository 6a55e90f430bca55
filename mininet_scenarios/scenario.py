"""The scenario format: a topology, intents, probes and steps. Never an expectation.

What must come out is always computed by `intent.semantics`; a scenario only says what is there and
what is asked for. `docs` of the format stand in the dataclasses below; an unknown key is an error.
Needs only PyYAML and the standard library, because Mininet's own Python reads scenarios too.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from mininet_scenarios import coherence, values
from mininet_scenarios.values import ScenarioError

Document: TypeAlias = Mapping[str, Any]
"""One intent document as the REST API takes it: `kind`, `name` and the fields of the kind."""

SCENARIOS = Path(__file__).with_name("scenarios")
MAX_BYTES = 1 << 20
PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1}
TUNNELS = ("geneve", "vxlan", "gre")
FAULTS = ("kill-host", "cut-tunnel", "restart-database", "restart-switch", "empty-database", "split", "rival")
"""What may befall a host."""
SOURCES = ("ovsdb", "api", "none", "world")
FORGERIES = ("honest", "mac", "address", "both")
KINDS = (
    "udp",
    "tcp",
    "icmp",
    "arp-request",
    "arp-reply",
    "arp-announce",
    "ns",
    "na",
    "na-all",
    "ra",
    "broadcast",
    "tagged",
    "foreign",
)

_NAME = re.compile(r"[a-z][a-z0-9]{0,13}")
_BRIDGE = re.compile(r"[a-z][a-z0-9-]{0,14}")
_PORT = re.compile(r"(tcp|udp)/[1-9][0-9]{0,4}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Probe:
    """One kind of opening packet: `tcp/80`, `udp/53` or `icmp` (echo, ICMPv6 where the address is IPv6).

    Or one datagram to many: `udp/53@239.1.2.3`; its cell is open if a copy of it reaches the other workload.
    """

    protocol: str
    port: int = 0
    group: str = ""

    def __str__(self) -> str:
        return (f"{self.protocol}/{self.port}" if self.port else self.protocol) + (self.group and f"@{self.group}")


@dataclasses.dataclass(frozen=True, slots=True)
class Workload:
    """One network namespace, plugged into the bridge at an interface that has its name."""

    name: str
    """Small letters and digits, at most 14: the name of an interface, and a word of Mininet's command line."""
    network: str
    mac: str
    addresses: tuple[str, ...]
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    ports: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Named ports: `http: tcp/80`."""
    host: str = ""
    """Where it is plugged in; empty in a scenario of one host."""
    source: str = "ovsdb"
    """Who tells the controller: `ovsdb` (external_ids), `api` (an Endpoint document), `none` (nobody).

    `world` is the other side of the Uplink of its name, which is bound to that `ifaceId`.
    """

    def external_ids(self) -> dict[str, str]:
        """Return what the OVSDB row of its interface says."""
        if self.source == "world":
            return {"iface-id": self.name}
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
    move: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Plugged workloads that go to other hosts: name and host."""
    fault: tuple[str, str] | None = None
    """What breaks and is mended again before anything is measured: kind (`FAULTS`) and host.

    Without a host where there is but one, to which only `coherence.LOCAL_FAULTS` may happen."""
    stale: str = ""
    """A host that does not reach the controller from before this step until after its measurement."""


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
class Conversation:
    """A connection that is open while one of its ends moves."""

    client: str
    """Who opens it."""
    server: str
    over: Probe


@dataclasses.dataclass(frozen=True, slots=True)
class Transfer:
    """As much over TCP as goes, for some seconds, to the server and back."""

    client: str
    server: str
    port: int
    """Not one of the probes': there agents listen."""

    def __str__(self) -> str:
        return f"{self.client} to {self.server} tcp/{self.port}"


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
    conversations: tuple[Conversation, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    """Measured after each step; only between several hosts."""
    bridge: str = "br-ring"
    hosts: tuple[str, ...] = ()
    """Of a scenario of several hosts, each with an Open vSwitch of its own."""
    tunnel: str = "geneve"
    """How they reach each other."""


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
    reader = values.Reader(name, data)
    items = reader.take("workloads", values.mappings)
    workloads = {w.name: w for w in (_workload(f"{name}.workloads[{n}]", item) for n, item in enumerate(items))}
    if len(workloads) < len(items):
        raise ScenarioError(f"{name}.workloads: a name occurs twice")
    steps = enumerate(reader.take("steps", values.mappings, []))
    scenario = Scenario(
        name=name,
        description=reader.take("description", values.text).strip(),
        workloads=workloads,
        intents=tuple(reader.take("intents", values.mappings)),
        probes=tuple(probe(text) for text in reader.take("probes", values.texts, [])),
        steps=tuple(_step(f"{name}.steps[{n}]", item) for n, item in steps),
        unplugged=tuple(reader.take("unplugged", values.texts, [])),
        forge=_forge(f"{name}.forge", reader.take("forge", values.mapping, None)),
        churn=_churn(f"{name}.churn", reader.take("churn", values.mapping, None)),
        conversations=tuple(_conversations(name, reader.take("conversations", values.mappings, []))),
        transfers=tuple(_transfers(name, reader.take("transfers", values.mappings, []))),
        hosts=tuple(reader.take("hosts", values.texts, [])),
        tunnel=reader.take("tunnel", values.one_of(TUNNELS), "geneve"),
        bridge=reader.take("bridge", values.matching(_BRIDGE, "a bridge name as br-ring"), "br-ring"),
    )
    reader.done()
    coherence.check(scenario)
    return scenario


def probe(text: str) -> Probe:
    """Return a probe from `tcp/80`, `udp/53`, `icmp` or `udp/53@239.1.2.3`.

    Raises:
        ScenarioError: it is none of these.
    """
    protocol, slash, port = text.partition("/")
    port, at, group = port.partition("@")
    if at and protocol == "udp" and _address("probes", group).is_multicast:
        return dataclasses.replace(probe(f"udp/{port}"), group=str(_address("probes", group)))
    if text == "icmp":
        return Probe("icmp")
    is_port = port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16
    if protocol in {"tcp", "udp"} and slash and not at and is_port:
        return Probe(protocol, int(port))
    raise ScenarioError(f"probe {text!r}: write tcp/80, udp/53, icmp or udp/53@239.1.2.3")


# -- parts ------------------------------------------------------------------------------------


def _workload(place: str, data: object) -> Workload:
    reader = values.Reader(place, data)
    workload = Workload(
        name=reader.take("name", values.matching(_NAME, "a name of small letters and digits, at most 14")),
        network=reader.take("network", values.text),
        mac=reader.take("mac", values.matching(_MAC, "a MAC as 02:00:00:00:00:01")),
        addresses=tuple(str(_address(place, a)) for a in reader.take("addresses", values.texts)),
        labels=reader.take("labels", values.map_of(values.text), {}),
        ports=reader.take("ports", values.map_of(values.matching(_PORT, "a port as tcp/80")), {}),
        source=reader.take("source", values.one_of(SOURCES), "ovsdb"),
        host=reader.take("host", values.text, ""),
    )
    reader.done()
    return workload


def _address(place: str, text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError as error:
        raise ScenarioError(f"{place}.addresses: {error}") from error


def _step(place: str, data: object) -> Step:
    reader = values.Reader(place, data)
    step = Step(
        name=reader.take("name", values.text),
        apply=tuple(reader.take("apply", values.mappings, [])),
        delete=tuple(_kind_and_name(place, text) for text in reader.take("delete", values.texts, [])),
        plug=tuple(reader.take("plug", values.texts, [])),
        unplug=tuple(reader.take("unplug", values.texts, [])),
        relabel=reader.take("relabel", values.map_of(values.map_of(values.text)), {}),
        move=reader.take("move", values.map_of(values.text), {}),
        fault=_fault(f"{place}.fault", reader.take("fault", values.text, None)),
        stale=reader.take("stale", values.text, ""),
    )
    reader.done()
    return step


def _fault(place: str, text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    kind, _, host = text.partition("/")
    if kind not in FAULTS:
        raise ScenarioError(f"{place}: {text!r}: write kind/host, the kind one of {', '.join(FAULTS)}")
    return kind, host


def _kind_and_name(place: str, text: str) -> tuple[str, str]:
    kind, slash, name = text.partition("/")
    if not (kind and slash and name):
        raise ScenarioError(f"{place}.delete: {text!r}: write Kind/name")
    return kind, name


def _forge(place: str, data: object) -> Forge | None:
    if data is None:
        return None
    reader = values.Reader(place, data)
    forge = Forge(
        senders=tuple(reader.take("senders", values.texts)),
        victims=tuple(reader.take("victims", values.texts)),
        targets=tuple(reader.take("targets", values.texts)),
        kinds=tuple(reader.take("kinds", values.all_of(KINDS), list(KINDS))),
        forgeries=tuple(reader.take("forgeries", values.all_of(FORGERIES), list(FORGERIES))),
        port=reader.take("port", values.number, 53),
    )
    reader.done()
    return forge


def _conversations(name: str, items: Iterable[object]) -> Iterator[Conversation]:
    for number, item in enumerate(items):
        reader = values.Reader(f"{name}.conversations[{number}]", item)
        ends = reader.take("client", values.text), reader.take("server", values.text)
        told = Conversation(*ends, probe(reader.take("over", values.text)))
        reader.done()
        if not told.over.port or told.over.group:
            raise ScenarioError(f"{name}.conversations[{number}].over: write tcp/80 or udp/53")
        yield told


def _transfers(name: str, items: Iterable[object]) -> Iterator[Transfer]:
    for number, item in enumerate(items):
        reader = values.Reader(f"{name}.transfers[{number}]", item)
        ends = reader.take("client", values.text), reader.take("server", values.text)
        yield Transfer(*ends, reader.take("port", values.number))
        reader.done()


def _churn(place: str, data: object) -> Churn | None:
    if data is None:
        return None
    reader = values.Reader(place, data)
    churn = Churn(
        rounds=reader.take("rounds", values.number),
        port=reader.take("port", values.number),
        interval_ms=reader.take("interval_ms", values.number, 20),
        renew=reader.take("renew", values.number, 5),
    )
    reader.done()
    return churn

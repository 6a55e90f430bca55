"""What must come out, computed: a scenario's state at one instant, judged by `intent.semantics`.

The state is built from the scenario itself, not from what the controller believes, so that a wrong
inventory of the controller is seen too.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import yaml

from intent.clockwork import zones
from intent.meaning.guards import group_mac
from intent.model import Intents
from intent.schema import parse_documents, to_intents
from intent.semantics import ByPosture, ByRules, Reason, Verdict, evaluate
from mininet_scenarios.routes import Routes
from mininet_scenarios.scenario import PROTOCOLS, Document, Probe, Scenario, Step, Workload
from mininet_scenarios.values import ScenarioError
from topology.model import (
    NAME_LABEL,
    NETWORK_LABEL,
    Endpoint,
    Inventory,
    Location,
    NamedPort,
    Tunnel,
    TunnelKind,
    UplinkPort,
)
from topology.packet import ETH_IPV4, ETH_IPV6, ICMP, ICMPV6, ConnectionRole, Frame, Outcome, Tracked

TUNNEL_OFPORT = 65000
_UNKNOWN = frozenset({"none", "world"})
"""Sources of workloads that are no endpoints."""
NEW = Tracked(ConnectionRole.NEW)
ECHO_REQUEST = {ICMP: 8, ICMPV6: 128}


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One thing to measure: does this probe from this address of one workload reach that of another?"""

    source: str
    destination: str
    src: str
    dst: str
    probe: Probe

    @property
    def version(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.dst else 4


@dataclasses.dataclass(frozen=True, slots=True)
class Expected:
    """What the semantics say of a cell: `open`, `blocked` or `refused`, and why."""

    outcome: str
    why: str


@dataclasses.dataclass(frozen=True, slots=True)
class World:
    """Everything a verdict depends on, at one instant."""

    documents: Mapping[tuple[str, str], Document]
    workloads: Mapping[str, Workload]
    """All, with their present labels."""
    plugged: frozenset[str]
    hosts: tuple[str, ...] = ()
    """Of several hosts, all reached through tunnels."""

    def dpid(self, host: str) -> int:
        """Return the datapath id of a host's switch; the numbers need only differ."""
        return 1 + (self.hosts.index(host) if host else 0)

    def intents(self) -> Intents:
        """Return the documents as intents.

        Raises:
            DocumentError: they are refused.
        """
        text = yaml.safe_dump_all([dict(d) for d in self.documents.values()], sort_keys=False)
        return to_intents(parse_documents(text, source="scenario"))

    def location(self, name: str) -> Location:
        """Return where a workload is plugged in; the numbers need only differ."""
        dpid = self.dpid(self.workloads[name].host)
        return Location(dpid, 1 + list(self.workloads).index(name), name, f"{dpid}/{name}")

    def inventory(self) -> Inventory:
        """Return who is plugged in and identified."""
        present = [self.workloads[name] for name in sorted(self.plugged)]
        endpoints = {w.name: _endpoint(w, self.location(w.name)) for w in present if w.source not in _UNKNOWN}
        ways = (UplinkPort(w.name, self.location(w.name), w.mac) for w in present if w.source == "world")
        tunnels = {
            self.dpid(host): Tunnel(
                TunnelKind.GENEVE, ipaddress.IPv4Address("192.0.2.0") + self.dpid(host), 6081, TUNNEL_OFPORT, "tunnel"
            )
            for host in self.hosts
        }
        return Inventory(endpoints, uplinks=tuple(ways), tunnels=tunnels)

    def live(self) -> set[str]:
        """Return the names the controller must list."""
        return {name for name in self.plugged if self.workloads[name].source not in _UNKNOWN}

    def after(self, step: Step) -> Iterator[tuple[Step, World]]:
        """Yield the parts of a step that take effect at once, each with the state that follows it."""
        world = self
        for part in _parts(step):
            world = world._with(part)
            yield part, world

    def _with(self, part: Step) -> World:
        documents = {**self.documents, **{(d["kind"], d["name"]): d for d in part.apply}}
        workloads = dict(self.workloads)
        for document in part.delete:
            documents.pop(document, None)
        for name, labels in part.relabel.items():
            workloads[name] = dataclasses.replace(workloads[name], labels=labels)
        for name, host in part.move.items():
            workloads[name] = dataclasses.replace(workloads[name], host=host)
        plugged = self.plugged.union(part.plug).difference(part.unplug)
        return World(documents, workloads, plugged, self.hosts)


def initial(scenario: Scenario) -> World:
    """Return the state before the first step."""
    declared = (w.document(scenario.bridge) for w in scenario.workloads.values())
    documents = [*scenario.intents, *(d for d in declared if d is not None)]
    for number, document in enumerate(documents):
        if not isinstance(document.get("kind"), str) or not isinstance(document.get("name"), str):
            raise ScenarioError(f"{scenario.name}.intents[{number}]: needs kind and name")
    return World(
        documents={(d["kind"], d["name"]): d for d in documents},
        workloads=scenario.workloads,
        plugged=frozenset(scenario.workloads) - frozenset(scenario.unplugged),
        hosts=scenario.hosts,
    )


def cells(world: World, probes: Iterable[Probe]) -> list[Cell]:
    """Return every ordered pair of plugged workloads x common address family x probe.

    To many, `dst` is the group; whether the other workload has an address of its kind makes no difference.
    """
    asked = list(probes)
    present = [w for w in world.workloads.values() if w.name in world.plugged]
    return [
        Cell(a.name, b.name, src, dst, probe)
        for a in present
        for b in present
        if a.name != b.name
        for src in a.addresses
        for probe in asked
        for dst in ((probe.group,) if probe.group else b.addresses)
        if (":" in src) == (":" in dst)
    ]


class Judge:
    """The semantics of one `World`: the intents are read once."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._intents = world.intents()
        self._routes = Routes(world.documents.values())
        self._inventory = world.inventory()
        self._now = datetime.now(UTC)
        self._offsets = {
            zone: self._now.astimezone(ZoneInfo(zone)).utcoffset() or timedelta(0) for zone in zones(self._intents)
        }

    def verdict(self, frame: Frame, tracked: Tracked = NEW) -> Verdict:
        """Say what becomes of a frame."""
        return evaluate(self._intents, self._inventory, frame, tracked, now=self._now, offsets=self._offsets)

    def expect(self, cell: Cell) -> Expected:
        """Say what a probe must find."""
        verdict = self.verdict(self.frame(cell))
        destination = self.world.location(cell.destination)
        if cell.probe.group:
            own = dataclasses.replace(verdict, judgement=verdict.copies.get(cell.destination))
            return Expected("open" if destination in verdict.fate.copies else "blocked", explain(own))
        if verdict.fate.outcome is Outcome.DELIVER and verdict.fate.location == destination:
            return Expected("open", explain(verdict))
        outcome = "refused" if verdict.reason is Reason.REJECTED else "blocked"
        return Expected(outcome, explain(verdict))

    def frame(self, cell: Cell) -> Frame:
        """Return the packet that opens the cell's connection, as it enters the switch."""
        sender, receiver = self.world.workloads[cell.source], self.world.workloads[cell.destination]
        protocol = PROTOCOLS[cell.probe.protocol]
        if protocol == ICMP and cell.version == 6:  # noqa: PLR2004 - IP version
            protocol = ICMPV6
        has_ports = protocol not in ECHO_REQUEST
        return Frame(
            dpid=self.world.location(cell.source).dpid,
            in_port=self.world.location(cell.source).ofport,
            eth_src=sender.mac,
            eth_dst=self._mac(cell) or receiver.mac,
            eth_type=ETH_IPV4 if cell.version == 4 else ETH_IPV6,  # noqa: PLR2004 - IP version
            src=ipaddress.ip_address(cell.src),
            dst=ipaddress.ip_address(cell.dst),
            protocol=protocol,
            sport=50_000 if has_ports else None,
            dport=cell.probe.port if has_ports else None,
            icmp_type=ECHO_REQUEST.get(protocol),
            icmp_code=None if has_ports else 0,
        )

    def _mac(self, cell: Cell) -> str | None:
        """Return the MAC of the group, or of the router on the way."""
        if cell.probe.group:
            return group_mac(ipaddress.ip_address(cell.dst))
        return self._routes.between(self.world.workloads[cell.source], self.world.workloads[cell.destination])


def explain(verdict: Verdict) -> str:
    """Return why, in one line: the rule, the posture, or the guard."""
    if verdict.judgement is None or verdict.judgement.deciding is None:
        return verdict.reason.value
    ruling = verdict.judgement.deciding
    because = ruling.because
    if isinstance(because, ByRules):
        rules = ", ".join(sorted(f"{d.policy}/{d.rule}" for d in because.deciders))
        return f"{ruling.action.value} by {rules} in tier {because.tier}"
    if isinstance(because, ByPosture):
        return f"{ruling.action.value} by the posture of network {because.network}"
    return f"{ruling.action.value} by isolation in tier {because.tier}"


def _parts(step: Step) -> Iterator[Step]:
    if step.stale:
        yield Step(step.name, stale=step.stale)
    if step.apply:
        yield Step(step.name, apply=step.apply)
    for document in step.delete:
        yield Step(step.name, delete=(document,))
    for name, labels in step.relabel.items():
        yield Step(step.name, relabel={name: labels})
    for name, host in step.move.items():
        yield Step(step.name, move={name: host})
    if step.fault:
        yield Step(step.name, fault=step.fault)
    if step.unplug:
        yield Step(step.name, unplug=step.unplug)
    if step.plug:
        yield Step(step.name, plug=step.plug)


def _endpoint(workload: Workload, location: Location) -> Endpoint:
    implicit = {NETWORK_LABEL: workload.network, NAME_LABEL: workload.name}
    return Endpoint(
        name=workload.name,
        network=workload.network,
        labels={**workload.labels, **implicit},
        mac=workload.mac,
        addresses=tuple(
            sorted((ipaddress.ip_address(a) for a in workload.addresses), key=lambda a: (a.version, int(a)))
        ),
        ports=tuple(_named_port(name, text) for name, text in workload.ports.items()),
        location=location,
    )


def _named_port(name: str, text: str) -> NamedPort:
    protocol, _, number = text.partition("/")
    return NamedPort(name, PROTOCOLS[protocol], int(number))

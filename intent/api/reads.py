"""What is, not what is asked for: status, live endpoints, switches, verdicts, the matrix, health."""

from __future__ import annotations

import falcon

from intent.api import requests, verdicts
from intent.api.answers import (
    HealthAnswer,
    LiveEndpointAnswer,
    LiveEndpointsAnswer,
    LocationAnswer,
    MatrixAnswer,
    ReportAnswer,
    StatusAnswer,
    SwitchAnswer,
    SwitchesAnswer,
)
from intent.api.ports import Limits, Ports
from intent.api.progress import Progress
from intent.api.scene import look
from intent.api.standing import Standings
from intent.api.writes import intent_status, send
from intent.model import PortRange, ServiceMatch
from intent.schema.services import match_text
from topology.model import Endpoint, Inventory, Location, UnaddressedPort


class Status:
    """`/v1/status`."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the whole at one glance."""
        ports, scene = self._ports, look(self._ports)
        inventory, standings = scene.inventory, Standings(scene)
        revision, stored = ports.store.revision, ports.store.documents()
        progress = Progress(ports.status)
        keys = [(s.document.kind, s.document.name) for s in stored]
        answer = StatusAnswer(
            revision=revision,
            realized=progress.of(revision, keys),
            intents=[intent_status(s, progress, standings) for s in stored],
            endpoints=len(inventory.endpoints),
            reports=_reports(inventory),
        )
        send(resp, answer)


class Switches:
    """`/v1/switches`."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """List them, by datapath id."""
        found = sorted(self._ports.status.switches(), key=lambda s: s.dpid)
        items = [
            SwitchAnswer(
                dpid=_hex(s.dpid),
                bridge=s.bridge,
                host=s.host,
                connected=s.connected,
                revision=s.revision,
                flows=s.flows,
                problem=s.problem,
                portless=None if s.portless is None else sorted(s.portless),
            )
            for s in found
        ]
        send(resp, SwitchesAnswer(items=items))


class LiveEndpoints:
    """`/v1/live/endpoints`."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List what is plugged in, those without an address too."""
        inventory, network = self._ports.inventory.current(), requests.text(req, "network")
        verdicts.require_network(self._ports.store.intents(), network)
        items = [_live(e, inventory) for e in inventory.endpoints.values()] + [
            _unaddressed(p) for p in inventory.unaddressed
        ]
        chosen = [item for item in sorted(items, key=lambda i: i.name) if network in ("", item.network)]
        send(resp, LiveEndpointsAnswer(items=chosen, reports=_reports(inventory)))


class Verdict:
    """`/v1/verdict`."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Say whether one may open a service to another, and why."""
        ends = (requests.text(req, "from"), requests.text(req, "to"))
        scene = look(self._ports)
        send(resp, verdicts.verdict(scene, ends, requests.text(req, "service"), requests.text(req, "network")))


class Matrix:
    """`/v1/matrix`."""

    def __init__(self, ports: Ports, limits: Limits) -> None:
        self._ports, self._limits = ports, limits

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Say for all pairs whether one may open a service to the other."""
        scene, network = look(self._ports), requests.text(req, "network")
        verdicts.require_network(scene.intents, network)
        endpoints = [e for _, e in sorted(scene.inventory.endpoints.items()) if network in ("", e.network)]
        if len(endpoints) ** 2 > self._limits.matrix_pairs:
            message = f"{len(endpoints)} endpoints are more than {self._limits.matrix_pairs} pairs"
            raise requests.unprocessable("query.network", message, "ask for one network, or for single verdicts")
        service = requests.text(req, "service")
        matches = verdicts.matches_of(scene.intents, service)
        rows = []
        for source in endpoints:
            rows.append([verdicts.cell(scene, source, destination, matches) for destination in endpoints])
            self._ports.waiter.breathe()
        names = [endpoint.name for endpoint in endpoints]
        send(resp, MatrixAnswer(revision=scene.intents.revision, service=service, endpoints=names, verdicts=rows))


class Health:
    """`/v1/health`."""

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Say that the server answers."""
        send(resp, HealthAnswer())


def _hex(dpid: int) -> str:
    return f"{dpid:016x}"


def _reports(inventory: Inventory) -> list[ReportAnswer]:
    return [ReportAnswer(subject=r.subject, problem=r.problem, remedy=r.remedy) for r in sorted(inventory.reports)]


def _location(location: Location) -> LocationAnswer:
    return LocationAnswer(dpid=_hex(location.dpid), ofport=location.ofport, interface=location.interface)


def _live(endpoint: Endpoint, inventory: Inventory) -> LiveEndpointAnswer:
    tunnel = inventory.tunnels.get(endpoint.location.dpid)
    ports: dict[str, list[str]] = {}
    for port in endpoint.ports:
        match = ServiceMatch(port.protocol, PortRange(port.number, port.number))
        ports.setdefault(port.name, []).append(match_text(match))
    return LiveEndpointAnswer(
        name=endpoint.name,
        network=endpoint.network,
        labels=dict(sorted(endpoint.labels.items())),
        mac=endpoint.mac,
        addresses=[str(address) for address in endpoint.addresses],
        ports=ports,
        location=_location(endpoint.location),
        mtu=tunnel.mtu if tunnel else None,
    )


def _unaddressed(port: UnaddressedPort) -> LiveEndpointAnswer:
    location = _location(port.location)
    return LiveEndpointAnswer(
        name=port.name, network=port.network, labels={}, mac=port.mac, addresses=[], ports={}, location=location
    )

"""Endpoints and what of one switch depends on them alone: who sends, who answers, who is reached, who serves DHCP."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv6Address
from typing import TypeAlias

from intent.compiler import distant, endpoints, fabric
from intent.compiler.endpoints import Numbers
from intent.compiler.engine.clauses import Flows
from intent.compiler.engine.people import Party
from intent.compiler.fabric import Toward
from intent.compiler.flow import Flow, FlowBody, FlowKey, make
from intent.compiler.handling import Care, Tended
from intent.compiler.routing import Via
from intent.compiler.tunnels import Path, remote_flows, tunnel_flow
from intent.model import Network
from topology.model import Endpoint, IPAddress, Tunnel, UnaddressedPort

Member: TypeAlias = Endpoint | UnaddressedPort
MemberKey: TypeAlias = str | UnaddressedPort
"""Of an endpoint its name."""
SERVER: MemberKey = ""
"""No endpoint has this name."""


_NOBODY = Numbers(0, 0, 0)


def member_key(member: Member) -> MemberKey:
    """Return what a member is found by."""
    return member.name if isinstance(member, Endpoint) else member


class Plug:
    """One endpoint: what each of its addresses goes by."""

    __slots__ = ("_answers", "attachments", "endpoint", "network", "parties", "via")

    def __init__(self, endpoint: Endpoint, attachments: tuple[str, ...]) -> None:
        self.endpoint = endpoint
        self.attachments = attachments
        """Keys in the id map, by address."""
        self.parties: list[Party] = []
        """By address."""
        self.network = 0
        """The number of its network."""
        self.via: Via | None = None
        """If a router joins its network to others."""
        self._answers: tuple[Flow, ...] = ()

    @property
    def answers(self) -> tuple[Flow, ...]:
        """What other switches say when asked for it."""
        if not self._answers:
            endpoint = self.endpoint
            self._answers = tuple(endpoints.answer_flow(endpoint, a, self.network) for a in endpoint.addresses)
        return self._answers

    def flows(self, attachments: Mapping[str, int]) -> Iterator[Flow]:
        """Yield the flows on its own switch."""
        endpoint, numbers, has_ipv6 = self.endpoint, _NOBODY, False
        for address, numbers in self._numbered(attachments):
            yield from endpoints.address_flows(endpoint, address, numbers)
            has_ipv6 = has_ipv6 or isinstance(address, IPv6Address)
        if has_ipv6:
            yield endpoints.solicit_flow(endpoint, numbers)

    def flows_wired(self, attachments: Mapping[str, int]) -> Iterator[Flow]:
        """Yield what it needs besides on its own switch if that is wired to others."""
        for address, numbers in self._numbered(attachments):
            yield from fabric.local_flows(self.endpoint, address, numbers)

    def flows_from(self, path: Path | Toward, attachments: Mapping[str, int], *, near: bool) -> Iterator[Flow]:
        """Yield the flows on a switch that reaches it through a tunnel or over wires; `near` is in its network."""
        for address, numbers in self._numbered(attachments):
            if isinstance(path, Path):
                yield from distant.hop_flows(self.endpoint, address, numbers, path)
                if near:
                    yield from remote_flows(self.endpoint, address, numbers, path)
            elif near:
                yield from fabric.remote_flows(self.endpoint, address, numbers, path)
        if near:
            yield from self.answers

    def _numbered(self, attachments: Mapping[str, int]) -> Iterator[tuple[IPAddress, Numbers]]:
        for address, party, key in zip(self.endpoint.addresses, self.parties, self.attachments, strict=True):
            yield address, make(Numbers, (self.network, party.number, attachments[key], self.via))


class Ports:
    """The endpoints of one switch, its answers for those elsewhere, and its services."""

    def __init__(self, flows: Flows, dpid: int) -> None:
        self._flows = flows
        self.dpid = dpid
        self._held: dict[str, tuple[FlowKey, ...]] = {}
        """By endpoint."""
        self.answering: set[str] = set()
        """Networks with an endpoint here: their other endpoints are answered for, if a way leads there."""
        self.circles: set[str] = set()
        """Routing domains that have an endpoint or an uplink here: their other endpoints are known."""
        self.seen: dict[str, tuple[Party, ...]] = {}
        """Endpoints of other switches that a way leads to, each with what it goes by."""
        self._ways: dict[str, tuple[FlowKey, ...]] = {}
        """By endpoint: the flows of those."""
        self._guard: tuple[FlowKey, ...] = ()
        self._legs: dict[str, tuple[FlowKey, ...]] = {}
        """What networks here have of their routers."""
        self.wired = False
        """The switch is wired to others."""
        self._wiring: dict[FlowKey, FlowBody] = {}
        self._tended: dict[int, tuple[FlowKey, ...]] = {}
        """By port: what it has of its own for what rules want."""
        self._served: dict[str, dict[MemberKey, tuple[FlowKey, ...]]] = {}
        """By network."""

    def unplug(self, name: str) -> None:
        """Take the flows of a local endpoint out."""
        self._flows.disclaim(self._held.pop(name, ()))

    def plug(self, plug: Plug, attachments: Mapping[str, int]) -> None:
        """Put the flows of a local endpoint."""
        flows: Iterable[Flow] = plug.flows(attachments)
        if self.wired:
            flows = itertools.chain(flows, plug.flows_wired(attachments))
        self._held[plug.endpoint.name] = self._flows.claim(flows)

    def rename(self, plug: Plug) -> bool:
        """Let a local endpoint go by other identities; return whether that is all that its flows have to follow."""
        keys = self._held.get(plug.endpoint.name)
        if keys is None or plug.via is not None or self.wired or not self._flows.has_alone(keys):
            return False
        first, program = 0, self._flows.program
        for address, party in zip(plug.endpoint.addresses, plug.parties, strict=True):
            named = keys[first : first + endpoints.NAMED]
            before = [program[key] for key in named]
            self._flows.renew(named, before, endpoints.renamed(before, party.number))
            first += endpoints.OF_ADDRESS[address.version]
        return True

    def wire(self, flows: Iterable[Flow]) -> None:
        """Hold exactly these flows of the fabric."""
        new = dict(flows)
        for key in self._wiring.keys() - new.keys():
            self._flows.take(key)
        for key, body in new.items():
            if self._wiring.get(key) != body:
                self._flows.put(Flow(key, body))
        self._wiring = new

    def blind(self, name: str) -> tuple[Party, ...] | None:
        """Take out the way to an endpoint of another switch; return what it went by, None if there was no way."""
        self._flows.disclaim(self._ways.pop(name, ()))
        return self.seen.pop(name, None)

    def reach(self, plug: Plug, path: Path | Toward, attachments: Mapping[str, int]) -> None:
        """Put the way to an endpoint of another switch, and from it, and answer for it in its network."""
        flows = plug.flows_from(path, attachments, near=plug.endpoint.network in self.answering)
        self._ways[plug.endpoint.name] = self._flows.claim(flows)

    def guard(self, tunnel: Tunnel | None) -> None:
        """Drop what comes from the tunnel port and from nobody known."""
        self._flows.disclaim(self._guard)
        self._guard = self._flows.claim((tunnel_flow(tunnel),)) if tunnel else ()

    def join(self, network: str, flows: Iterable[Flow]) -> None:
        """Put what a network has of its router."""
        self._legs[network] = self._flows.claim(flows)

    def part(self, network: str) -> None:
        """Take it out."""
        self._flows.disclaim(self._legs.pop(network, ()))

    # -- what rules want of ports ----------------------------------------------------------------

    def tend(self, ports: Iterable[Tended], care: Care) -> None:
        """Put what these ports have for rules that reject or name a queue; `rest` takes it out."""
        for port in ports:
            if port.ofport not in self._tended:
                self._tended[port.ofport] = self._flows.claim(care.flows(port))

    def rest(self, ofports: Iterable[int] | None = None) -> None:
        """Take it out of these ports; None for all."""
        for ofport in list(self._tended) if ofports is None else ofports:
            self._flows.disclaim(self._tended.pop(ofport, ()))

    # -- DHCP and learning -----------------------------------------------------------------------

    def close(self, network: str, who: Iterable[MemberKey] | None = None) -> None:
        """Take out what a network offers some members; None for all, and for its server."""
        served = self._served.get(network, {})
        for member in list(served) if who is None else who:
            self._flows.disclaim(served.pop(member, ()))
        if not served:
            self._served.pop(network, None)

    def offer(self, network: Network, server: Endpoint | None, who: Iterable[Member]) -> None:
        """Put what a network offers some members: `server` if it is here, and learning."""
        for member in who:
            flows: list[Flow] = []
            if server is not None:
                flows += endpoints.dhcp_client_flows((member,), server)
                if "dhcp" in network.learn:
                    flows += endpoints.dhcp_answer_flows((member,), server)
            if network.learn:
                flows += endpoints.learn_flows(member, network)
            if flows:
                self._served.setdefault(network.name, {})[member_key(member)] = self._flows.claim(flows)

    def serve(self, server: Endpoint, attachments: Iterable[int]) -> None:
        """Let the network's DHCP server answer."""
        keys = self._flows.claim(endpoints.dhcp_server_flows(server, attachments))
        self._served.setdefault(server.network, {})[SERVER] = keys

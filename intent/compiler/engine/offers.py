"""What networks offer beside policy, DHCP and learning: which members of which switch a change concerns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from intent.compiler.engine.inputs import Changes, Inputs
from intent.compiler.engine.ledger import Ledger
from intent.compiler.engine.plugs import Member, MemberKey, Plug, member_key
from intent.compiler.engine.roster import Roster
from intent.compiler.engine.switch import Switch
from intent.model import Network
from topology.model import Endpoint, UnaddressedPort

Corner = tuple[int, str]
"""A datapath id and a network."""


class Offers:
    """Follows members and networks; `leave` before the roster changes, `arrive` after."""

    def __init__(self, inputs: Inputs, roster: Roster, ledger: Ledger, switches: Mapping[int, Switch]) -> None:
        self._inputs = inputs
        self._roster = roster
        self._ledger = ledger
        self._switches = switches
        self._networks: dict[str, Network] = {}
        """As they were before."""
        self._whole: dict[Corner, None] = {}
        self._some: dict[Corner, dict[MemberKey, None]] = {}

    def leave(self, changes: Changes, moved: Iterable[Plug]) -> None:
        """Take out what is offered to members that go or change."""
        for name, network in changes.networks.items():
            self._whole.update((corner, None) for corner in self._corners(name))
            if network is None:
                self._networks.pop(name, None)
        for plug in moved:
            self._note(plug.endpoint)
        for port, there in changes.unaddressed.items():
            self._note(port)
            self._keep(port, there=there)
        for name, network in changes.networks.items():
            if network is not None:
                self._networks[name] = network
        for dpid, switch in self._switches.items():
            if switch.is_new:
                self._whole.update((corner, None) for corner in self._all_corners() if corner[0] == dpid)
        self._close()

    def _corners(self, network: str) -> list[Corner]:
        plugged = [(dpid, network) for dpid in self._roster.places.get(network, {})]
        return plugged + [corner for corner in self._roster.unaddressed if corner[1] == network]

    def _all_corners(self) -> list[Corner]:
        plugged = [(dpid, network) for network, places in self._roster.places.items() for dpid in places]
        return plugged + list(self._roster.unaddressed)

    def _note(self, member: Member) -> None:
        corner = member.location.dpid, member.network
        self._some.setdefault(corner, {})[member_key(member)] = None
        for networks in (self._networks, self._inputs.networks):
            network = networks.get(member.network)
            if network is not None and isinstance(member, Endpoint) and network.dhcp_server == member.name:
                self._whole[corner] = None

    def _keep(self, port: UnaddressedPort, *, there: bool) -> None:
        corner = port.location.dpid, port.network
        ports = self._roster.unaddressed.setdefault(corner, {})
        if there:
            ports[port] = None
        else:
            ports.pop(port, None)
        if not ports:
            del self._roster.unaddressed[corner]

    def _close(self) -> None:
        for dpid, network in self._whole:
            if dpid in self._switches:
                self._switches[dpid].ports.close(network)
        for (dpid, network), members in self._some.items():
            if dpid in self._switches:
                self._switches[dpid].ports.close(network, members)

    def arrive(self) -> None:
        """Put what is offered to members that came or changed."""
        for corner in self._whole:
            self._offer(corner, None)
        for corner, members in self._some.items():
            if corner not in self._whole:
                self._offer(corner, members)
        self._whole, self._some = {}, {}

    def _offer(self, corner: Corner, which: Iterable[MemberKey] | None) -> None:
        dpid, name = corner
        network, switch = self._inputs.networks.get(name), self._switches.get(dpid)
        if network is None or switch is None or not (network.learn or network.dhcp_server):
            return
        plugs = self._roster.places.get(name, {}).get(dpid, {})
        found: dict[MemberKey, Member] = {key: plug.endpoint for key, plug in plugs.items()}
        found |= {port: port for port in self._roster.unaddressed.get(corner, ())}
        members = found.values() if which is None else [found[key] for key in which if key in found]
        server = plugs.get(network.dhcp_server or "")
        switch.ports.offer(network, server.endpoint if server else None, members)
        if server is not None and which is None:
            numbers = self._ledger.pools["attachment"].live
            switch.ports.serve(server.endpoint, [numbers[key] for key in server.attachments])

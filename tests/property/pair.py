"""Switches in the mind, and the tunnels between them: a packet goes through both programs on its way.

Each has a conntrack of its own. The semantics is asked at each of them: of a packet that both let through, of one
that either stops.
"""

from __future__ import annotations

import dataclasses

from intent.compiler import attachment_key
from intent.compiler import fields as f
from intent.compiler.cookie import Guard, Kind, Origin, encode
from intent.compiler.interpreter import Result, State
from intent.semantics import Reason, Verdict
from tests.property.cases import DPID, OTHER_DPID, Case
from tests.property.world import Switch
from topology.model import TunnelKind
from topology.packet import Frame, Opening, Outcome

_LIES = ((f.TUN_SRC, 7), (f.TUN_ID, 15), (f.TUN_OPTION, 62))
"""A bit of each field that must be right."""
DHCP_GUARD = encode(Origin(Kind.GUARD, Guard.DHCP))
TUNNEL_GUARD = encode(Origin(Kind.GUARD, Guard.TUNNEL))
DESTINATION_GUARD = encode(Origin(Kind.GUARD, Guard.DESTINATION))
TTL_GUARD = encode(Origin(Kind.GUARD, Guard.TTL))


class Pair:
    """The switches of a case with tunnels."""

    def __init__(self, case: Case, dpids: tuple[int, ...] = (DPID, OTHER_DPID)) -> None:
        self.switches = {dpid: Switch(dataclasses.replace(case, dpid=dpid)) for dpid in dpids}
        self.case = case
        self.crossed = 0
        """Packets that came out at the other switch."""
        self.copied = 0
        """Those of them that went to a multicast group."""
        self.routed = 0
        """Packets that a router sent there."""

    def follow(self, case: Case) -> None:
        """Bring both switches to a case."""
        self.case = case
        for dpid, switch in self.switches.items():
            switch.follow(dataclasses.replace(case, dpid=dpid))
        assert len({switch.ids.to_json() for switch in self.switches.values()}) == 1

    def connections(self) -> list[Opening]:
        """Return the openings that either conntrack knows."""
        entries = (opening for switch in self.switches.values() for _, opening in switch.conntrack.entries)
        return list(dict.fromkeys(entries))

    def check(self, frame: Frame, quoted: Opening | None = None) -> Verdict:
        """Assert that a frame fares as the semantics says, on its way through both switches."""
        near = self.switches[frame.dpid]
        verdict, result = near.expected(frame, quoted), near.actual(frame, quoted)
        place = verdict.fate.location
        if verdict.reason is Reason.DHCP and place is None and result.tunnel:
            self._stop_dhcp(frame, result)
            return verdict
        near.compare(frame, verdict, result)
        if verdict.copies:
            self._copy(frame, verdict, result)
            return verdict
        if verdict.fate.outcome is not Outcome.DELIVER or place is None or place.dpid == frame.dpid:
            return verdict
        return self._arrive(frame, result, quoted, place.dpid)

    def _arrive(self, frame: Frame, sent: Result, quoted: Opening | None, dpid: int) -> Verdict:
        tunnels, far, aimed = self.case.inventory.tunnels, self.switches[dpid], self.switches[frame.dpid].aimed
        assert sent.tunnel[f.TUN_DST] == int(tunnels[dpid].address)
        brought = _brought(sent.tunnel, int(tunnels[frame.dpid].address))
        assert (f.TUN_OPTION in brought) == (tunnels[dpid].kind is TunnelKind.GENEVE)
        verdict = far.expected(frame, quoted, aimed)
        hop = aimed.hop if aimed is not None else None
        landed = dataclasses.replace(frame, dpid=dpid, in_port=tunnels[dpid].ofport)
        if hop is not None:
            landed = dataclasses.replace(landed, eth_src=hop.eth_src, eth_dst=hop.eth_dst, ttl=hop.ttl)
            self.routed += 1
        self._forge(landed, brought, dpid, is_routed=hop is not None)
        result = far.interpreter.run(landed, far.conntrack, quoted, brought)
        far.compare(frame, verdict, result)
        self.crossed += bool(result.ports)
        return verdict

    def _copy(self, frame: Frame, verdict: Verdict, sent: Result) -> None:
        """The other switch delivers to its members as the semantics says, also what it should not have been sent."""
        ends = self.case.inventory.tunnels
        others = {self.case.inventory.endpoints[name].location.dpid for name in verdict.copies} - {frame.dpid}
        assert len(others) <= 1
        for dpid in others:
            if any(place.dpid == dpid for place in verdict.fate.copies):
                assert sent.tunnel[f.TUN_DST] == int(ends[dpid].address)
                brought = _brought(sent.tunnel, int(ends[frame.dpid].address))
            else:
                brought = self._claim(frame)
            landed = dataclasses.replace(frame, dpid=dpid, in_port=ends[dpid].ofport)
            self._forge(landed, brought, dpid)
            far = self.switches[dpid]
            result = far.interpreter.run(landed, far.conntrack, None, brought)
            far.compare(frame, verdict, result)
            self.copied += bool(result.ports)

    def _claim(self, frame: Frame) -> State:
        """Return what a host would write into the tunnel header that sends what it should not."""
        inventory = self.case.inventory
        sender = next(e for e in inventory.endpoints.values()
                      if (e.location.dpid, e.location.ofport) == (frame.dpid, frame.in_port))  # fmt: skip
        ids, end = self.switches[frame.dpid].ids, inventory.tunnels[frame.dpid]
        claim = {f.TUN_SRC: int(end.address), f.TUN_ID: ids.number("network", sender.network)}
        if end.kind is TunnelKind.GENEVE and frame.src is not None:
            claim[f.TUN_OPTION] = ids.number("attachment", attachment_key(sender, frame.src)) << 32
        return claim

    def _stop_dhcp(self, frame: Frame, sent: Result) -> None:
        """The server's own switch lets it answer whomever; that of the client does not."""
        aim, tunnels = sent.tunnel[f.TUN_DST], self.case.inventory.tunnels
        ((dpid, there),) = ((d, t) for d, t in tunnels.items() if int(t.address) == aim)
        brought = _brought(sent.tunnel, int(self.case.inventory.tunnels[frame.dpid].address))
        landed = dataclasses.replace(frame, dpid=dpid, in_port=there.ofport)
        far = self.switches[dpid]
        result = far.interpreter.run(landed, far.conntrack, None, brought)
        assert (result.ports, result.reason) == ([], DHCP_GUARD)

    def _forge(self, frame: Frame, brought: State, dpid: int, *, is_routed: bool = False) -> None:
        """Whatever of the claim is another's, the packet ends at the guard; nobody routes it once more."""
        far = self.switches[dpid]
        for field, bit in _LIES:
            if field in brought:
                result = far.interpreter.run(frame, far.conntrack, None, {**brought, field: brought[field] ^ 1 << bit})
                # The network that a routed packet goes to is looked at where its destination is.
                late = [DESTINATION_GUARD] if is_routed and field is f.TUN_ID else [TUNNEL_GUARD]
                assert (result.ports, result.cookies[:-1][-1:]) == ([], late)
        if is_routed:
            for mac in (frame.eth_src, "02:00:00:00:00:ff"):
                lost = dataclasses.replace(frame, eth_dst=mac)
                result = far.interpreter.run(lost, far.conntrack, None, brought)
                assert not result.ports
                assert result.reason in (DESTINATION_GUARD, TTL_GUARD)
        stolen = dataclasses.replace(frame, eth_src="02:00:00:00:00:ff")
        assert far.interpreter.run(stolen, far.conntrack, None, brought).cookies[:-1] == [TUNNEL_GUARD]


def _brought(sent: State, source: int) -> State:
    """Return what the other host sees of the tunnel header."""
    return {f.TUN_SRC: source, **{field: sent[field] for field in (f.TUN_ID, f.TUN_OPTION) if field in sent}}

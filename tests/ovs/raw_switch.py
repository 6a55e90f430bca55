"""A bridge of a private Open vSwitch, spoken to with our own bytes and its own trace; no controller between."""

from __future__ import annotations

import json
import re
import socket
import struct
from typing import TYPE_CHECKING

from intent.compiler import diff
from intent.compiler import fields as f
from intent.compiler.flow import IN_PORT, Flow, FlowBody
from intent.compiler.interpreter import View
from intent.compiler.verdict import meters
from ryu_apps import wire
from ryu_apps.wire import BundleStep, Command, Kind
from topology.packet import ETH_ARP, ETH_IPV6, ICMP, ICMPV6, SCTP, TCP, UDP, Frame

if TYPE_CHECKING:
    from pathlib import Path

    from intent.compiler.flow import Program
    from mininet_scenarios.private_ovs import PrivateOvs

BUNDLE = 1
SOLICIT = 135
_NAMES = {TCP: "tcp", UDP: "udp", SCTP: "sctp"}
_CT = ((f.CS_NEW, "new"), (f.CS_EST, "est"), (f.CS_REL, "rel"), (f.CS_RPL, "rpl"), (f.CS_INV, "inv"), (f.CS_TRK, "trk"))


class RawSwitch:
    """A bridge with `ports` taps numbered from 1, and the OpenFlow connection of `ovs-ofctl` (br.mgmt)."""

    def __init__(self, ovs: PrivateOvs, bridge: str, ports: int) -> None:
        self._ovs = ovs
        self._bridge = bridge
        words: list[str] = []
        for number in range(1, ports + 1):
            name = f"{bridge}p{number}"
            words += ["--", "add-port", bridge, name, "--", "set", "interface", name, "type=internal"]
            words += [f"ofport_request={number}"]
        if words:
            ovs.vsctl(*words[1:])
        self._socket = _connect(ovs.directory / f"{bridge}.mgmt")
        self._control = _connect(ovs.directory / "ovs-vswitchd.ctl")
        self._buffer = b""
        self._meters: dict[int, int] = {}
        self._send(wire.hello(0))

    def close(self) -> None:
        self._socket.close()
        self._control.close()

    def install(self, desired: Program) -> None:
        """Bring the bridge to a program by one atomic bundle of the difference."""
        new = [wire.MeterSpec(n, rate, rate) for n, rate in meters(desired).items() if n not in self._meters]
        self._send(b"".join(wire.meter_mod(2, wire.MeterCommand.ADD, meter) for meter in new))
        self._meters |= meters(desired)
        delta = diff(self.dump(), desired)
        gone = FlowBody((), 0)
        changes = [(Command.DELETE_STRICT, Flow(key, gone)) for key in delta.deletes]
        changes += [(Command.ADD, flow) for flow in (*delta.adds, *delta.changes)]
        parts = [wire.bundle_control(1, BUNDLE, BundleStep.OPEN_REQUEST)]
        parts += wire.bundle_flow_mods(BUNDLE, 100, changes, wire.ATOMIC_ORDERED)
        parts += [wire.bundle_control(2, BUNDLE, BundleStep.COMMIT_REQUEST)]
        self._send(b"".join(parts))
        while True:
            frame = self._receive()
            assert frame[1] != Kind.ERROR, wire.decode_error(frame)
            if frame[1] == Kind.BUNDLE_CONTROL and wire.decode_bundle_control(frame).step == BundleStep.COMMIT_REPLY:
                return

    def dump(self) -> Program:
        """Return what the bridge holds; a flow that we could not have made fails."""
        self._send(wire.flow_stats_request(3))
        bodies = []
        while True:
            frame = self._receive()
            if frame[1] != Kind.MULTIPART_REPLY:
                continue
            part = wire.decode_multipart(frame)
            bodies.append(part.body)
            if not part.more:
                break
        program: Program = {}
        for entry in wire.decode_dump(bodies):
            assert isinstance(entry, wire.FlowStats), entry
            program[entry.flow.key] = entry.flow.body
        return program

    def trace(self, frame: Frame, view: View | None) -> list[int]:
        """Return the ports at which Open vSwitch says a frame leaves, in order; IN_PORT for an answer."""
        options = []
        if view is not None:
            options = ["--ct-next", ",".join(word for bit, word in _CT if view.state & bit)]
        said = self._call("ofproto/trace", [self._bridge, flow_text(frame, view), *options])
        if re.search(r"^\s*IN_PORT\s*$", said, re.MULTILINE):
            return [IN_PORT]
        said = re.sub(r"^.*\n.*skipping output to input port.*$", "", said, flags=re.MULTILINE)
        return [int(a or b) for a, b in re.findall(r"output port is (\d+)|^\s*output:(\d+)\s*$", said, re.MULTILINE)]

    def _call(self, method: str, words: list[str]) -> str:
        self._control.sendall(json.dumps({"method": method, "params": words, "id": 0}).encode())
        text = ""
        decoder = json.JSONDecoder()
        while True:
            text += self._control.recv(1 << 20).decode()
            try:
                reply, _ = decoder.raw_decode(text)
            except ValueError:
                continue
            assert reply["error"] is None, reply["error"]
            return str(reply["result"])

    def _send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def _receive(self) -> bytes:
        """Return the next frame; answers echoes."""
        while True:
            if len(self._buffer) >= 8:
                (size,) = struct.unpack_from("!H", self._buffer, 2)
                if len(self._buffer) >= size:
                    frame, self._buffer = self._buffer[:size], self._buffer[size:]
                    if frame[1] == Kind.ECHO_REQUEST:
                        self._send(wire.echo_reply(int.from_bytes(frame[4:8]), frame[8:]))
                        continue
                    return frame
            data = self._socket.recv(1 << 20)
            assert data, "the switch closed the connection"
            self._buffer += data


def _connect(path: Path) -> socket.socket:
    found = socket.socket(socket.AF_UNIX)
    found.settimeout(20)
    found.connect(str(path))
    return found


def flow_text(frame: Frame, view: View | None) -> str:
    """Return a frame as `ofproto/trace` takes it."""
    words = [f"in_port={frame.in_port}", f"dl_src={frame.eth_src}", f"dl_dst={frame.eth_dst}"]
    words.append(f"dl_type={frame.eth_type:#06x}")
    if frame.vlan is not None:
        words.append(f"vlan_tci={0x1000 | frame.vlan:#06x}")
    if frame.eth_type == ETH_ARP:
        words += [f"arp_op={frame.arp_op}", f"arp_spa={frame.arp_spa}", f"arp_tpa={frame.arp_tpa}"]
        words += [f"arp_sha={frame.arp_sha}"]
    elif frame.src is not None:
        words += _ip_words(frame)
    if view is not None and view.label:
        words.append(f"ct_label={view.label:#x}")
    return ",".join(words)


def _ip_words(frame: Frame) -> list[str]:
    six = frame.eth_type == ETH_IPV6
    words = (
        [f"ipv6_src={frame.src}", f"ipv6_dst={frame.dst}"] if six else [f"nw_src={frame.src}", f"nw_dst={frame.dst}"]
    )
    words += [f"nw_proto={frame.protocol}", f"nw_ttl={frame.ttl}"]
    if frame.protocol in _NAMES:
        words += [f"{_NAMES[frame.protocol]}_src={frame.sport}", f"{_NAMES[frame.protocol]}_dst={frame.dport}"]
    elif frame.protocol == (ICMPV6 if six else ICMP):
        kind = "icmpv6" if six else "icmp"
        words += [f"{kind}_type={frame.icmp_type}", f"{kind}_code={frame.icmp_code}"]
        if frame.nd_target is not None:
            words.append(f"nd_target={frame.nd_target}")
        if frame.nd_sll and frame.icmp_type == SOLICIT:
            words.append(f"nd_sll={frame.nd_sll}")
    return words

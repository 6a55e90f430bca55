"""Private Open vSwitch instances with bench bridges: ports that cost the kernel nothing, traces, memory."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.openflow import Channel
from intent.compiler.verdict import SAMPLE_METERS, SAMPLES
from mininet_scenarios.janitor import Janitor
from mininet_scenarios.private_ovs import Daemon, PrivateOvs
from ryu_apps import wire

BRIDGE = "bench"
AT_ONCE = 500
"""Ports in one transaction."""
_OUTPUTS = re.compile(r"^\s*-> output port is (\d+)|^\s*output:(\d+)\s*$", re.MULTILINE)


@contextmanager
def fresh_switch(janitor: Janitor) -> Iterator[PrivateOvs]:
    """Yield a new Open vSwitch without bridges; a crash of it raises at the end."""
    with PrivateOvs(janitor) as ovs:
        yield ovs


def add_bridge(ovs: PrivateOvs, name: str = BRIDGE) -> Path:
    """Make an empty bridge, or make it anew; return its management socket."""
    ovs.vsctl("--if-exists", "del-br", name)
    ovs.vsctl("add-br", name, "--", "set", "bridge", name, "datapath_type=netdev", "fail_mode=secure")
    ovs.vsctl("set", "bridge", name, "protocols=OpenFlow10,OpenFlow13,OpenFlow14,OpenFlow15")
    return ovs.directory / f"{name}.mgmt"


@contextmanager
def fresh_bridge(ovs: PrivateOvs, name: str = BRIDGE) -> Iterator[Channel]:
    """Yield a connection to a bridge made anew, with the meters that every program uses."""
    with Channel(add_bridge(ovs, name)) as channel:
        specs = (wire.MeterSpec(number, SAMPLES, SAMPLES) for number in SAMPLE_METERS.values())
        channel.send(b"".join(wire.meter_mod(0, wire.MeterCommand.ADD, spec) for spec in specs))
        channel.barrier()
        yield channel


def add_ports(ovs: PrivateOvs, bridge: str, count: int, first: int = 0) -> None:
    """Plug `v<n>` at OpenFlow port n + 1 with iface-id `e<n>`, for n from `first`.

    They are patch ports without a peer: Open vSwitch numbers them as any port, and the kernel has no device,
    so thousands cost nothing on either side.
    """
    for start in range(first, first + count, AT_ONCE):
        words: list[str] = []
        for number in range(start, min(start + AT_ONCE, first + count)):
            name = f"v{number}"
            words += ["--", "add-port", bridge, name, "--", "set", "interface", name, "type=patch"]
            words += [f"options:peer=x{number}", f"external_ids:iface-id=e{number}", f"ofport_request={number + 1}"]
        ovs.vsctl(*words[1:])


class Control:
    """A daemon's control socket (unixctl), kept open: a trace costs no process."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(str(path))
        self._decoder = json.JSONDecoder()

    def call(self, method: str, *words: str) -> str:
        """Return what the daemon answers.

        Raises:
            RuntimeError: it refused.
        """
        self._socket.sendall(json.dumps({"method": method, "params": words, "id": 0}).encode())
        text = ""
        while True:
            received = self._socket.recv(1 << 20)
            if not received:
                raise ConnectionError(f"the daemon closed its control socket at {method}")
            text += received.decode()
            try:
                reply, _ = self._decoder.raw_decode(text)
            except ValueError:  # not all of it yet
                continue
            if reply["error"] is not None:
                raise RuntimeError(f"{method} {' '.join(words)}: {reply['error']}")
            return str(reply["result"])

    def trace(self, bridge: str, flow: str, *options: str) -> set[int]:
        """Return the ports at which Open vSwitch says a packet leaves."""
        said = self.call("ofproto/trace", bridge, flow, *options)
        return {int(a or b) for a, b in _OUTPUTS.findall(said)}

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


@contextmanager
def control(ovs: PrivateOvs) -> Iterator[Control]:
    """Yield the switch's control socket."""
    made = Control(ovs.socket(Daemon.SWITCH))
    try:
        yield made
    finally:
        made.close()


def resident_mb(*pids: int) -> float:
    """Return the resident memory of processes, together."""
    return sum(_status(pid).get("VmRSS", 0) for pid in pids) / 1024


def peak_mb(*pids: int) -> float:
    """Return the largest resident memory that processes have had, together."""
    return sum(_status(pid).get("VmHWM", 0) for pid in pids) / 1024


def cpu_s(pid: int) -> float:
    """Return the processor time of a process (proc(5), stat)."""
    words = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def _status(pid: int) -> Mapping[str, int]:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    pairs = (line.split(":", 1) for line in lines if line.startswith("Vm"))
    return {key: int(value.split()[0]) for key, value in pairs}

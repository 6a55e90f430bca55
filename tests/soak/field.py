"""A field for proofs: a controller process, a private switch, workloads in namespaces, traffic between them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mininet_scenarios import namespaces
from mininet_scenarios.janitor import Janitor
from mininet_scenarios.namespaces import Nic
from mininet_scenarios.private_ovs import Daemon, PrivateOvs
from tests.ovs.controller_bench import BRIDGE, ROOT, RUN, ControllerBench, until
from tests.ovs.flow_watch import Watch
from tests.soak.record import Record
from tests.soak.wiretap import Wiretap

OF_PORT = 6653
PREFERRED = -15
"""Of the switch's and the traffic's threads (nice)."""
LAN = "{kind: Network, name: lan, subnets: [10.0.0.0/24]}\n"


def policy(name: str, *rules: str, tier: str = "application") -> str:
    """Return a document; a rule is `allow web app tcp/80`, with `app` labels of source and destination."""
    lines = []
    for rule in rules:
        action, source, destination, services = rule.split()
        ends = f"from: [{{labels: {{app: {source}}}}}], to: [{{labels: {{app: {destination}}}}}]"
        lines.append(f"- {{action: {action}, {ends}, services: [{services}]}}\n")
    return f"---\nkind: Policy\nname: {name}\ntier: {tier}\nrules:\n{''.join(lines)}"


def prefer(pid: int) -> None:
    """Let a process and its threads go first: what it loses is to be the product's doing, not a busy machine's."""
    with contextlib.suppress(PermissionError):  # root without CAP_SYS_NICE, as in many a container: then as it is
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.setpriority(os.PRIO_PROCESS, int(task.name), PREFERRED)


class Traffic:
    """The process that makes all streams (`traffic.py`)."""

    def __init__(self, janitor: Janitor) -> None:
        where = janitor.surroundings(env={"PYTHONPATH": str(ROOT)})
        self._process = janitor.start([sys.executable, "-m", "tests.soak.traffic"], where=where, pipe=True)
        self.pid = self._process.pid
        self._notes = janitor.directory() / "notes.json"

    def ask(self, op: str, **arguments: object) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"op": op, **arguments}).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the traffic process ended with {self._process.wait(30)}; see its messages above"
        return json.loads(line)

    def open(self, streams: Iterable[Mapping[str, object]], *, but: Iterable[int] = (), timeout_s: float = 60) -> None:
        """Open streams and wait until all are established, `but` those that are not expected to be."""
        asked = list(streams)
        self.ask("open", streams=asked)
        expected = [s["id"] for s in asked if s["id"] not in but]
        assert until(lambda: not self.ask("waiting", ids=expected), timeout_s), self.ask("waiting", ids=expected)[:20]

    def report(self, settle_s: float = 0.5) -> Record:
        """Stop all streams, let the last messages arrive, and return the notes."""
        self.ask("halt")
        time.sleep(settle_s)
        self.ask("report", path=str(self._notes))
        return Record.read(self._notes)


class Field:
    """Workloads `name: app` on one bridge, numbered from 1: number n has 10.0.0.n and port vn."""

    def __init__(self, janitor: Janitor, ovs: PrivateOvs, workloads: Sequence[str]) -> None:
        self.janitor, self.ovs = janitor, ovs
        self.bench = ControllerBench(janitor, ovs)
        self.names = list(workloads)
        self.netns = {name: janitor.netns() for name in workloads}
        self.traffic = Traffic(janitor)
        self._wiretap = Wiretap(ovs.netns or "", OF_PORT)

    def start(self, documents: str, command: tuple[str, ...] = RUN) -> None:
        """Start everything, and return when the switch holds these documents and all workloads are known."""
        prefer(self.ovs.pid(Daemon.SWITCH))
        prefer(self.traffic.pid)
        self.bench.start(command)
        assert until(lambda: BRIDGE in self.ovs.vsctl("list-br"))
        for name in self.names:
            self.wire(name, self.netns[name])
        self.ovs.vsctl(*[word for name in self.names for word in ("--", "add-port", BRIDGE, self.port(name))][1:])
        self.apply(LAN + "".join(self.endpoint(name, app=name) for name in self.names) + documents)
        assert until(lambda: len(self.live()) == len(self.names)), self.bench.said()
        self.settle()

    def wire(self, name: str, netns: str) -> None:
        """Make the interface of a workload in a namespace; forbidden packets must not wait for ARP."""
        nic = Nic(netns, self.port(name), self.mac(name), (self.address(name),))
        namespaces.plug([nic], self.ovs.netns)
        neighbours = (
            f"neigh replace {self.address(other)} lladdr {self.mac(other)} dev eth0 nud permanent"
            for other in self.names
        )
        namespaces.batch(neighbours, netns)

    # -- names ---------------------------------------------------------------------------------

    def number(self, name: str) -> int:
        return self.names.index(name) + 1

    def port(self, name: str) -> str:
        return f"v{self.number(name)}"

    def address(self, name: str) -> str:
        return f"10.0.0.{self.number(name)}"

    def mac(self, name: str) -> str:
        return f"02:00:00:00:00:{self.number(name):02x}"

    def endpoint(self, name: str, **labels: str) -> str:
        """Return the document of a workload with these labels."""
        return (
            f"---\nkind: Endpoint\nname: {name}\nnetwork: lan\nlabels: {json.dumps(labels)}\n"
            f'mac: "{self.mac(name)}"\naddresses: [{self.address(name)}]\n'
            f"binding: {{bridge: {BRIDGE}, interface: {self.port(name)}}}\n"
        )

    def stream(self, ident: int, protocol: str, client: str, server: str, port: int, **more: Any) -> dict[str, Any]:
        """Return a stream as `traffic.py` takes it."""
        ends = {side: (self.netns[name], self.address(name)) for side, name in (("client", client), ("server", server))}
        return {"id": ident, "protocol": protocol, **ends, "port": port, "driver": "both", "interval_s": 0.005, **more}

    # -- the controller ------------------------------------------------------------------------

    def apply(self, documents: str) -> dict[str, Any]:
        """Apply and wait until the switch confirmed."""
        answer = self.bench.apply(documents)
        assert answer["realized"]["phase"] == "realized", (answer, self.bench.said())
        return answer

    def delete(self, *policies: str) -> None:
        for name in policies:
            status, answer = self.bench.ask("DELETE", f"/v1/policies/{name}?wait=realized&timeout=50")
            assert status in {200, 202, 204, 404}, answer

    def live(self) -> set[str]:
        return {item["name"] for item in self.bench.ask("GET", "/v1/live/endpoints")[1]["items"]}

    def realized(self) -> bool:
        """Say whether the switch is connected and confirmed the newest revision."""
        try:
            return bool(self.bench.ask("GET", "/v1/status")[1]["realized"]["phase"] == "realized")
        except OSError:
            return False

    def settle(self) -> None:
        """Return when the switch is at rest: realized, tables unchanged for a while, datapath up to date."""
        assert until(self.realized, 60), self.bench.said()
        flows = self.bench.flows()
        deadline = time.monotonic() + 10
        time.sleep(0.3)
        while flows != (flows := self.bench.flows()) and time.monotonic() < deadline:
            time.sleep(0.3)
        self.ovs.appctl("revalidator/wait")

    def commits(self) -> list[tuple[float, float]]:
        """Return when every bundle of a controller began and when its commit reply came, as the kernel saw it."""
        return self._wiretap.bundles()

    def watch(self) -> Watch:
        """Record every change of a flow from now on."""
        return Watch(self.janitor, self.ovs, BRIDGE)

    def coverage(self, counter: str) -> int:
        """Return one of Open vSwitch's own counters."""
        return int(self.ovs.appctl("coverage/read-counter", counter))

    def own_drops(self) -> int:
        """Return how many datagrams arrived and were dropped because the proof's own sockets were full."""
        drops = 0
        for netns in self.netns.values():
            with namespaces.entered(netns):
                names, values = re.findall(r"^Udp: (.*)$", Path("/proc/thread-self/net/snmp").read_text(), re.MULTILINE)
            drops += int(dict(zip(names.split(), values.split(), strict=True))["RcvbufErrors"])
        return drops

    def megaflows(self) -> int:
        """Return how many flows the datapath has cached."""
        return int(re.findall(r"flows\s*:\s*\(current (\d+)\)", self.ovs.appctl("upcall/show"))[0])

    def rss_kb(self) -> int:
        """Return the controller's resident memory."""
        assert self.bench.process
        status = Path(f"/proc/{self.bench.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0])

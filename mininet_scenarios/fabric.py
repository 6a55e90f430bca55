"""A fabric: several private Open vSwitch instances wired to each other, hosts at their edges, the real controller.

Each switch has a namespace of its own; a wire is a veth pair between two of them. The controller reaches the
switches through further pairs, as over a management network.
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mininet_scenarios import namespaces, shell
from mininet_scenarios.janitor import Janitor
from mininet_scenarios.namespaces import Nic
from mininet_scenarios.private_ovs import Daemon, PrivateOvs

BRIDGE = "br-ring"
OPENFLOW_PORT, REST_PORT = 6653, 8181
START_S = 90.0
"""A busy machine may take its time."""
DEAD_S = 2.0
"""How long what was killed stays so."""
LINK = {"ringfence:link": "true"}

Wires = Sequence[tuple[int, int]]
"""Which switches are wired to each other; numbers from 1."""


def linear(count: int) -> Wires:
    """Return the wires of switches in a row."""
    return [(n, n + 1) for n in range(1, count)]


def ring(count: int) -> Wires:
    """Return the wires of switches in a ring."""
    return [*linear(count), (1, count)]


def tree(depth: int, fanout: int) -> Wires:
    """Return the wires of a tree; switch 1 is its root, and those of the lowest level have the greatest numbers."""
    wires: list[tuple[int, int]] = []
    level, last = [1], 1
    for _ in range(depth - 1):
        below = []
        for parent in level:
            for _ in range(fanout):
                last += 1
                wires.append((parent, last))
                below.append(last)
        level = below
    return wires


def fat_tree() -> Wires:
    """Return the wires of a fat tree of 4-port switches: 1 to 4 core, then in each pod 2 aggregation and 2 edge."""
    wires = []
    for pod in range(4):
        first = 5 + 4 * pod
        for n, aggregation in enumerate((first, first + 1)):
            wires += [(core, aggregation) for core in (1 + 2 * n, 2 + 2 * n)]
            wires += [(aggregation, edge) for edge in (first + 2, first + 3)]
    return wires


FAT_TREE_EDGES = tuple(5 + 4 * pod + n for pod in range(4) for n in (2, 3))


@dataclasses.dataclass(frozen=True, slots=True)
class FabricHost:
    """A workload in a namespace of its own."""

    name: str
    switch: int
    netns: str
    address: str


class FabricSite:
    """Switches, wires, hosts and a controller. Everything goes when the janitor closes."""

    def __init__(
        self, janitor: Janitor, wires: Wires, edges: Sequence[int], bare: Mapping[int, Sequence[str]] | None = None
    ) -> None:
        """Build it; one host at each of `edges`, named h and the number of its switch.

        The controller is not shown the database of those in `bare`, only the names of their ports for links.
        """
        self.janitor = janitor
        self.bare = dict(bare or {})
        self.wires = wires
        self.numbers = sorted({n for pair in wires for n in pair} | set(edges))
        self.netns = janitor.netns()
        self.directory = janitor.directory()
        self.log = self.directory / "log"
        self.switches: dict[int, PrivateOvs] = {}
        for number in self.numbers:
            self.switches[number] = self.switch(number, number)
        for pair in wires:
            self.wire(*pair)
        for number in self.bare:
            self.dial(number)
        self.hosts = {f"h{n}": self._host(n) for n in edges}
        self.process: subprocess.Popen[bytes] | None = None

    # -- parts ---------------------------------------------------------------------------------

    def switch(self, number: int, dpid: int) -> PrivateOvs:
        """Make a switch with a way to the controller, wired to nobody yet; numbers are below 256 and used once."""
        ovs = PrivateOvs(self.janitor)
        ovs.start()
        namespaces.batch([f"link add m{number} netns {self.netns} type veth peer name m0 netns {ovs.netns}"])
        net = f"10.255.{number}"
        namespaces.batch([f"addr add {net}.1/24 dev m{number}", f"link set m{number} up", "link set lo up"], self.netns)
        mine = [f"addr add {net}.2/24 dev m0", "link set m0 up", "link set lo up", f"route add default via {net}.1"]
        namespaces.batch(mine, ovs.netns)
        _make_bridge(ovs, dpid)
        return ovs

    @property
    def controller(self) -> str:
        """What switches connect to."""
        return f"tcp:10.255.{self.numbers[0]}.1:{OPENFLOW_PORT}"

    @staticmethod
    def port(number: int, other: int) -> str:
        """Return the name of the port by which a switch is wired to another."""
        return f"l{number}-{other}"

    def wire(self, one: int, other: int) -> None:
        """Wire two switches to each other."""
        ends = [(self.switches[n], self.port(n, o)) for n, o in ((one, other), (other, one))]
        (a, name), (b, peer) = ends
        namespaces.batch([f"link add {name} netns {a.netns} type veth peer name {peer} netns {b.netns}"])
        for ovs, port in ends:
            namespaces.batch([f"link set {port} up addrgenmode none"], ovs.netns)
            _plug(ovs, port, LINK)

    def dial(self, number: int) -> None:
        """Let a switch connect to the controller, as an administrator does where nobody else may."""
        protocols = "protocols=OpenFlow14 other_config:disable-in-band=true"
        self.switches[number].vsctl("set", "bridge", BRIDGE, *protocols.split())
        self.switches[number].vsctl("set-controller", BRIDGE, self.controller)

    def _host(self, number: int) -> FabricHost:
        netns, ovs, address = self.janitor.netns(), self.switches[number], f"10.9.0.{number}"
        namespaces.plug([Nic(netns, "w0", _mac(number), (address,))], ovs.netns)
        _plug(ovs, "w0", _identity(number))
        return FabricHost(f"h{number}", number, netns, address)

    def cut(self, one: int, other: int) -> None:
        """Break a wire."""
        namespaces.batch([f"link set {self.port(one, other)} down"], self.switches[one].netns)

    def mend(self, one: int, other: int) -> None:
        """Mend a wire that was cut."""
        namespaces.batch([f"link set {self.port(one, other)} up"], self.switches[one].netns)

    def befall(self, number: int, fault: str) -> None:
        """Break something of a switch, and mend it: `kill`, `restart-database`, `restart-switch`, `empty-database`."""
        ovs = self.switches[number]
        if fault == "kill":
            for daemon in Daemon:
                ovs.kill(daemon)
            time.sleep(DEAD_S)
            for daemon in Daemon:
                ovs.start_daemon(daemon)
            self.until(lambda: self._has_bridge(number), "the bridge is made again")
        elif fault == "restart-database":
            ovs.restart(Daemon.DATABASE)
        elif fault == "restart-switch":
            ovs.restart(Daemon.SWITCH)
            self.until(lambda: self._has_bridge(number), "the bridge is made again")
        else:
            ovs.replace_database()
            _make_bridge(ovs, number)
            for one, other in self.wires:
                if number in {one, other}:
                    _plug(ovs, self.port(number, other if number == one else one), LINK)
            if f"h{number}" in self.hosts:
                _plug(ovs, "w0", _identity(number))

    def _has_bridge(self, number: int) -> bool:
        """Whether the bridge of a switch that was started answers: its daemon does so before."""
        try:
            self.state(number)
        except shell.CommandError:
            return False
        return True

    # -- the controller ------------------------------------------------------------------------

    def start(self) -> None:
        """Start the controller, and wait until it answers.

        Raises:
            TimeoutError: it does not; with its log.
        """
        targets = ", ".join(f'"{ovs.db_target}"' for number, ovs in self.switches.items() if number not in self.bare)
        bare = ", ".join(f'"{number:016x}": [{", ".join(ports)}]' for number, ports in self.bare.items())
        dpids = ", ".join(f'"{number:016x}"' for number in self.numbers)
        config = self.directory / "config.yaml"
        config.write_text(
            f"openflow: {{host: 0.0.0.0, port: {OPENFLOW_PORT}, admission: {{datapath_ids: [{dpids}]}}, "
            f"switches: {{{bare}}}}}\n"
            f"rest: {{port: {REST_PORT}}}\nstate_dir: {self.directory / 'state'}\novsdb: {{targets: [{targets}]}}\n"
            f"bridge: {{adopt: true, datapath_type: netdev, controller_target: '{self.controller}'}}\n"
        )
        env = {**os.environ, "RINGFENCE_CONFIG": str(config)}
        with self.log.open("ab") as log:
            where = self.janitor.surroundings(self.netns, env)
            self.process = self.janitor.start((sys.executable, "-m", "ryu_apps.main"), where=where, output=log)
        self.until(self._is_up, "the controller answers")

    def stop(self) -> None:
        """Stop the controller; the switches keep their flows."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(START_S)

    def _is_up(self) -> bool:
        try:
            return bool(self.ask("GET", "/v1/health"))
        except OSError:
            return False

    def ask(self, method: str, path: str, body: str = "") -> dict[str, Any]:
        """Ask the REST API; return what it answers.

        Raises:
            OSError: it does not answer.
        """
        token = self.directory / "state" / "token"
        headers = {"Authorization": f"Bearer {token.read_text().strip()}"} if token.exists() else {}
        connection = http.client.HTTPConnection("127.0.0.1", REST_PORT, timeout=60)
        with namespaces.entered(self.netns):
            connection.connect()
        try:
            connection.request(method, path, body or None, {**headers, "Content-Type": "application/yaml"})
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return answer

    def apply(self, documents: str) -> None:
        """Put documents into force, and wait until the switches have them."""
        answer = self.ask("POST", "/v1/apply?wait=realized&timeout=60", documents)
        if answer.get("realized", {}).get("phase") != "realized":
            raise TimeoutError(f"not realized: {answer}")

    def until(self, done: Callable[[], object], what: str, timeout_s: float = START_S) -> None:
        """Wait for something.

        Raises:
            TimeoutError: it does not come; with the controller's log.
        """
        give_up_at = time.monotonic() + timeout_s
        while not done():
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"not within {timeout_s} s: {what}\n{shell.read_tail(self.log)}")
            time.sleep(0.05)

    def links_up(self) -> set[tuple[int, int]]:
        """Return the switches that are wired to each other, says the topology."""
        links = self.ask("GET", "/v1/topology")["links"]
        return {(int(x["a"]["dpid"], 16), int(x["b"]["dpid"], 16)) for x in links if x["state"] == "up"}

    def settle(self, without: Wires = ()) -> None:
        """Return when all wires are proven, those left out broken, and the switches' flows rest."""
        wanted = {pair for pair in self.wires if pair not in without}
        self.until(lambda: self.links_up() == wanted, f"links {sorted(wanted)}")
        before: Mapping[int, str] = {}
        quiet_since = time.monotonic()
        while time.monotonic() < quiet_since + 0.5:
            now = {number: self.state(number) for number in self.numbers}
            if now != before:
                before, quiet_since = now, time.monotonic()
            time.sleep(0.05)

    def recover(self) -> None:
        """Return when every switch is connected and every host known, and then as `settle` does."""
        self.until(self._is_whole, "every switch is connected and every host known")
        self.settle()

    def _is_whole(self) -> bool:
        switches = self.ask("GET", "/v1/switches")["items"]
        known = {item["name"] for item in self.ask("GET", "/v1/live/endpoints")["items"]}
        realized = self.ask("GET", "/v1/status")["realized"]["phase"] == "realized"
        connected = sum(item["connected"] for item in switches) == len(self.numbers)
        return connected and realized and known == self.hosts.keys()

    def state(self, number: int) -> str:
        """Return the flows and groups of a switch, sorted."""
        ovs = self.switches[number]
        return "\n".join(ovs.flows(BRIDGE) + sorted(ovs.ofctl("dump-groups", BRIDGE).splitlines()[1:]))

    # -- traffic -------------------------------------------------------------------------------

    def reaches(self, one: str, other: str, timeout_s: float = 10.0) -> bool:
        """Whether a ping of one host is answered by another."""
        words = ["ip", "netns", "exec", self.hosts[one].netns, "ping", "-c", "1", "-W", str(timeout_s)]
        done = subprocess.run([*words, self.hosts[other].address], capture_output=True, check=False)
        return done.returncode == 0

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Yield every ordered pair of hosts."""
        return ((one, other) for one in self.hosts for other in self.hosts if one != other)


def _mac(number: int) -> str:
    return f"02:00:00:00:09:{number:02x}"


def _identity(number: int) -> dict[str, str]:
    """Return what the row of a host's port says."""
    return {
        "iface-id": f"h{number}",
        "attached-mac": _mac(number),
        "ringfence:ip": f"10.9.0.{number}",
        "ringfence:network": "lan",
        "ringfence:label/app": f"h{number}",
        "ringfence:label/side": ("even", "odd")[number % 2],
    }


def _make_bridge(ovs: PrivateOvs, dpid: int) -> None:
    bridge = f"-- set bridge {BRIDGE} datapath_type=netdev fail_mode=secure other_config:datapath-id={dpid:016x}"
    ovs.vsctl("add-br", BRIDGE, *bridge.split())


def _plug(ovs: PrivateOvs, port: str, ids: Mapping[str, str]) -> None:
    words = [f'external_ids:"{key}"="{value}"' for key, value in ids.items()]
    ovs.vsctl("add-port", BRIDGE, port, "--", "set", "interface", port, *words)


def said(site: FabricSite) -> str:
    """Return what the controller logged."""
    return Path(site.log).read_text()

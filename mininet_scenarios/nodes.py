"""Mininet's switch and host for Ringfence: the controller makes the bridge, the switch plugs ports into it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping, Sequence

from mininet.node import Host, OVSSwitch
from mininet.topo import Topo

from mininet_scenarios import ports
from mininet_scenarios.routes import ANYWHERE, Routes, strangers
from mininet_scenarios.scenario import Scenario, Workload

BRIDGE_TIMEOUT_S = 60
PREFIX_LENGTHS = {4: 24, 6: 64}


class RingfenceSwitch(OVSSwitch):  # type: ignore[misc]  # Mininet has no types
    """The integration bridge, once the controller has made it through OVSDB.

    Adds ports with their external_ids, and takes away only those; the bridge and its controller are
    not its business.
    """

    def __init__(self, name: str, *, external_ids: Mapping[str, Mapping[str, str]], **params: object) -> None:
        """Take what OVSDB shall say of each interface; no entry: the interface is not plugged at start."""
        super().__init__(name, **{**params, "batch": False})
        self.external_ids = external_ids

    def start(self, _controllers: object) -> None:
        """Plug the ports.

        Raises:
            RuntimeError: nobody made the bridge.
        """
        try:
            self.run_vsctl("wait-until", "Bridge", self.name)
        except RuntimeError as error:
            raise RuntimeError(f"no bridge {self.name}: start `ringfence run` first ({error})") from error
        self.plug(self.external_ids)

    def plug(self, external_ids: Mapping[str, Mapping[str, str]]) -> None:
        """Add ports, all in one transaction."""
        if external_ids:
            self.run_vsctl(*ports.plugged(self.name, external_ids))

    def relabel(self, interface: str, ids: Mapping[str, str]) -> None:
        """Replace the external_ids of a plugged port."""
        self.run_vsctl(*ports.relabelled(interface, ids))

    def unplug(self, interfaces: Iterable[str]) -> None:
        """Remove ports, all in one transaction."""
        words = ports.unplugged(self.name, interfaces)
        if words:
            self.run_vsctl(*words)

    def run_vsctl(self, *words: str) -> None:
        """Run ovs-vsctl with the environment's database.

        Raises:
            RuntimeError: with what it said.
        """
        # Not through the node's shell: a terminal line ends at 4,095 characters.
        done = subprocess.run(
            ["ovs-vsctl", f"--timeout={BRIDGE_TIMEOUT_S}", *words], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"ovs-vsctl {' '.join(words)}: {done.stderr.strip()}")

    def stop(self, deleteIntfs: bool = True) -> None:  # noqa: FBT001, FBT002, N803 - Mininet's own signature
        """Take the ports away."""
        self.unplug(self.external_ids)
        if deleteIntfs:
            self.deleteIntfs()

    @classmethod
    def batchStartup(cls, switches: Sequence[RingfenceSwitch], **_: object) -> Sequence[RingfenceSwitch]:  # noqa: N802
        """`start` has done it all."""
        return switches

    @classmethod
    def batchShutdown(cls, _switches: Sequence[RingfenceSwitch], **_: object) -> Sequence[RingfenceSwitch]:  # noqa: N802
        """Return none: each is stopped by itself, because bridges stay."""
        return ()


class WorkloadHost(Host):  # type: ignore[misc]  # Mininet has no types
    """A namespace with one interface, `eth0`, that sends nothing by itself."""

    def config(
        self,
        *,
        workload: Workload,
        neighbours: Sequence[tuple[str, str]] = (),
        gateways: Sequence[str] = (),
        **_: object,
    ) -> None:
        """Set MAC and addresses, and enter `neighbours` (address, MAC) for ever.

        Everything is reached on link, or by the gateway of its IP version.
        """
        ways = {6 if ":" in gateway else 4: f"via {gateway} " for gateway in gateways}
        lines = [
            "link set lo up",
            "link set eth0 down",
            f"link set eth0 address {workload.mac} addrgenmode none",
            "link set eth0 up",
            *(_address(text) for text in workload.addresses),
            *(
                f"route add {ANYWHERE[version]} {ways.get(version, '')}dev eth0"
                for version in sorted(_versions(workload))
            ),
            *(f"neigh replace {address} lladdr {mac} dev eth0 nud permanent" for address, mac in neighbours),
        ]
        # The userspace datapath does not finish checksums: the sender must.
        self.run(["ethtool", "-K", "eth0", "tx", "off", "rx", "off"])
        self.run(["ip", "-batch", "-"], "".join(f"{line}\n" for line in lines))
        # What Mininet's own commands (`web1 ping app1`, `pingall`) take for the host's address.
        self.defaultIntf().ip = next((a for a in workload.addresses if ":" not in a), None)

    def run(self, argv: Sequence[str], text: str = "") -> None:
        """Run a program inside.

        Raises:
            RuntimeError: with what it said.
        """
        process = self.popen([*argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said, _ = process.communicate(text.encode())
        if process.returncode:
            raise RuntimeError(f"{self.name}: {' '.join(argv)}: {said.decode(errors='replace').strip()}")

    def launch(self, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a program inside, with pipes; its errors go where ours go."""
        process: subprocess.Popen[bytes] = self.popen(
            [*argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None
        )
        return process


def _versions(workload: Workload) -> set[int]:
    return {6 if ":" in address else 4 for address in workload.addresses}


def _address(text: str) -> str:
    version = 6 if ":" in text else 4
    return f"addr add {text}/{PREFIX_LENGTHS[version]} dev eth0{' nodad' if version == 6 else ''}"  # noqa: PLR2004


class ScenarioTopo(Topo):  # type: ignore[misc]  # Mininet has no types
    """The integration bridge with every workload of a scenario."""

    def build(self, *, scenario: Scenario) -> None:
        """Declare switch, hosts and links; Mininet's `Topo` calls this."""
        plugged = {n: w.external_ids() for n, w in scenario.workloads.items() if n not in scenario.unplugged}
        routes = Routes(scenario.intents)
        switch = self.addSwitch(scenario.bridge, cls=RingfenceSwitch, dpid="1", external_ids=plugged)
        for number, workload in enumerate(scenario.workloads.values(), 1):
            host = self.addHost(
                workload.name,
                cls=WorkloadHost,
                ip=None,
                workload=workload,
                neighbours=strangers(workload, scenario.workloads.values(), routes),
                gateways=routes.gateways(workload),
            )
            self.addLink(host, switch, intfName1="eth0", intfName2=workload.name, port2=number)

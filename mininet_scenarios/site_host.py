"""One host of a site: a namespace with an Open vSwitch of its own, an underlay and a way to the controller.

The underlay is a bridge `br-phy` with the host's address, as the userspace datapath wants it for tunnels; a routed
network joins the hosts. The way to the controller is apart from it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from mininet_scenarios import namespaces, ports, shell
from mininet_scenarios.janitor import Janitor
from mininet_scenarios.private_ovs import START_TIMEOUT_S, Daemon, PrivateOvs

CONTROLLER = "172.31.255.1"
"""Where hosts reach the controller."""
UNDERLAY_MTU = 1500


def prepare() -> None:
    """Let the namespace that this runs in be the router of the underlay, and the controller's."""
    namespaces.batch([f"addr add {CONTROLLER}/32 dev lo"])
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


class SiteHost:
    """A host, from outside. A context manager."""

    def __init__(self, janitor: Janitor, name: str, number: int, bridge: str) -> None:
        """Number hosts from 1; nothing is started yet."""
        self.name = name
        self.number = number
        self.bridge = bridge
        self.ovs = PrivateOvs(janitor)
        self.address = f"10.99.{number}.2"
        """In the underlay."""
        # The kernel answers ARP on the device below the bridge too: with another MAC, half of the time for nobody.
        self._mac = f"02:99:00:00:00:{number:02x}"

    def start(self) -> None:
        """Start the daemons, make the underlay and the bridge that the controller is to adopt."""
        self.ovs.start()
        self._wire()
        self.make_bridges()

    def _wire(self) -> None:
        netns, n = self.ovs.netns, self.number
        namespaces.batch(
            (
                f"link add u{n} type veth peer name phy netns {netns} address {self._mac}",
                f"link add m{n} type veth peer name mgmt netns {netns}",
                *(f"link set {name}{n} up" for name in "um"),
                f"addr add 10.99.{n}.1/24 dev u{n}",
                f"addr add 172.31.{n}.1/24 dev m{n}",
            )
        )
        namespaces.batch(
            (
                "link set phy up",
                "link set mgmt up",
                f"addr add 172.31.{n}.2/24 dev mgmt",
                f"route add {CONTROLLER}/32 via 172.31.{n}.1",
            ),
            netns,
        )
        for device, where in ((f"u{n}", None), ("phy", netns)):
            shell.run(["ethtool", "-K", device, "tx", "off", "rx", "off"], where=shell.Surroundings(netns=where))

    def make_bridges(self) -> None:
        """Make what an administrator makes: the underlay bridge, the tunnel address, a fixed datapath id."""
        self.ovs.vsctl(
            *f"add-br br-phy -- set bridge br-phy datapath_type=netdev other_config:hwaddr={self._mac}"
            f" -- add-port br-phy phy -- add-br {self.bridge}"
            f" -- set bridge {self.bridge} datapath_type=netdev fail_mode=secure"
            f" other_config:datapath-id={self.number:016x} other_config:disable-in-band=true"
            f" -- set Open_vSwitch . external_ids:ringfence-tunnel-ip={self.address}".split()
        )
        namespaces.batch(
            (
                f"addr replace {self.address}/24 dev br-phy",
                f"link set br-phy up mtu {UNDERLAY_MTU}",
                f"route replace default via 10.99.{self.number}.1",
            ),
            self.ovs.netns,
        )

    # -- ports ----------------------------------------------------------------------------------

    def plug(self, external_ids: Mapping[str, Mapping[str, str]]) -> None:
        """Add ports with their external_ids, all in one transaction."""
        if external_ids:
            self.ovs.vsctl(*ports.plugged(self.bridge, external_ids))

    def relabel(self, interface: str, ids: Mapping[str, str]) -> None:
        """Replace the external_ids of a port."""
        self.ovs.vsctl(*ports.relabelled(interface, ids))

    def unplug(self, interfaces: Iterable[str]) -> None:
        """Remove ports."""
        if unplugging := ports.unplugged(self.bridge, interfaces):
            self.ovs.vsctl(*unplugging)

    def flows(self) -> list[str]:
        """Return the bridge's flows without counters, sorted."""
        return self.ovs.flows(self.bridge)

    # -- faults ---------------------------------------------------------------------------------

    def cut(self, *, underlay: bool) -> None:
        """Take the link to the other hosts down, or the one to the controller."""
        namespaces.batch([f"link set {'u' if underlay else 'm'}{self.number} down"])

    def mend(self, *, underlay: bool) -> None:
        """Take it up again."""
        namespaces.batch([f"link set {'u' if underlay else 'm'}{self.number} up"])

    def kill(self) -> None:
        """Kill both daemons."""
        for daemon in Daemon:
            self.ovs.kill(daemon)

    def revive(self) -> None:
        """Start what was killed, with the database as it was; give the underlay its address back."""
        for daemon in Daemon:
            self.ovs.start_daemon(daemon)
        self.make_address()
        self.await_bridge()

    def await_bridge(self) -> None:
        """Return when the bridge of a switch that was started answers: its daemon does so before.

        Raises:
            CommandError: it does not.
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                self.flows()
            except shell.CommandError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def empty(self) -> None:
        """Replace the database by an empty one, and make again what an administrator makes."""
        self.ovs.replace_database()
        self.make_bridges()

    def make_address(self) -> None:
        """Give the underlay bridge its address: its device is another one since the switch restarted."""
        namespaces.batch(
            (
                f"addr replace {self.address}/24 dev br-phy",
                "link set br-phy up",
                f"route replace default via 10.99.{self.number}.1",
            ),
            self.ovs.netns,
        )

"""Sends crafted frames into a real bridge and says at whose ports a marker came out."""

from __future__ import annotations

import dataclasses
import select
import socket
import time
from collections.abc import Callable

from intent.compiler.flow import Program
from intent.compiler.interpreter import Conntrack
from mininet_scenarios import namespaces
from mininet_scenarios.private_ovs import PrivateOvs
from tests.ovs.crafting import ARP, arp, ether
from tests.ovs.crafting_reading import read
from tests.ovs.crafting_site import NUMBERS, PORTS, SITES, four, hardware
from tests.ovs.raw_switch import RawSwitch
from tests.property.cases import Case as World
from tests.property.world import Switch

OUTGOING = 4
"""PACKET_OUTGOING (packet(7)): what we sent ourselves."""
ETH_P_ALL = 3
MTU = 9000
FENCE_TIMEOUT_S = 5.0


@dataclasses.dataclass(frozen=True, slots=True)
class Send:
    """Frames from one port, in this order, without a pause."""

    sender: str
    frames: tuple[bytes, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Replug:
    """An endpoint leaves and comes back with the same name, MAC and addresses: another attachment."""

    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Switchover:
    """The intents change to those of another site."""

    site: str


Step = Send | Replug | Switchover


def send(sender: str, *frames: bytes) -> Send:
    return Send(sender, frames)


@dataclasses.dataclass(frozen=True, slots=True)
class Attack:
    """A sequence, and at whose ports its marker comes out: at all of `sees` and nowhere else."""

    name: str
    site: str
    steps: Callable[[bytes], tuple[Step, ...]]
    sees: frozenset[str]
    why: str
    modelled: bool = True
    """False where what decides is nothing that `topology.packet.Frame` holds: an identifier, a flag."""


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """At whose ports a marker came out, and what the semantics foretold (None: it has no words for a frame)."""

    marked: frozenset[str]
    foretold: frozenset[str] | None


class Bench:
    """One bridge with a tap for each endpoint, followed by the compiler's and the semantics' model of it."""

    def __init__(self, ovs: PrivateOvs, bridge: str) -> None:
        self.switch = RawSwitch(ovs, bridge, max(PORTS.values()))
        self._sockets: dict[str, socket.socket] = {}
        names = {name: f"{bridge}p{number}" for name, number in PORTS.items()}
        for tap in names.values():
            ovs.vsctl("set", "interface", tap, f"mtu_request={MTU}", wait=False)
        ovs.vsctl("--", "init")  # waits until the switch has done it
        with namespaces.entered(ovs.netns or ""):
            namespaces.batch(f"link set {tap} up addrgenmode none" for tap in names.values())
            for name, tap in names.items():
                self._sockets[name] = _listen(tap)
        self.sites = {name: Switch(site.world()) for name, site in SITES.items()}
        self._site = ""
        self._kept: dict[str, list[bytes]] = {}
        self._installed: Program | None = None

    def close(self) -> None:
        for found in self._sockets.values():
            found.close()
        self.switch.close()

    def run(self, attack: Attack, marker: bytes) -> Seen:
        """Play an attack from a clean state."""
        self._reset(attack.site)
        lives: dict[str, int] = {}
        foretold: set[str] | None = set() if attack.modelled else None
        for step in attack.steps(marker):
            if isinstance(step, Send):
                foretold = self._foretell(step, marker, foretold)
                self._play(step)
                continue
            if isinstance(step, Replug):
                lives[step.name] = lives.get(step.name, 0) + 1
            self._follow(SITES[step.site if isinstance(step, Switchover) else attack.site].world(lives))
        for name in PORTS:
            self._drain(name)
        marked = {name for name, frames in self._kept.items() if any(marker in frame for frame in frames)}
        return Seen(frozenset(marked), None if foretold is None else frozenset(foretold))

    def _foretell(self, step: Send, marker: bytes, before: set[str] | None) -> set[str] | None:
        """Add who should see the marker according to the semantics; None once it has no words for a frame."""
        for data in step.frames:
            frame = read(data, PORTS[step.sender])
            if frame is None or before is None:
                return None
            location = self.model.check(frame).fate.location
            if location is not None and marker in data:
                before = before | {name for name, number in PORTS.items() if number == location.ofport}
        return before

    @property
    def model(self) -> Switch:
        return self.sites[self._site]

    def _play(self, step: Send) -> None:
        """Send, and return when the switch has done all it does with it."""
        for frame in step.frames:
            self._sockets[step.sender].send(frame)
        self._fence(step.sender)

    def _reset(self, site: str) -> None:
        """Bring in a site with no connection open and nothing on the way."""
        self._site = site
        self._follow(SITES[site].world())
        self.model.conntrack = Conntrack()
        self.switch._call("dpctl/flush-conntrack", [])
        for name in PORTS:
            self._drain(name)
        self._kept.clear()

    def _follow(self, world: World) -> None:
        self.model.follow(world)
        if self._installed != self.model.program:
            self.switch.install(self.model.program)
            self.switch._call("revalidator/wait", [])  # until then the old verdict may hold (law 3)
            self._installed = self.model.program

    def _fence(self, sender: str) -> None:
        """Ask for a neighbour twice: the second answer comes after everything before the first has gone out."""
        asker = sender if sender in NUMBERS else "client"
        query = arp(1, hardware(asker), four(asker), "00:00:00:00:00:00", four(asker))
        for _ in range(2):
            self._sockets[asker].send(ether(hardware(asker), "ff:ff:ff:ff:ff:ff", ARP, query))
            self._await_answer(asker)

    def _await_answer(self, name: str) -> None:
        give_up_at = time.monotonic() + FENCE_TIMEOUT_S
        while time.monotonic() < give_up_at:
            for frame in self._drain(name, 0.1):
                if frame[12:14] == ARP.to_bytes(2) and frame[21] == 2:
                    return
        raise AssertionError(f"no answer to the fence of {name}")

    def _drain(self, name: str, wait_s: float = 0.0) -> list[bytes]:
        """Return what came to a port; what the fence skips over is kept for `_seen`."""
        link = self._sockets[name]
        found: list[bytes] = []
        while select.select([link], [], [], 0.0 if found else wait_s)[0]:
            frame, address = link.recvfrom(1 << 16)
            if address[2] != OUTGOING:
                found.append(frame)
        self._kept.setdefault(name, []).extend(found)
        return found


def _listen(tap: str) -> socket.socket:
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    link.bind((tap, 0))
    return link

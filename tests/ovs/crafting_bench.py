"""Sends crafted frames into a real bridge and says at whose ports a marker came out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from intent.compiler.flow import Program
from intent.compiler.interpreter import Conntrack
from mininet_scenarios.private_ovs import PrivateOvs
from tests.ovs.crafting_reading import read
from tests.ovs.crafting_site import NUMBERS, PORTS, SITES, four, hardware
from tests.ovs.raw_switch import RawSwitch
from tests.ovs.taps import Taps
from tests.property.cases import Case as World
from tests.property.world import Switch

MTU = 9000


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
        names = {name: f"{bridge}p{number}" for name, number in PORTS.items()}
        for tap in names.values():
            ovs.vsctl("set", "interface", tap, f"mtu_request={MTU}", wait=False)
        ovs.vsctl("--", "init")  # waits until the switch has done it
        self._taps = Taps(ovs, names)
        self.sites = {name: Switch(site.world()) for name, site in SITES.items()}
        self._site = ""
        self._installed: Program | None = None

    def close(self) -> None:
        self._taps.close()
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
            self._taps.drain(name)
        marked = {name for name, frames in self._taps.heard.items() if any(marker in frame for frame in frames)}
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
        self._taps.send(step.sender, *step.frames)
        asker = step.sender if step.sender in NUMBERS else "client"
        self._taps.fence(asker, hardware(asker), four(asker))

    def _reset(self, site: str) -> None:
        """Bring in a site with no connection open and nothing on the way."""
        self._site = site
        self._follow(SITES[site].world())
        self.model.conntrack = Conntrack()
        self.switch._call("dpctl/flush-conntrack", [])
        self._taps.forget()

    def _follow(self, world: World) -> None:
        self.model.follow(world)
        if self._installed != self.model.program:
            self.switch.install(self.model.program)
            self.switch._call("revalidator/wait", [])  # until then the old verdict may hold (law 3)
            self._installed = self.model.program

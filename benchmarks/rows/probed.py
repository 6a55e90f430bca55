"""A bench switch with a few real ports, a probe through them, and worlds to load beside."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address
from typing import Any

from benchmarks.switches import BRIDGE
from benchmarks.wires import TAIL_BYTES, Prober, make_wires, plug_wires, udp
from benchmarks.workloads import Document, World, endpoint, mac_of
from mininet_scenarios.janitor import Janitor
from mininet_scenarios.private_ovs import PrivateOvs

PORT, CLIENT = 9000, 40000
MANY = 64
"""Addresses of an endpoint that fills the cache; the most that a document may have."""
CROWD = IPv4Address("10.200.0.0")
CROWD_SIDES = 4
"""Senders, and receivers; so many times 64 addresses each make 65,536 pairs."""
_MEGAFLOWS = re.compile(r"flows\s*:\s*\(current (\d+)\)")


def probed_world(world: World | None = None, first: int = 0) -> World:
    """Return a world with two endpoints more, numbers `first` and `first` + 1: the first may send UDP to the other."""
    world = world or World({}, {}, {})
    ends = [endpoint(first, {"role": "prober"}), endpoint(first + 1, {"role": "probed"})]
    return world.but(
        endpoints={**world.endpoints, **{e["name"]: e for e in ends}},
        policies={**world.policies, "probe": allow("probe", "prober", "probed")},
    )


def allow(name: str, source: str, target: str, service: str = f"udp/{PORT}") -> Document:
    """Return a policy between two roles."""
    ends: Mapping[str, Any] = {"from": [{"labels": {"role": source}}], "to": [{"labels": {"role": target}}]}
    return {"kind": "Policy", "name": name, "rules": [{"action": "allow", **ends, "services": [service]}]}


def crowd(first: int) -> list[Document]:
    """Return endpoints with many addresses: four that send, then four that are sent to."""
    made = []
    for number in range(2 * CROWD_SIDES):
        role = "sending" if number < CROWD_SIDES else "sent"
        addresses = [str(CROWD + number * 256 + n + 1) for n in range(MANY)]
        made.append(endpoint(first + number, {"role": role}) | {"addresses": addresses})
    return made


def crowd_frames(members: Sequence[Document], first: int) -> dict[str, list[str]]:
    """Return, by the wire they are sent on, a frame for every pair of addresses; in random order."""
    frames: dict[str, list[str]] = {}
    for number, sender in enumerate(members[:CROWD_SIDES], first):
        made = [
            (
                udp((sender["mac"], target["mac"]), (IPv4Address(a), IPv4Address(b)), (CLIENT, PORT))
                + bytes(TAIL_BYTES)
            ).hex()
            for target in members[CROWD_SIDES:]
            for a in sender["addresses"]
            for b in target["addresses"]
        ]
        random.Random(number).shuffle(made)
        frames[f"w{number}"] = made
    return frames


def probe_frame(world: World, source: int, target: int, port: int = PORT) -> str:
    """Return a UDP frame from one endpoint of a world to another, as a prober takes it."""
    ends = [world.endpoints[f"e{n}"] for n in (source, target)]
    addresses = (IPv4Address(ends[0]["addresses"][0]), IPv4Address(ends[1]["addresses"][0]))
    return udp((mac_of(source), mac_of(target)), addresses, (CLIENT, port)).hex()


@contextmanager
def wired(janitor: Janitor, ovs: PrivateOvs, numbers: Sequence[int]) -> Iterator[Prober]:
    """Yield a prober that holds the far ends of new wires; they are plugged later, by `plug`."""
    make_wires(ovs, numbers)
    # Old cached flows must stay: how many there are is what is measured.
    ovs.vsctl("--", "set", "open", ".", "other_config:max-idle=600000", "other_config:flow-limit=200000")
    yield Prober(janitor, ovs)


def plug(ovs: PrivateOvs, numbers: Sequence[int], bridge: str = BRIDGE) -> None:
    """Plug wires into a bridge that was made anew."""
    plug_wires(ovs, bridge, numbers)


def megaflows(ovs: PrivateOvs) -> int:
    """Return how many flows the datapath has cached."""
    return sum(int(count) for count in _MEGAFLOWS.findall(ovs.appctl("upcall/show")))

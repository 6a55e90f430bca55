"""Real ports of a bench switch, and frames through them: veth pairs whose far ends a prober process holds."""

from __future__ import annotations

import itertools
import json
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from mininet_scenarios import namespaces
from mininet_scenarios.janitor import Janitor
from mininet_scenarios.private_ovs import PrivateOvs

ROOT = Path(__file__).parent.parent
TCP, UDP, TTL = 6, 17, 64
TAIL_BYTES = 24
"""What a prober adds to each frame of a probe."""


def make_wires(ovs: PrivateOvs, numbers: Sequence[int]) -> None:
    """Make veth pairs: `v<n>` for the switch, `w<n>` for the prober; everything up, silent, nothing offloaded."""
    batch = [f"link add v{n} type veth peer name w{n}" for n in numbers]
    batch += [f"link set {side}{n} addrgenmode none up" for n in numbers for side in "vw"]
    namespaces.batch(batch, ovs.netns)


def plug_wires(ovs: PrivateOvs, bridge: str, numbers: Sequence[int]) -> None:
    """Plug `v<n>` at OpenFlow port n + 1 with iface-id `e<n>`."""
    words: list[str] = []
    for n in numbers:
        words += ["--", "add-port", bridge, f"v{n}", "--", "set", "interface", f"v{n}"]
        words += [f"external_ids:iface-id=e{n}", f"ofport_request={n + 1}"]
    ovs.vsctl(*words[1:])


def mac_bytes(mac: str) -> bytes:
    """Return a MAC as bytes."""
    return bytes.fromhex(mac.replace(":", ""))


def udp(macs: tuple[str, str], addresses: tuple[IPv4Address, IPv4Address], ports: tuple[int, int]) -> bytes:
    """Return an Ethernet frame with a UDP datagram but for its 24 bytes of data; no UDP checksum."""
    head = struct.pack("!HHHH", *ports, 8 + TAIL_BYTES, 0)
    return _ethernet(macs, _ip(addresses, UDP, len(head) + TAIL_BYTES)) + head


def tcp(macs: tuple[str, str], addresses: tuple[IPv4Address, IPv4Address], ports: tuple[int, int]) -> bytes:
    """Return an Ethernet frame with a SYN."""
    syn = struct.pack("!HHIIBBHHH", *ports, 1, 0, 5 << 4, 2, 65_535, 0, 0)
    pseudo = addresses[0].packed + addresses[1].packed + struct.pack("!HH", TCP, len(syn))
    syn = syn[:16] + checksum(pseudo + syn).to_bytes(2) + syn[18:]
    return _ethernet(macs, _ip(addresses, TCP, len(syn))) + syn


def _ethernet(macs: tuple[str, str], packet: bytes) -> bytes:
    return mac_bytes(macs[1]) + mac_bytes(macs[0]) + b"\x08\x00" + packet


def _ip(addresses: tuple[IPv4Address, IPv4Address], protocol: int, size: int) -> bytes:
    """Return an IPv4 header for so many bytes behind it."""
    ends = (addresses[0].packed, addresses[1].packed)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + size, 0, 0, TTL, protocol, 0, *ends)
    return head[:10] + checksum(head).to_bytes(2) + head[12:]


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071) of an even number of bytes."""
    words: tuple[int, ...] = struct.unpack(f"!{len(data) // 2}H", data)
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


class Prober:
    """The process of `prober.py` in the switch's namespace."""

    def __init__(self, janitor: Janitor, ovs: PrivateOvs) -> None:
        where = janitor.surroundings(ovs.netns, {"PYTHONPATH": str(ROOT)})
        command = [sys.executable, "-m", "benchmarks.prober"]
        self._process: subprocess.Popen[bytes] = janitor.start(command, where=where, pipe=True)

    def ask(self, op: str, **arguments: object) -> Any:  # noqa: ANN401 - JSON
        """Return the answer to one request.

        Raises:
            ConnectionError: the process ended.
        """
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"op": op, **arguments}).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise ConnectionError("the prober ended; its words are above")
        return json.loads(line)


def lost(notes: Mapping[str, Any]) -> int:
    """Return how many frames of a stream did not arrive."""
    return len(notes["sent"]) - len({number for number, _, _ in notes["got"]})


def longest_gap_ms(notes: Mapping[str, Any]) -> float:
    """Return the longest time between two arrivals."""
    instants = sorted(at for _, at, _ in notes["got"])
    return max((b - a for a, b in itertools.pairwise(instants)), default=float("inf")) * 1000

"""Raw sockets at the ports of a bridge: what is sent into it, and what came out, when it has done all it does."""

from __future__ import annotations

import select
import socket
import time
from typing import TYPE_CHECKING

from mininet_scenarios import namespaces
from tests.ovs.crafting import ARP, arp, ether

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mininet_scenarios.private_ovs import PrivateOvs

ETH_P_ALL = 3
FENCE_TIMEOUT_S = 30.0


class Taps:
    """A socket at each of some ports, by a name of one's own; what came to one is kept until `forget`."""

    def __init__(self, ovs: PrivateOvs, devices: Mapping[str, str]) -> None:
        self._sockets: dict[str, socket.socket] = {}
        self.heard: dict[str, list[bytes]] = {}
        with namespaces.entered(ovs.netns or ""):
            namespaces.batch(f"link set {device} up addrgenmode none" for device in devices.values())
            for name, device in devices.items():
                self._sockets[name] = _listen(device)

    def close(self) -> None:
        for found in self._sockets.values():
            found.close()

    def send(self, name: str, *frames: bytes) -> None:
        for frame in frames:
            self._sockets[name].send(frame)

    def fence(self, name: str, hardware: str, four: str) -> None:
        """Ask for a neighbour twice: the second answer comes after everything before the first has gone out."""
        query = arp(1, hardware, four, "00:00:00:00:00:00", four)
        for _ in range(2):
            self.send(name, ether(hardware, "ff:ff:ff:ff:ff:ff", ARP, query))
            self._await_answer(name)

    def _await_answer(self, name: str) -> None:
        give_up_at = time.monotonic() + FENCE_TIMEOUT_S
        while time.monotonic() < give_up_at:
            for frame in self.drain(name, 0.1):
                if frame[12:14] == ARP.to_bytes(2) and frame[21] == 2:
                    return
        raise AssertionError(f"no answer to the fence of {name}")

    def drain(self, name: str, wait_s: float = 0.0) -> list[bytes]:
        """Return what came to a port since it was asked last, and keep it."""
        link = self._sockets[name]
        found: list[bytes] = []
        while select.select([link], [], [], 0.0 if found else wait_s)[0]:
            frame, address = link.recvfrom(1 << 16)
            if address[2] != socket.PACKET_OUTGOING:
                found.append(frame)
        self.heard.setdefault(name, []).extend(found)
        return found

    def forget(self) -> None:
        """Begin anew: what came until now is nobody's."""
        for name in self._sockets:
            self.drain(name)
        self.heard.clear()


def _listen(device: str) -> socket.socket:
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    link.bind((device, 0))
    return link

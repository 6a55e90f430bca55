"""Network namespaces that stand for workloads, and the veth pairs that plug them into a switch.

Many at once: each step is one `ip -batch` for all, because starting a program costs milliseconds.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import ipaddress
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mininet_scenarios import shell

CLONE_NEWNET = 0x40000000
PREFIX_LENGTHS = {4: 24, 6: 64}


@dataclasses.dataclass(frozen=True, slots=True)
class Nic:
    """One veth pair: `outer` on the switch's side, `inner` in the workload's namespace."""

    netns: str
    outer: str
    mac: str
    addresses: tuple[str, ...]
    """`10.1.0.1` or `10.1.0.1/24`; without a length /24 and /64, all on link."""
    inner: str = "eth0"


def batch(lines: Iterable[str], netns: str | None = None) -> None:
    """Run many `ip` commands (without the word `ip`) in one process.

    Raises:
        CommandError: one of them failed; those before it hold.
    """
    options = [] if netns is None else ["-n", netns]
    shell.run(["ip", *options, "-batch", "-"], text="".join(f"{line}\n" for line in lines))


def plug(nics: Sequence[Nic], switch_netns: str | None = None) -> None:
    """Make the pairs, set MACs and addresses, everything up, checksum offload off on the inner side.

    The userspace datapath does not finish checksums, so the sender must. IPv6 addresses skip
    duplicate detection, and no link-local address is made: nothing is sent that nobody asked for.
    """
    outside = "" if switch_netns is None else f" netns {switch_netns}"
    batch(f"link add {n.outer}{outside} type veth peer name {n.inner} netns {n.netns} address {n.mac}" for n in nics)
    batch((f"link set {n.outer} up addrgenmode none" for n in nics), switch_netns)
    for nic in nics:
        batch(_inside(nic), nic.netns)
        shell.run(["ethtool", "-K", nic.inner, "tx", "off", "rx", "off"], where=shell.Surroundings(netns=nic.netns))


def unplug(outers: Iterable[str], switch_netns: str | None = None) -> None:
    """Delete pairs by their outer names."""
    batch((f"link del {name}" for name in outers), switch_netns)


def _inside(nic: Nic) -> Iterator[str]:
    yield f"link set {nic.inner} addrgenmode none"
    yield f"link set {nic.inner} up"
    for text in nic.addresses:
        yield f"addr add {with_length(text)} dev {nic.inner}{' nodad' if ':' in text else ''}"


def with_length(address: str) -> str:
    """Return an address with its prefix length: the given one, else /24 (IPv4) or /64 (IPv6)."""
    if "/" in address:
        return str(ipaddress.ip_interface(address))
    parsed = ipaddress.ip_address(address)
    return f"{parsed}/{PREFIX_LENGTHS[parsed.version]}"


@contextlib.contextmanager
def entered(netns: str) -> Iterator[None]:
    """Put the calling thread into a named namespace: sockets made inside belong to it for ever.

    Raises:
        OSError: there is no such namespace, or no permission.
    """
    back = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        inside = os.open(Path("/run/netns") / netns, os.O_RDONLY)
        try:
            _setns(inside)
        finally:
            os.close(inside)
        try:
            yield
        finally:
            _setns(back)
    finally:
        os.close(back)


def _setns(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, f"cannot enter the network namespace: {os.strerror(number)}")

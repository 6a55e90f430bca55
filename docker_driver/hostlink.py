"""The interface by which the host reaches the switch, and the routes to containers over it.

A veth pair: `rfdocker` is the host's, with a fixed MAC; `rfdocker-sw` is the switch's. Each subnet has a
route by its gateway, which is the router in the switch; its MAC is known, so nobody is asked for it.
Sources: ip-route(8), ip-neighbour(8), Documentation/networking/ip-sysctl.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import subprocess
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

from docker_driver import links
from docker_driver.errors import Refused

HOST_MAC = "02:52:66:00:00:01"
"""Of the host's end: the same after each restart, so that routers in switches need not learn it."""
TIMEOUT_S = 10.0
_SYSCTL = Path("/proc/sys/net")
_SETTINGS = (
    # The containers are behind this interface and send from their own subnets only: strict filtering fits.
    ("ipv4", "rp_filter", "1"),
    ("ipv4", "forwarding", "1"),
    # So that 127.0.0.1:PORT of the host leads to a container; the firewall drops what comes the other way.
    ("ipv4", "route_localnet", "1"),
    ("ipv4", "accept_redirects", "0"),
    ("ipv4", "send_redirects", "0"),
    ("ipv6", "accept_ra", "0"),
    ("ipv6", "accept_redirects", "0"),
    ("ipv6", "forwarding", "1"),
)
_FORWARDING = {4: "ipv4/ip_forward", 6: "ipv6/conf/all/forwarding"}


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Way:
    """A route: to a subnet by its gateway, whose MAC is the router's."""

    subnet: str
    gateway: str
    mac: str
    mtu: int


def switch_end(interface: str) -> str:
    """Return the name of the end that is the switch's."""
    return f"{interface}-sw"


def ensure(interface: str, mtu: int) -> bool:
    """Make the pair, or raise its MTU; return whether it was made now (then the switch's port is a new one).

    Raises:
        Refused: the kernel refuses, or the name is somebody else's.
    """
    present = links.names()
    outer = switch_end(interface)
    made = not {interface, outer} <= present
    try:
        if made:
            if interface in present:
                raise Refused(f"there is an interface {interface} that is not ours: set outside.interface")
            links.make_pair(outer, interface, HOST_MAC, mtu)
            _ip(f"link set dev {interface} up")
        elif _mtu(interface) < mtu:
            _ip(f"link set dev {outer} mtu {mtu}", f"link set dev {interface} mtu {mtu}")
        _settle(interface)
    except OSError as error:
        raise Refused(f"{interface}: {error.strerror or error}") from error
    return made


def remove(interface: str) -> None:
    """Remove the pair, if it is there, and with it its routes."""
    if switch_end(interface) in links.names():
        links.remove(switch_end(interface))


def route(interface: str, ways: Iterable[Way]) -> list[str]:
    """Make the routes over the interface those given; return why some could not be made.

    Raises:
        Refused: `ip` refuses.
    """
    wanted = {way.subnet: way for way in ways}
    there, elsewhere = _routes(interface)
    problems = []
    for subnet in [subnet for subnet in wanted if subnet not in there]:
        # A subnet of the host's own network is not taken from it.
        clash = next((f"{d} on {dev}" for d, dev in elsewhere if _overlap(d, subnet)), None)
        if clash is not None:
            problems.append(f"{subnet} has no way out: the host has a route to {clash}; choose another --subnet")
            del wanted[subnet]
    surplus = [f"route del {subnet} dev {interface}" for subnet in there if subnet not in wanted]
    _ip(*surplus, *(line for way in sorted(wanted.values()) for line in _lines(interface, way)))
    return problems


def routed(proc: Path = Path("/proc/net")) -> list[IPv4Network | IPv6Network]:
    """Return the subnets that the host has routes to, without default routes. Sources: proc(5), net/ipv6/route.c."""
    found: list[IPv4Network | IPv6Network] = []
    for line in _read(proc / "route").splitlines()[1:]:
        _, target, _, _, _, _, _, mask, *_ = line.split()
        prefix = int(mask, 16).bit_count()
        if prefix:
            found.append(IPv4Network((int.from_bytes(bytes.fromhex(target)[::-1]), prefix)))
    for line in _read(proc / "ipv6_route").splitlines():
        target, prefix_hex, *_, device = line.split()
        if int(prefix_hex, 16) and device != "lo":
            found.append(IPv6Network((bytes.fromhex(target), int(prefix_hex, 16))))
    return found


def not_forwarding(versions: Iterable[int]) -> list[str]:
    """Return the settings without which the host forwards nothing, and which are off."""
    files = [_FORWARDING[version] for version in sorted(set(versions))]
    return [f"net.{f.replace('/', '.')}" for f in files if _read(_SYSCTL / f) == "0"]


def _lines(interface: str, way: Way) -> Iterator[str]:
    yield f"neigh replace {way.gateway} lladdr {way.mac} dev {interface} nud permanent"
    yield f"route replace {way.subnet} via {way.gateway} dev {interface} onlink mtu lock {way.mtu}"


def _routes(interface: str) -> tuple[set[str], list[tuple[str, str]]]:
    """Return the subnets routed over the interface, and all other routes but default ones with their devices."""
    there, elsewhere = set(), []
    for family in ("-4", "-6"):
        for entry in _json(family, "route", "show"):
            subnet, device = str(entry.get("dst", "")), str(entry.get("dev", ""))
            if subnet == "default" or (family == "-6" and subnet.startswith(("fe80:", "ff"))):
                continue
            if device != interface:
                elsewhere.append((subnet, device))
            elif "gateway" in entry:
                there.add(subnet)
    return there, elsewhere


def _overlap(one: str, other: str) -> bool:
    try:
        a, b = ipaddress.ip_network(one, strict=False), ipaddress.ip_network(other)
    except ValueError:
        return False
    return a.version == b.version and int(a[0]) <= int(b[-1]) and int(b[0]) <= int(a[-1])


def _settle(interface: str) -> None:
    for family, key, value in _SETTINGS:
        path = _SYSCTL / family / "conf" / interface / key
        if path.exists() and _read(path) != value:
            path.write_text(value)


def _mtu(interface: str) -> int:
    return int(_read(Path("/sys/class/net") / interface / "mtu") or 0)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _json(*words: str) -> list[dict[str, Any]]:
    found = json.loads(_run(["ip", "-j", *words]) or "[]")
    return [entry for entry in found if isinstance(entry, dict)]


def _ip(*lines: str) -> None:
    if lines:
        _run(["ip", "-force", "-batch", "-"], "\n".join(lines) + "\n")


def _run(command: list[str], text: str = "") -> str:
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refused(f"ip does not run: {error}") from error
    if done.returncode:
        raise Refused(f"ip refuses: {' '.join(done.stderr.split())[:500]}")
    return done.stdout

"""The host's side of the way out: one nftables table of ours, replaced as a whole whenever it should differ.

It translates addresses and nothing else decides here; what may pass is policy, and the switch enforces it.
Clients keep their source address on the way in, so that policy sees who they are. Sources: nft(8).
"""

from __future__ import annotations

import dataclasses
import ipaddress
import shutil
import subprocess
from collections.abc import Iterable, Iterator

from docker_driver.errors import Refused
from docker_driver.state import Published

TABLE = "inet ringfence_docker"
TIMEOUT_S = 10.0
_TABLES = ("iptables", "ip6tables")
_MAX_WORDS = 500


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Target:
    """Where a published port leads."""

    published: Published
    address: str
    """Of the container: one target for each IP version."""


def script(interface: str, subnets: Iterable[str], targets: Iterable[Target]) -> str:
    """Return the nft script that makes the table what it should be; `interface` leads to the switch."""
    wired = f'"{interface}"'
    ordered = sorted(targets)
    # What is published at the loopback alone is not for a neighbour that writes 127.0.0.1 into its packets.
    outer = [t for t in ordered if not _is_loopback(t.published.host_address)]
    lines = [
        *_table_start(),
        # Nobody on the switch speaks to the host's loopback, though packets of ours may come from there (below).
        "chain raw { type filter hook prerouting priority raw; policy accept;",
        f"  iifname {wired} ip daddr 127.0.0.0/8 drop; }}",
        "chain prerouting { type nat hook prerouting priority dstnat; policy accept;",
        # From container to container by way of the host a packet would lose whose it is.
        f"  iifname {wired} return;",
        *(f"  {line};" for target in outer for line in _redirect(target)),
        "}",
        "chain output { type nat hook output priority -100; policy accept;",
        *(f"  {line};" for target in ordered for line in _redirect(target)),
        "}",
        "chain postrouting { type nat hook postrouting priority srcnat; policy accept;",
        f"  oifname {wired} ip saddr 127.0.0.0/8 masquerade;",
        *(f"  {_family(s)} saddr {s} oifname != {{ {wired}, lo }} masquerade;" for s in sorted(subnets)),
        "}",
        "chain forward { type filter hook forward priority filter; policy accept;",
        f"  iifname {wired} oifname {wired} drop;",
        f"  oifname {wired} ct state established,related accept;",
        f"  oifname {wired} ct status dnat accept;",
        f"  oifname {wired} drop; }}",
        "}",
    ]
    return "\n".join(lines) + "\n"


def removal() -> str:
    """Return the nft script that removes the table, if it is there."""
    return f"table {TABLE}\ndelete table {TABLE}\n"


def _table_start() -> Iterator[str]:
    yield f"table {TABLE}"
    yield f"delete table {TABLE}"
    yield f"table {TABLE} {{"


def _redirect(target: Target) -> Iterator[str]:
    published, family = target.published, _family(target.address)
    asked = published.host_address
    if asked and _family(asked) != family:
        return
    anywhere = not asked or ipaddress.ip_address(asked).is_unspecified
    where = "fib daddr type local" if anywhere else f"{family} daddr {asked}"
    to = f"[{target.address}]" if family == "ip6" else target.address
    protocol = f"meta nfproto {'ipv6' if family == 'ip6' else 'ipv4'} {published.protocol}"
    yield f"{where} {protocol} dport {published.host_port} dnat {family} to {to}:{published.port}"


def _is_loopback(text: str) -> bool:
    return bool(text) and ipaddress.ip_address(text).is_loopback


def _family(text: str) -> str:
    return "ip6" if ":" in text else "ip"


def missing() -> str:
    """Return why this machine cannot translate addresses; empty when it can."""
    for program in ("nft", "ip"):
        if shutil.which(program) is None:
            return f"there is no {program}: apt-get install nftables iproute2"
    sample = (Target(Published("tcp", "", 1, 1), "192.0.2.1"), Target(Published("udp", "", 1, 1), "2001:db8::1"))
    try:
        _nft(script("lo", ("192.0.2.0/24", "2001:db8::/64"), sample), "--check")
    except Refused as refused:
        return f"{refused}; the kernel needs nf_tables with nat, masquerade and fib for inet"
    return ""


def apply(text: str) -> None:
    """Run an nft script: wholly or not at all.

    Raises:
        Refused: nft or the kernel refuses.
    """
    _nft(text)


def remove(interface: str) -> None:
    """Remove the table, and what was said to Docker's.

    Raises:
        Refused: nft or the kernel refuses.
    """
    apply(removal())
    for program in _TABLES:
        for rule in _docker_rules(interface):
            if _iptables(program, "-C", *rule):
                _iptables(program, "-D", *rule)


def let_through_docker(interface: str) -> None:
    """Let pass what comes from the switch and goes to it where Docker's firewall forwards nothing else.

    `DOCKER-USER` is the chain that Docker keeps for rules of others; where there is none nothing is done.
    """
    for program in _TABLES:
        if _iptables(program, "-S"):
            for rule in _docker_rules(interface):
                if not _iptables(program, "-C", *rule):
                    _iptables(program, "-I", *rule)


def _docker_rules(interface: str) -> tuple[tuple[str, ...], ...]:
    return (("-i", interface, "-j", "ACCEPT"), ("-o", interface, "-j", "ACCEPT"))


def _iptables(program: str, action: str, *words: str) -> bool:
    """Run iptables on the chain DOCKER-USER; tell whether it did what was asked."""
    if shutil.which(program) is None:
        return False
    command = [program, "-w", "2", action, "DOCKER-USER", *words]
    try:
        return subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def standing() -> bool:
    """Say whether the table is there."""
    command = ["nft", "list", "table", *TABLE.split()]
    return subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False).returncode == 0


def _nft(text: str, *words: str) -> None:
    try:
        done = subprocess.run(
            ["nft", *words, "-f", "-"], input=text, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refused(f"nft does not run: {error}") from error
    if done.returncode:
        raise Refused(f"nft refuses: {' '.join(done.stderr.split())[:_MAX_WORDS]}")

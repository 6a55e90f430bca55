"""Walks of packets through a compiled program, step by step, for docs/pipeline.md."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, ip_address
from typing import NamedTuple

from intent.compiler import IdMap, allocate, compile_program, cookie
from intent.compiler import fields as f
from intent.compiler.cookie import Guard, Kind
from intent.compiler.fields import Field
from intent.compiler.flow import IN_PORT, Flow, FlowKey, Program
from intent.compiler.interpreter import Conntrack, Interpreter, Result, opening_of
from intent.compiler.render import flow_text
from intent.compiler.tables import Priority, Table, table_name
from scripts.example import DPID, Example
from topology.packet import ETH_ARP, ETH_IPV4, ICMP, TCP, Frame, Opening

NAMES = {number: table_name(number) for number in range(256)}
SPACES = {Kind.ENDPOINT: "attachment", Kind.RULE: "rule", Kind.POSTURE: "network"}
STATES = (
    (f.CS_NEW, "new"),
    (f.CS_EST, "est"),
    (f.CS_REL, "rel"),
    (f.CS_RPL, "rpl"),
    (f.CS_INV, "inv"),
    (f.CS_TRK, "trk"),
)
CLIENT, SERVER = ip_address("10.1.0.1"), ip_address("10.1.0.2")
CLIENT_MAC, SERVER_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
CLIENT_PORT, SERVER_PORT = 40000, 8080
REVOKED = "app"
"""The policy whose rule carries the connection, until it is deleted."""

_SYN = Frame(
    DPID,
    1,
    CLIENT_MAC,
    SERVER_MAC,
    ETH_IPV4,
    src=CLIENT,
    dst=SERVER,
    protocol=TCP,
    sport=CLIENT_PORT,
    dport=SERVER_PORT,
)
_REPLY = Frame(
    DPID,
    2,
    SERVER_MAC,
    CLIENT_MAC,
    ETH_IPV4,
    src=SERVER,
    dst=CLIENT,
    protocol=TCP,
    sport=SERVER_PORT,
    dport=CLIENT_PORT,
)
_ERROR = dataclasses.replace(_REPLY, protocol=ICMP, sport=None, dport=None, icmp_type=3, icmp_code=4)
_DENIED = dataclasses.replace(_SYN, dport=9090)
_REFUSED = dataclasses.replace(_SYN, dport=22)
_FORGED = dataclasses.replace(_SYN, src=ip_address("10.1.0.9"))
_ARP = Frame(
    DPID,
    1,
    CLIENT_MAC,
    "ff:ff:ff:ff:ff:ff",
    ETH_ARP,
    arp_op=1,
    arp_spa=IPv4Address("10.1.0.1"),
    arp_tpa=IPv4Address("10.1.0.2"),
    arp_sha=CLIENT_MAC,
)


class Scene(NamedTuple):
    """One frame, and what the page says of it."""

    title: str
    words: str
    frame: Frame
    ends: str
    """`port 2`, `answered`, `dropped` or `shown to the controller`: the words hold only if it does."""
    quoted: Opening | None = None
    """The connection that an ICMP error is about."""
    tunnel: Mapping[Field, int] | None = None
    """What its tunnel header says; None if it came by none."""


class Walker(NamedTuple):
    """A program, and the connections that its switch knows."""

    program: Program
    ids: IdMap
    conntrack: Conntrack
    domain: str
    """Key of the routing domain, whose number is the conntrack zone."""

    def walk(self, scene: Scene) -> Iterator[str]:
        """Yield the section of one frame: where it goes, by which flows, in whose name.

        Raises:
            ValueError: it does not end as the scene says.
        """
        zone = self.ids.number("network", self.domain)
        view = self.conntrack.view(zone, scene.frame, scene.quoted)
        result = Interpreter(self.program).run(scene.frame, self.conntrack, scene.quoted, dict(scene.tunnel or {}))
        if _ending(result) != scene.ends:
            raise ValueError(f"{scene.title}: ends as {_ending(result)!r}, the page says {scene.ends!r}: correct it")
        yield from (f"### {scene.title}", "", scene.words, "", "```")
        if scene.tunnel:
            yield f"      tunnel header: {_header(scene.tunnel)}"
        for key in result.trail:
            if key.table == Table.DESTINATION and key.priority == Priority.AGAIN:
                states = "".join(f"+{word}" for bit, word in STATES if view.state & bit)
                yield f"      conntrack, zone {zone}: {states}, ct_label={view.label:#x}"
            yield from self._step(key)
        if result.committed is not None:
            yield f"      committed, ct_label={self.conntrack.entries[zone, result.committed].label:#x}"
        if result.ports and result.tunnel and not scene.tunnel:
            yield f"      tunnel header: {_header(result.tunnel)}"
        yield f"   => {scene.ends}"
        yield from ("```", "")

    def _step(self, key: FlowKey) -> Iterator[str]:
        body = self.program[key]
        text = flow_text(Flow(key, body), NAMES).partition(f"table={table_name(key.table)},")[2]
        yield f"{key.table:>3} {table_name(key.table)}: {text}"
        if body.cookie != cookie.PIPELINE:
            yield f"      {body.cookie:#x}: {said(body.cookie, self.ids)}"


def _header(tunnel: Mapping[Field, int]) -> str:
    """Return a tunnel header in words."""
    words = [f"{field.name}={ip_address(tunnel[field])}" for field in (f.TUN_SRC, f.TUN_DST) if field in tunnel]
    words += [f"{field.name}={tunnel[field]:#x}" for field in (f.TUN_ID, f.TUN_OPTION) if field in tunnel]
    return ", ".join(words)


def _ending(result: Result) -> str:
    if result.ports:
        return ", ".join("answered" if port == IN_PORT else f"port {port}" for port in result.ports)
    return "shown to the controller" if result.to_controller else "dropped"


def said(value: int, ids: IdMap) -> str:
    """Return what a cookie says, with names."""
    origin = cookie.decode(value)
    if origin is None:
        return "foreign"
    words = [origin.kind.name.lower()]
    if origin.kind is Kind.GUARD:
        words.append(Guard(origin.number).name.lower())
    elif origin.kind in SPACES:
        name = str(ids.key_of(SPACES[origin.kind], origin.number)).rpartition("@")[0]
        words.append(f"{origin.number}, {name or ids.key_of(SPACES[origin.kind], origin.number)}")
    elif origin.kind is Kind.ISOLATION:
        words.append(f"of tier {origin.number}")
    return " ".join(words if origin.direction is None else [*words, f"({origin.direction})"])


def walks(example: Example, ids: IdMap) -> Iterator[str]:
    """Yield the walks: first packet, reply, error, what is dropped, and the connection after its policy is gone."""
    now = Walker(compile_program(*example, DPID, ids), ids, Conntrack(), "shop")
    for scene in SCENES:
        yield from now.walk(scene)
    kept = {name: p for name, p in example.intents.policies.items() if name != REVOKED}
    intents = dataclasses.replace(example.intents, policies=kept)
    ids = allocate(intents, example.inventory, ids, 1)
    later = now._replace(program=compile_program(intents, example.inventory, DPID, ids), ids=ids)
    for scene in LATER:
        yield from later.walk(scene)


SCENES = (
    Scene(
        "Who has this address?",
        "`web-1` asks for the MAC of 10.1.0.2. The switch answers; nobody else hears it.",
        _ARP,
        "answered",
    ),
    Scene(
        "The first packet",
        "`web-1` opens TCP 10.1.0.1:40000 to 10.1.0.2:8080. Both judgements allow; delivery commits the connection\n"
        "with the two attachments in its label.",
        _SYN,
        "port 2",
    ),
    Scene(
        "A reply",
        "`app-1` answers. Conntrack says `+rpl`, so `orient` turns client and server round; two comparisons show that\n"
        "both attachments of the label are those that are here (`same`), and the same rules are asked again.",
        _REPLY,
        "port 1",
    ),
    Scene(
        "An ICMP error",
        "`app-1` says that a packet of the connection was too big. It is judged as the connection it quotes, whose\n"
        "ports conntrack keeps.",
        _ERROR,
        "port 1",
        opening_of(_SYN),
    ),
    Scene("Denied", "`web-1` tries another port; the isolating tier ends without a rule for it.", _DENIED, "dropped"),
    Scene(
        "Rejected",
        "`web-1` tries ssh; the controller sees the packet, within the meters, and answers.",
        _REFUSED,
        "shown to the controller",
    ),
    Scene("Forged", "`web-1` sends from an address that is not its own.", _FORGED, "dropped"),
)
LATER = (
    Scene(
        "Revoked: the client speaks",
        f"The policy `{REVOKED}` was deleted. The connection is still in conntrack; its next packet is judged anew.",
        _SYN,
        "dropped",
    ),
    Scene("Revoked: the server speaks", "The other direction ends at the same place.", _REPLY, "dropped"),
)

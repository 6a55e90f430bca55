"""Who is plugged into the bridge of the evasion tests, and what they may do."""

from __future__ import annotations

import dataclasses
from ipaddress import ip_address

from intent.model import Intents
from intent.schema import parse_documents, to_intents
from tests.property.cases import Case as World
from topology.model import NAME_LABEL, NETWORK_LABEL, Endpoint, Inventory, Location

NUMBERS = {"client": 1, "server": 2, "friend": 3, "victim": 4, "dhcp": 5, "far": 6}
STRANGER, STRANGER_PORT = "stranger", 7
"""A port of the bridge that nobody is known at."""
PORTS = {**NUMBERS, STRANGER: STRANGER_PORT}
FAR = ("far",)


def hardware(name: str) -> str:
    return f"02:00:00:00:00:{PORTS[name]:02x}"


def four(name: str) -> str:
    return f"10.0.0.{PORTS[name]}"


def six(name: str) -> str:
    return f"fd00::{PORTS[name]}"


def _endpoint(name: str, number: int, life: int) -> Endpoint:
    network = "far" if name in FAR else "lan"
    labels = {NAME_LABEL: name, NETWORK_LABEL: network, "role": name}
    where = Location(1, number, f"v{number}", f"row-{number}-{life}")
    return Endpoint(name, network, labels, hardware(name), (ip_address(four(name)), ip_address(six(name))), (), where)


def inventory(lives: dict[str, int] | None = None) -> Inventory:
    """`lives` counts how often an endpoint was plugged in again."""
    return Inventory({n: _endpoint(n, number, (lives or {}).get(n, 0)) for n, number in NUMBERS.items()})


NETWORKS = """
{kind: Network, name: far, posture: allow}
---
"""
ALLOWED = "[tcp/80, udp/80, icmp/8, icmpv6/128, sctp/80]"
STRICT = f"""{NETWORKS}
{{kind: Network, name: lan, posture: deny, dhcpServer: dhcp}}
---
kind: Policy
name: client-to-server
rules:
- {{action: allow, from: [{{labels: {{role: client}}}}], to: [{{labels: {{role: server}}}}], services: {ALLOWED}}}
- {{action: allow, from: [{{labels: {{role: friend}}}}], to: [{{labels: {{role: victim}}}}]}}
"""
"""Only the client opens, to the server; and the friend everything to the victim."""
FREE = f"{NETWORKS}{{kind: Network, name: lan, posture: allow}}"
DENIED = "[tcp/22, udp/53, icmp/8, icmpv6/128, sctp/22, proto/47]"
OPEN = f"""{NETWORKS}
{{kind: Network, name: lan, posture: allow, dhcpServer: dhcp}}
---
kind: Policy
name: shut
rules:
- {{action: deny, to: [{{labels: {{role: server}}}}], services: {DENIED}}}
"""
"""Everything but some services of the server: a rule that does not see a packet lets it pass."""
TUNNEL = f"""{NETWORKS}
{{kind: Network, name: lan, posture: deny}}
---
kind: Policy
name: gre
rules:
- {{action: allow, from: [{{labels: {{role: client}}}}], to: [{{labels: {{role: server}}}}],
    services: [proto/47, proto/50]}}
"""
LOW = f"""{NETWORKS}
{{kind: Network, name: lan, posture: deny}}
---
kind: Policy
name: low-ports
rules:
- {{action: allow, from: [{{labels: {{role: client}}}}], to: [{{labels: {{role: server}}}}],
    services: [udp/1-100, tcp/1-100, sctp/1-100, icmp/0]}}
"""
"""The lowest ports, and the ICMP type 0: what shows no ports must not pass for them."""

ROUTER = "02:00:00:00:00:fe"


def _routed(text: str) -> str:
    """Return a site whose network has a router, which passes on what is sent to its MAC."""
    plan = "subnets: [10.0.0.0/24, 'fd00::/64'], gateways: [10.0.0.254, 'fd00::fe']"
    edge = f"{{kind: Router, name: edge, networks: [lan], mac: '{ROUTER}'}}"
    return f"{text.replace('name: lan,', f'name: lan, {plan},')}\n---\n{edge}"


@dataclasses.dataclass(frozen=True, slots=True)
class Site:
    """Intents by name."""

    name: str
    text: str

    def intents(self) -> Intents:
        return to_intents(parse_documents(self.text, source=self.name))

    def world(self, lives: dict[str, int] | None = None) -> World:
        return World(self.intents(), inventory(lives))


SITES = {name: Site(name, text) for name, text in
         {"strict": STRICT, "open": OPEN, "free": FREE, "tunnel": TUNNEL, "low": LOW,
          "routed-strict": _routed(STRICT), "routed-open": _routed(OPEN)}.items()}  # fmt: skip

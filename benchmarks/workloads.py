"""Worlds of any size to measure with. A world is made of documents, from which every side makes its own.

Endpoint number n of a world is named `e<n>`, has address 10.0.0.1 + n, sits at OpenFlow port n + 1, and is bound
by its iface-id. Everything is drawn with a seed, so that every run measures the same work.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import random
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address
from typing import Any, TypeAlias

from intent.model import Intents
from intent.schema import parse_documents, to_intents
from topology.model import NAME_LABEL, NETWORK_LABEL, Endpoint, Inventory, Location

Document: TypeAlias = dict[str, Any]
"""One document as plain values."""

NETWORK = "bench"
FIRST = IPv4Address("10.0.0.1")
ELSEWHERE = IPv4Address("192.0.2.0")
"""Where no endpoint is (RFC 5737)."""
APP = ("web", "web", "web", "app", "app", "app", "app", "db", "db", "db")
"""The tiers of the ten endpoints of one application."""
SERVICE_PORTS = tuple(range(8000, 8050))
PORTS_OF_A_RULE = 3
SECOND_GROUP = 10
"""One endpoint in so many is in a second group."""
CIDR_SHARE, DENY_SHARE = 0.10, 0.05


@dataclasses.dataclass(frozen=True, eq=False)
class World:
    """Documents by name. Everything is plugged into the switch `dpid`."""

    groups: Mapping[str, Document]
    policies: Mapping[str, Document]
    endpoints: Mapping[str, Document]
    dpid: int = 1

    def documents(self) -> list[Document]:
        """Return every document, in an order in which each is known before it is used."""
        network = {"kind": "Network", "name": NETWORK}
        return [network, *self.groups.values(), *self.endpoints.values(), *self.policies.values()]

    @functools.cached_property
    def intents(self) -> Intents:
        """What the controller makes of the documents."""
        return to_intents(parse_documents(text(self.documents()), source="workload", max_bytes=1 << 30))

    @functools.cached_property
    def inventory(self) -> Inventory:
        """Everybody plugged in where a bench switch has them."""
        return Inventory({name: plugged(document, self.dpid) for name, document in self.endpoints.items()})

    def but(self, **changes: Mapping[str, Document]) -> World:
        """Return a world with other documents: `endpoints=`, `policies=` or `groups=`."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type] # names of fields


def text(documents: Iterable[Document]) -> str:
    """Return documents as the JSON list that the API takes."""
    return json.dumps(list(documents))


def number_of(name: str) -> int:
    """Return the number of an endpoint of a workload."""
    return int(name[1:])


def mac_of(number: int) -> str:
    """Return the MAC of an endpoint."""
    return "02:00:" + number.to_bytes(4).hex(":")


def endpoint(number: int, labels: Mapping[str, str]) -> Document:
    """Return the document of one endpoint."""
    return {
        "kind": "Endpoint",
        "name": f"e{number}",
        "network": NETWORK,
        "labels": dict(labels),
        "mac": mac_of(number),
        "addresses": [str(FIRST + number)],
        "binding": {"ifaceId": f"e{number}"},
    }


def plugged(document: Document, dpid: int = 1) -> Endpoint:
    """Return what the inventory makes of an endpoint's document."""
    name, number = document["name"], number_of(document["name"])
    return Endpoint(
        name=name,
        network=NETWORK,
        labels={**document["labels"], NETWORK_LABEL: NETWORK, NAME_LABEL: name},
        mac=document["mac"],
        addresses=tuple(IPv4Address(a) for a in document["addresses"]),
        ports=(),
        location=Location(dpid, number + 1, f"v{number}", f"row-{number}"),
    )


# -- three tiers -----------------------------------------------------------------------------------


def three_tier(endpoints: int) -> World:
    """Return `endpoints` in tens: each ten an application of 3 web, 4 app and 3 db.

    For each application: anyone to web at 443, web to app at 8080, app to db at 5432; else denied.
    """
    made = [endpoint(n, three_tier_labels(n)) for n in range(endpoints)]
    policies = [three_tier_policy(n) for n in range(-(-endpoints // len(APP)))]
    return World({}, _by_name(policies), _by_name(made))


def three_tier_labels(number: int) -> dict[str, str]:
    """Return the labels of endpoint `number`."""
    app, member = divmod(number, len(APP))
    return {"app": f"a{app}", "tier": APP[member]}


def three_tier_policy(app: int) -> Document:
    """Return the policy of one application."""

    def rule(source: str | None, target: str, port: int) -> Document:
        ends: Document = {} if source is None else {"from": [_tier(app, source)]}
        return {"action": "allow", **ends, "to": [_tier(app, target)], "services": [f"tcp/{port}"]}

    rules = [rule(None, "web", 443), rule("web", "app", 8080), rule("app", "db", 5432)]
    return {"kind": "Policy", "name": f"app-{app}", "rules": rules}


def _tier(app: int, tier: str) -> Document:
    return {"labels": {"app": f"a{app}", "tier": tier}}


def _by_name(documents: Iterable[Document]) -> dict[str, Document]:
    return {document["name"]: document for document in documents}


# -- W(N, G, M) ------------------------------------------------------------------------------------


def w(endpoints: int, groups: int, policies: int, seed: int = 1) -> World:
    """Return W(N,G,M): N endpoints in G groups, M policies "group to group, 3 TCP ports".

    One endpoint in ten is in a second group. One policy in ten has a CIDR for a source (half of them inside
    the range that endpoints use), one in twenty denies.
    """
    chance = random.Random(seed)
    made = [endpoint(n, labels_in(n, groups, chance)) for n in range(endpoints)]
    drawn = [draw_policy(f"p{n}", groups, chance, endpoints) for n in range(policies)]
    return World(_by_name(group(g) for g in range(groups)), _by_name(drawn), _by_name(made))


def group(number: int) -> Document:
    """Return one group: those whose first or second group it is."""
    name = f"g{number}"
    return {"kind": "Group", "name": name, "members": [{"labels": {"role": name}}, {"labels": {"also": name}}]}


def labels_in(number: int, groups: int, chance: random.Random) -> dict[str, str]:
    """Return the labels of endpoint `number` of W."""
    labels = {"role": f"g{number % groups}"}
    if number % SECOND_GROUP == 0:
        labels["also"] = f"g{chance.randrange(groups)}"
    return labels


def draw_policy(name: str, groups: int, chance: random.Random, endpoints: int) -> Document:
    """Return one random policy of W."""
    source: Document = {"group": f"g{chance.randrange(groups)}"}
    if chance.random() < CIDR_SHARE:
        source = {"cidr": _cidr(chance, endpoints)}
    action = "deny" if chance.random() < DENY_SHARE else "allow"
    services = sorted(chance.sample(SERVICE_PORTS, PORTS_OF_A_RULE))
    rule = {
        "action": action,
        "from": [source],
        "to": [{"group": f"g{chance.randrange(groups)}"}],
        "services": [f"tcp/{port}" for port in services],
    }
    return {"kind": "Policy", "name": name, "rules": [rule]}


def _cidr(chance: random.Random, endpoints: int) -> str:
    length = chance.randint(22, 28)
    inside = chance.random() < 0.5  # noqa: PLR2004 - half of them
    start = int(FIRST) + chance.randrange(endpoints) if inside else int(ELSEWHERE) + chance.randrange(256)
    return f"{IPv4Address(start >> (32 - length) << (32 - length))}/{length}"

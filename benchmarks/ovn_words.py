"""A world in OVN's words: ports of one logical switch, a port group a peer, `allow-related` ACLs.

The meaning is the same: a statement "from A to B" is an egress ACL on A and an ingress ACL on B, deny goes before
allow, and nobody may do what no ACL allows. Port groups give the address sets (`$pg_ip4`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from benchmarks.ovsdb_link import Operation
from benchmarks.workloads import Document, World

SWITCH = "bench"
EVERYBODY = SWITCH
"""Holder of the ACLs that are about every port: the switch itself, which costs OVN far less than a group of all."""
PRIORITY = {"deny": 1100, "allow": 1000}
DEFAULT_PRIORITY = 900
VERDICT = {"deny": "drop", "allow": "allow-related"}


@dataclasses.dataclass(frozen=True, slots=True)
class Acl:
    """One ACL of a port group, or of the switch."""

    holder: str
    direction: str
    match: str
    action: str
    priority: int

    def row(self) -> dict[str, Any]:
        """Return the row of table ACL."""
        return {"direction": self.direction, "match": self.match, "action": self.action, "priority": self.priority}


class Words:
    """Port groups and ACLs of a world. A peer (a group, or labels) is one port group."""

    def __init__(self, world: World) -> None:
        self._world = world

    def port_groups(self, endpoint: Document) -> list[str]:
        """Return the port groups that an endpoint is in."""
        labels = endpoint["labels"]
        if "tier" in labels:
            return [f"{labels['app']}_{labels['tier']}"]
        return sorted({*labels.values()})

    def every_port_group(self) -> list[str]:
        """Return the name of each port group that is needed."""
        found = {name for endpoint in self._world.endpoints.values() for name in self.port_groups(endpoint)}
        return sorted((found | {acl.holder for acl in self.acls()} | set(self._world.groups)) - {EVERYBODY})

    def acls(self) -> Iterator[Acl]:
        """Yield the ACLs of every policy, and the default."""
        yield Acl(EVERYBODY, "from-lport", "ip", "drop", DEFAULT_PRIORITY)
        yield Acl(EVERYBODY, "to-lport", "ip", "drop", DEFAULT_PRIORITY)
        for policy in self._world.policies.values():
            yield from self.acls_of(policy)

    def acls_of(self, policy: Document) -> Iterator[Acl]:
        """Yield both sides of each rule of one policy."""
        for rule in policy["rules"]:
            service = _service(rule["services"])
            action, priority = VERDICT[rule["action"]], PRIORITY[rule["action"]]
            (target,) = (_group(peer) for peer in rule["to"])
            holder, source = _source(rule.get("from"))
            egress = f"{source[0]}ip4.dst == ${target}_ip4 && {service}"
            yield Acl(holder, "from-lport", egress, action, priority)
            ingress = f"outport == @{target} && {source[1]} && {service}"
            yield Acl(target, "to-lport", ingress, action, priority)


def _service(services: list[str]) -> str:
    """Return the match of services of one protocol: `tcp/80`, `tcp/81`."""
    (protocol,) = {service.partition("/")[0] for service in services}
    return f"{protocol}.dst == {{{', '.join(service.partition('/')[2] for service in services)}}}"


def _group(peer: Document) -> str:
    if "group" in peer:
        return str(peer["group"])
    return "_".join(value for _, value in sorted(peer["labels"].items()))


def _source(peers: list[Document] | None) -> tuple[str, tuple[str, str]]:
    """Return who holds the egress ACL, and what its packets must be beside: at egress (a prefix), and at ingress."""
    if peers is None:
        return EVERYBODY, ("", "ip4")
    (peer,) = peers
    if "cidr" in peer:
        return EVERYBODY, (f"ip4.src == {peer['cidr']} && ", f"ip4.src == {peer['cidr']}")
    group = _group(peer)
    return group, (f"inport == @{group} && ", f"ip4.src == ${group}_ip4")


def holder_table(holder: str) -> str:
    """Return the table of the row that holds an ACL."""
    return "Logical_Switch" if holder == EVERYBODY else "Port_Group"


# -- operations on the northbound database ---------------------------------------------------------


def insert_ports(endpoints: Iterable[Document]) -> Iterator[Operation]:
    """Yield what makes logical switch ports, each with its address and nothing but it."""
    for endpoint in endpoints:
        address = f"{endpoint['mac']} {' '.join(endpoint['addresses'])}"
        row = {"name": endpoint["name"], "addresses": address, "port_security": address}
        yield {"op": "insert", "table": "Logical_Switch_Port", "uuid-name": port_row(endpoint), "row": row}


def port_row(endpoint: Document) -> str:
    """Return the name that a new port's row has inside its transaction."""
    return f"row_{endpoint['name']}"


def mutate(table: str, name: str, column: str, change: tuple[str, Iterable[list[str]]]) -> Operation:
    """Return what inserts row references into a column of a named row, or deletes them."""
    mutator, references = change
    mutation = [column, mutator, ["set", list(references)]]
    return {"op": "mutate", "table": table, "where": [["name", "==", name]], "mutations": [mutation]}


def next_cfg() -> Operation:
    """Return what asks every hypervisor to say when it is done, as `--wait=hv` does."""
    return {"op": "mutate", "table": "NB_Global", "where": [], "mutations": [["nb_cfg", "+=", 1]]}


def read_cfg() -> Operation:
    """Return what reads the number that was just given."""
    return {"op": "select", "table": "NB_Global", "where": [], "columns": ["nb_cfg"]}

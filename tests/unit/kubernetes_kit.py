"""Small clusters to import, and what their policies then say."""

import json
from datetime import UTC, datetime
from ipaddress import ip_address

from intent.kubernetes import read_objects, translate
from intent.schema import to_intents
from intent.semantics import judge
from topology.model import NAME_LABEL, NETWORK_LABEL, Endpoint, Inventory, Location
from topology.packet import Opening

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ADMIN_API = "policy.networking.k8s.io/v1alpha2"


def namespace(name, **labels):
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def pod(name, namespace, ip, ports=(), **labels):
    containers = [{"name": "c", "ports": [{"name": n, "containerPort": p} for n, p in ports]}]
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    status = {"podIPs": [{"ip": ip}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": containers},
        "status": status,
    }


def policy(spec, name="p", namespace="x"):
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def cluster_policy(name="c", tier="Admin", priority=0, subject=None, **sides):
    spec = {"tier": tier, "priority": priority, "subject": subject or {"namespaces": {}}, **sides}
    return {"apiVersion": ADMIN_API, "kind": "ClusterNetworkPolicy", "metadata": {"name": name}, "spec": spec}


CLUSTER = [
    namespace("x", team="red"),
    namespace("y"),
    pod("a", "x", "10.0.1.1", [("web", 80)], app="a"),
    pod("b", "x", "10.0.1.2", [("web", 8080)], app="b"),
    pod("a", "y", "10.0.2.1", [("web", 80)], app="a"),
]
STRANGER = "10.9.9.9"
"""An endpoint of the pods' network that is no pod."""


def objects(*found):
    return read_objects(json.dumps(found), source="test")


def imported(*policies, extra=()):
    return translate(objects(*CLUSTER, *extra, *policies)).puts


class Cluster:
    """Judges openings between the pods of CLUSTER, and a stranger, under some policies."""

    def __init__(self, *policies, extra=()):
        self.intents = to_intents(imported(*policies, extra=extra))
        endpoints = [
            _plugged(e.name, e.labels, e.addresses, e.ports, n)
            for n, e in enumerate(self.intents.endpoints.values(), 1)
        ]
        endpoints.append(_plugged("stranger", {}, (ip_address(STRANGER),), (), 99))
        self.inventory = Inventory({e.name: e for e in endpoints})

    def says(self, source, destination, port=80, protocol=6):
        """Return the verdict between two pods (`x.a`) or addresses."""
        ends = [self._address(end) for end in (source, destination)]
        opening = Opening("pods", *ends, protocol, 40000, port)
        return str(judge(self.intents, self.inventory, opening, now=NOW).verdict)

    def _address(self, end):
        return self.inventory.endpoints[end].addresses[0] if end in self.inventory.endpoints else ip_address(end)


def _plugged(name, labels, addresses, ports, number):
    implied = {NAME_LABEL: name, NETWORK_LABEL: "pods"}
    location = Location(1, number, f"v{number}", f"uid-{number}")
    mac = f"02:00:00:00:00:{number:02x}"
    return Endpoint(name, "pods", {**labels, **implied}, mac, tuple(addresses), ports, location)

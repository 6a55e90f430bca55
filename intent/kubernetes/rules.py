"""Policies of Kubernetes as Policy documents.

NetworkPolicies are one policy each in the isolating tier `kubernetes`: unordered, each only allows.
Rules of a ClusterNetworkPolicy are ordered, so each is a policy of its own, at order 100 * priority + index.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from intent.kubernetes.labels import selector
from intent.kubernetes.policies import (
    ClusterEgress,
    ClusterIngress,
    ClusterNetworkPolicy,
    ClusterRule,
    EgressPeer,
    NetworkPolicy,
    PolicyEgress,
    PolicyIngress,
    PolicyPeer,
    PolicyPort,
    ProtocolMatch,
    Subject,
)
from intent.kubernetes.tiers import ADMIN, BASELINE, NETWORK_POLICY

ORDERS_PER_PRIORITY = 100
"""More than the 25 rules that one direction of a ClusterNetworkPolicy may have."""
_TIER = {"Admin": ADMIN, "Baseline": BASELINE}
_ACTION = {"Accept": "allow", "Deny": "deny", "Pass": "pass"}
_PROTOCOLS = ("tcp", "udp", "sctp")
Values = dict[str, Any]


# -- NetworkPolicy --------------------------------------------------------------------------------


def network_policy(namespace: str, policy: NetworkPolicy) -> Values:
    """Return the Policy that means the same as a NetworkPolicy of a namespace."""
    spec, types = policy.spec, policy.spec.types()
    sides: dict[str, Sequence[PolicyIngress | PolicyEgress]] = {
        "ingress": spec.ingress or (),
        "egress": spec.egress or (),
    }
    rules = {side: [_allow(namespace, rule) for rule in sides[side]] for side in types if sides[side]}
    return {
        "kind": "Policy",
        "name": f"np.{namespace}.{policy.metadata.name}",
        "tier": NETWORK_POLICY,
        "order": 0,
        "owner": namespace,
        "description": f"NetworkPolicy {namespace}/{policy.metadata.name}",
        "subject": selector(spec.pod_selector, namespace),
        "directions": list(types),
        **rules,
    }


def _allow(namespace: str, rule: PolicyIngress | PolicyEgress) -> Values:
    field, peers = ("from", rule.from_) if isinstance(rule, PolicyIngress) else ("to", rule.to)
    values: Values = {"action": "allow"}
    if peers:
        values[field] = [_peer(namespace, peer) for peer in peers]
    if rule.ports:
        values["services"] = [_port(port) for port in rule.ports]
    return values


def _peer(namespace: str, peer: PolicyPeer) -> Values:
    block = peer.ip_block
    if block is not None:
        return {"cidr": block.cidr} | ({"except": list(block.except_)} if block.except_ else {})
    return selector(peer.pod_selector, namespace if peer.namespace_selector is None else peer.namespace_selector)


def _port(port: PolicyPort) -> str:
    protocol = (port.protocol or "TCP").lower()
    if port.port is None:
        return protocol
    last = "" if port.end_port is None else f"-{port.end_port}"
    return f"{protocol}/{port.port}{last}"


# -- ClusterNetworkPolicy -------------------------------------------------------------------------


def cluster_policies(policy: ClusterNetworkPolicy) -> Iterator[Values]:
    """Yield the Policy of each rule of a ClusterNetworkPolicy."""
    spec, name = policy.spec, policy.metadata.name
    sides: dict[str, Sequence[ClusterIngress | ClusterEgress]] = {
        "ingress": spec.ingress or (),
        "egress": spec.egress or (),
    }
    for side, rules in sides.items():
        for index, rule in enumerate(rules):
            said = f": {rule.name}" if rule.name else ""
            yield {
                "kind": "Policy",
                "name": f"cnp.{name}.{side}-{index}",
                "tier": _TIER[spec.tier],
                "order": ORDERS_PER_PRIORITY * spec.priority + index,
                "description": f"ClusterNetworkPolicy {name}, {side}[{index}]{said}",
                "subject": _members(spec.subject),
                side: [_rule(rule)],
            }


def _rule(rule: ClusterIngress | ClusterEgress) -> Values:
    values: Values = {"action": _ACTION[rule.action]}
    if isinstance(rule, ClusterIngress):
        values["from"] = [_members(peer) for peer in rule.from_]
    else:
        values["to"] = [found for peer in rule.to for found in _destinations(peer)]
    return values | _services(rule)


def _destinations(peer: EgressPeer) -> list[Values]:
    return [_members(peer)] if peer.networks is None else [{"cidr": block} for block in peer.networks]


def _members(which: Subject) -> Values:
    if which.pods is not None:
        return selector(which.pods.pod_selector, which.pods.namespace_selector)
    assert which.namespaces is not None  # noqa: S101 (for the type checker: `Subject` has exactly one form)
    return selector(None, which.namespaces)


def _services(rule: ClusterRule) -> Values:
    words = [word for protocol in rule.protocols or () for word in _words(protocol)]
    return {"services": words} if words else {}


def _words(match: ProtocolMatch) -> Iterator[str]:
    if match.destination_named_port is not None:
        yield from (f"{protocol}/{match.destination_named_port}" for protocol in _PROTOCOLS)
    for protocol in _PROTOCOLS:
        ports = getattr(match, protocol)
        if ports is not None:
            port = ports.destination_port
            yield (
                f"{protocol}/{port.number}" if port.range is None else f"{protocol}/{port.range.start}-{port.range.end}"
            )

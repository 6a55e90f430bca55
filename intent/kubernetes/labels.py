"""Labels and selectors of Kubernetes, as labels and selectors of endpoints.

An endpoint carries its pod's labels as they are, its namespace's under the prefix `namespace`
(`team` -> `namespace/team`, `a.b/c` -> `namespace.a.b/c`), and `k8s/namespace`, the namespace's name. No pod
has labels of these prefixes (`scalars.PodLabelKey`), so the three never meet. Every selector also asks for
`k8s/namespace`: what is no pod is never selected, not even by NotIn.
"""

from __future__ import annotations

from typing import Any

from intent.kubernetes.objects import Namespace, Pod
from intent.kubernetes.policies import LabelSelector, NamespaceSelector, PodSelector
from intent.kubernetes.scalars import IMPORTER_PREFIX, NAMESPACE_PREFIX

IN_NAMESPACE = f"{IMPORTER_PREFIX}/namespace"
"""Label key: the name of the namespace that a pod is in."""
NAME_OF_NAMESPACE = "kubernetes.io/metadata.name"
"""Label that the API server keeps on every namespace: its name."""


def endpoint_labels(pod: Pod, namespace: Namespace) -> dict[str, str]:
    """Return the labels of a pod's endpoint."""
    own = {IN_NAMESPACE: namespace.metadata.name} | namespace_labels(namespace)
    return dict(sorted(((pod.metadata.labels or {}) | own).items()))


def namespace_labels(namespace: Namespace) -> dict[str, str]:
    """Return what an endpoint carries of its namespace's labels."""
    labels = (namespace.metadata.labels or {}) | {NAME_OF_NAMESPACE: namespace.metadata.name}
    return {namespace_key(key): value for key, value in labels.items()}


def namespace_key(key: str) -> str:
    """Return the key under which an endpoint carries a label of its namespace."""
    return f"{NAMESPACE_PREFIX}.{key}" if "/" in key else f"{NAMESPACE_PREFIX}/{key}"


def is_namespace_label(key: str) -> bool:
    """Say whether an endpoint's label is one of its namespace."""
    return key.startswith((f"{NAMESPACE_PREFIX}/", f"{NAMESPACE_PREFIX}."))


def selector(pods: PodSelector | None, namespaces: NamespaceSelector | str) -> dict[str, Any]:
    """Return the selector of pods by their labels (None: all) and their namespace's labels or name."""
    labels = dict(pods.match_labels or {}) if pods is not None else {}
    expressions = [] if pods is None else _expressions(pods)
    if isinstance(namespaces, str):
        labels[IN_NAMESPACE] = namespaces
    else:
        expressions.append({"key": IN_NAMESPACE, "operator": "Exists"})
        labels |= {namespace_key(key): value for key, value in (namespaces.match_labels or {}).items()}
        expressions += [{**found, "key": namespace_key(found["key"])} for found in _expressions(namespaces)]
    return ({"labels": labels} if labels else {}) | ({"expressions": expressions} if expressions else {})


def _expressions(given: LabelSelector) -> list[dict[str, Any]]:
    return [
        {"key": e.key, "operator": e.operator} | ({"values": list(e.values)} if e.values else {})
        for e in given.match_expressions or ()
    ]

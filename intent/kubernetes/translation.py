"""Kubernetes objects to the documents that mean the same, beside the documents that are there already.

The rules, each with an example that a test runs, are in `docs/kubernetes.md`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from intent.kubernetes.labels import IN_NAMESPACE, endpoint_labels, is_namespace_label, namespace_labels
from intent.kubernetes.objects import Namespace, Pod
from intent.kubernetes.policies import ClusterNetworkPolicy, NetworkPolicy
from intent.kubernetes.reading import KubernetesObject
from intent.kubernetes.rules import cluster_policies, network_policy
from intent.kubernetes.scalars import is_name
from intent.kubernetes.tiers import TIERS, merged_tiers
from intent.schema.documents import Document, EndpointDoc, NetworkDoc, PolicyDoc, TiersDoc
from intent.schema.dump import dump_document
from intent.schema.loading import Breathe, Raw, go_on
from intent.schema.problems import DocumentError, Problem, echo
from intent.schema.reading import read_document

DEFAULT_NETWORK = "pods"
"""Name of the network that imported pods are in, unless the caller says another."""
_BREATH = 50
"""Objects between two breaths."""
_RULE_OF = re.compile(r"cnp\.(.+)\.(ingress|egress)-[0-9]+")
Values: TypeAlias = dict[str, Any]
Key: TypeAlias = tuple[str, str]
"""Kind and name of a document."""


@dataclasses.dataclass(frozen=True, slots=True)
class Translation:
    """What makes the current documents say what the objects say; to be applied as one change-set."""

    puts: tuple[Document, ...]
    deletes: tuple[Key, ...]
    """Policies of rules that a ClusterNetworkPolicy among the objects no longer has."""


def translate(
    objects: Sequence[KubernetesObject],
    current: Iterable[Document] = (),
    *,
    network: str = DEFAULT_NETWORK,
    breathe: Breathe = go_on,
) -> Translation:
    """Return the documents that mean what the objects mean.

    Args:
        objects: as `read_objects` returns them.
        current: every document there is now; the tiers are merged with those, and nothing that
            people wrote themselves is overwritten.
        network: name of the network that the pods are in.
        breathe: called now and then, so that others may run meanwhile.

    Raises:
        DocumentError: with every problem: what cannot be expressed, and what would overwrite something.
    """
    if not is_name(network):
        remedy = "use lower-case letters, digits, `-` and `.` (as in DNS names)"
        raise DocumentError([Problem("network", f"{echo(network)} is no name", remedy)])
    return _Translator(objects, current, network).translation(breathe)


class _Translator:
    """One translation; problems are gathered on the way."""

    def __init__(self, objects: Sequence[KubernetesObject], current: Iterable[Document], network: str) -> None:
        self._objects = objects
        self._current: dict[Key, Document] = {(doc.kind, doc.name): doc for doc in current}
        self._network = network
        self._namespaces = {o.model.metadata.name: o.model for o in objects if isinstance(o.model, Namespace)}
        self._problems: list[Problem] = []

    def translation(self, breathe: Breathe) -> Translation:
        puts: dict[Key, Document] = {}
        for number, found in enumerate(self._objects):
            if not number % _BREATH:
                breathe()
            puts.update(self._documents_of(found))
        relabelled = {(doc.kind, doc.name): doc for doc in self._relabelled(puts)}
        shared = self._shared(needs_network=any(isinstance(o.model, Pod) for o in self._objects))
        if self._problems:
            raise DocumentError(self._problems)
        return Translation((*shared, *puts.values(), *relabelled.values()), tuple(self._stale(puts)))

    # -- one object -------------------------------------------------------------------------------

    def _documents_of(self, found: KubernetesObject) -> Iterator[tuple[Key, Document]]:
        for values in self._values_of(found):
            document = self._document(found, values)
            if document is not None and self._may_write(found, document):
                yield (document.kind, document.name), document

    def _values_of(self, found: KubernetesObject) -> Iterator[Values]:
        match found.model:
            case Pod():
                yield from self._endpoint(found, found.model)
            case NetworkPolicy():
                yield network_policy(found.namespace, found.model)
            case ClusterNetworkPolicy():
                yield from cluster_policies(found.model)
            case Namespace():  # pragma: no branch - there is no other model
                pass

    def _endpoint(self, found: KubernetesObject, pod: Pod) -> Iterator[Values]:
        namespace = self._namespaces.get(found.namespace)
        if namespace is None:
            message = f"the labels of the namespace `{found.namespace}` are unknown"
            remedy = f"import the object Namespace `{found.namespace}` together with its pods"
            self._problems.append(found.problem(("metadata", "namespace"), message, remedy))
            return
        values: Values = {
            "kind": "Endpoint",
            "name": f"{found.namespace}.{pod.metadata.name}",
            "network": self._network,
            "labels": endpoint_labels(pod, namespace),
            "ports": dict(pod.spec.named_ports()),
            "binding": {"ifaceId": f"{found.namespace}/{pod.metadata.name}"},
        }
        yield values | ({"addresses": pod.addresses()} if pod.addresses() else {})

    def _document(self, found: KubernetesObject, values: Values) -> Document | None:
        """Read a document; what it refuses is told as a problem of the object that it comes from."""
        try:
            return read_document(Raw(values, found.raw.source, found.raw.index))
        except DocumentError as error:
            for problem in error.problems:
                message = f"it cannot be expressed: {problem.path}: {problem.message}"
                self._problems.append(found.problem((), message, problem.remedy))
            return None

    def _may_write(self, found: KubernetesObject, document: Document) -> bool:
        """Say whether the name is free or the importer's own."""
        there = self._current.get((document.kind, document.name))
        if there is None or _is_imported(there):
            return True
        message = f"there is a {there.kind} `{there.name}` that was not imported"
        self._problems.append(found.problem(("metadata", "name"), message, "delete or rename that one first"))
        return False

    # -- what all objects share -------------------------------------------------------------------

    def _shared(self, *, needs_network: bool) -> list[Document]:
        there = self._current.get(("Tiers", "default"))
        tiers = merged_tiers(there if isinstance(there, TiersDoc) else None)
        if isinstance(tiers, Problem):
            self._problems.append(tiers)
            tiers = None
        network = self._network_document() if needs_network else None
        return [doc for doc in (tiers, network) if doc is not None]

    def _network_document(self) -> NetworkDoc | None:
        there = self._current.get(("Network", self._network))
        if not isinstance(there, NetworkDoc):
            return NetworkDoc.model_validate({"kind": "Network", "name": self._network, "posture": "allow"})
        if there.posture != "allow":
            message = f"the network `{self._network}` denies what no rule decides, Kubernetes allows it"
            remedy = "choose another network for the pods, or give it `posture: allow`"
            self._problems.append(there.problem(("posture",), message, remedy))
        return None

    # -- what changed since an earlier import -----------------------------------------------------

    def _relabelled(self, puts: Mapping[Key, Document]) -> Iterator[Document]:
        """Yield the endpoints of pods that are not among the objects while their namespace is."""
        for key, there in self._current.items():
            if not isinstance(there, EndpointDoc) or key in puts:
                continue
            namespace = self._namespaces.get(there.labels.get(IN_NAMESPACE, ""))
            if namespace is not None:
                kept = {name: value for name, value in there.labels.items() if not is_namespace_label(name)}
                labels = kept | namespace_labels(namespace)
                if labels != there.labels:
                    yield from self._again(there, labels)

    def _again(self, there: EndpointDoc, labels: Mapping[str, str]) -> Iterator[Document]:
        try:
            yield read_document(Raw(dump_document(there) | {"labels": dict(labels)}, "", 0))
        except DocumentError as error:
            self._problems.extend(error.problems)

    def _stale(self, puts: Mapping[Key, Document]) -> Iterator[Key]:
        """Yield the policies of rules that are gone."""
        whole = {o.model.metadata.name for o in self._objects if isinstance(o.model, ClusterNetworkPolicy)}
        for key, there in self._current.items():
            rule = _RULE_OF.fullmatch(there.name)
            if key not in puts and rule is not None and rule[1] in whole and _is_imported(there):
                yield key


def _is_imported(document: Document) -> bool:
    if isinstance(document, PolicyDoc):
        return document.tier in TIERS
    return isinstance(document, EndpointDoc) and IN_NAMESPACE in document.labels

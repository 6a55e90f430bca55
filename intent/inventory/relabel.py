"""The commonest of changes, made quickly: a document gives its endpoint other labels or ports, and no more."""

from __future__ import annotations

from intent.inventory.candidates import Heard
from intent.inventory.checks import RESERVED_PREFIX
from intent.inventory.drafts import Candidate
from intent.model import EndpointIntent
from topology.model import NAME_LABEL, NETWORK_LABEL, Endpoint


def relabelled(was: Heard, now: Heard, candidate: Candidate) -> Candidate | None:
    """Return what `consider` would make of an interface now, if that is surely the candidate that it was, relabelled.

    All else that it gathered stays as it was, too, as long as the network of the candidate does. None says that the
    interface has to be considered anew.
    """
    if was.interface is not now.interface or len(was.documents) != 1 or len(now.documents) != 1:
        return None
    if now.row.labels or now.row.ports:
        return None
    before, document = was.documents[0], now.documents[0]
    if not same_but_labels(before, document) or _sets_reserved(before) or _sets_reserved(document):
        return None
    known = candidate.endpoint
    labels = dict(sorted(document.labels.items()))
    labels[NETWORK_LABEL], labels[NAME_LABEL] = known.network, known.name
    ports = tuple(sorted({(port.name, port.protocol): port for port in document.ports}.values()))
    endpoint = Endpoint(known.name, known.network, labels, known.mac, known.addresses, ports, known.location)
    return candidate._replace(endpoint=endpoint)


def same_but_labels(was: EndpointIntent, now: EndpointIntent) -> bool:
    """Whether two documents of one name say the same but for labels and ports."""
    return (
        was.name == now.name
        and was.network == now.network
        and was.mac == now.mac
        and was.addresses == now.addresses
        and was.binding == now.binding
    )


def _sets_reserved(document: EndpointIntent) -> bool:
    return any([key.startswith(RESERVED_PREFIX) for key in document.labels])  # noqa: C419 - a generator takes longer

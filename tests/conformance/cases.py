"""The shared conformance data: cases, their steps, and what each cell of each truth table must be.

The data is not part of this repository. It is looked for at RINGFENCE_CONFORMANCE_DIR, or at `shared/conformance`
beside the repository; its README says what it holds.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from topology.packet import SCTP, TCP, UDP

NAME = "k8s_networkpolicy_cases.json.gz"
PROTOCOLS = {"TCP": TCP, "UDP": UDP, "SCTP": SCTP}
MAX_BYTES = 256 << 20
ROOT = Path(__file__).resolve().parents[2]


class MissingDataError(Exception):
    """The data is nowhere; the message says where it was looked for."""


class Cell(NamedTuple):
    """One question: may `source` open this to `destination`? Pods are `namespace/name`."""

    source: str
    destination: str
    service: str
    """`TCP/80`."""

    @property
    def protocol(self) -> int:
        """IP protocol number."""
        return PROTOCOLS[self.service.partition("/")[0]]

    @property
    def port(self) -> int:
        """Destination port."""
        return int(self.service.partition("/")[2])


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """A whole state of a cluster, and its truth table."""

    case: int
    number: int
    """Place in the case, from 0."""
    description: str
    namespaces: Mapping[str, Mapping[str, str]]
    pods: Sequence[Mapping[str, Any]]
    policies: Sequence[Mapping[str, Any]]
    expected: Mapping[Cell, str]
    """Three letters: ingress, egress, both; A allowed, B blocked. Cells from a pod to itself are left out."""

    def __str__(self) -> str:
        return f"case {self.case} step {self.number} ({self.description})"

    def objects(self) -> list[Mapping[str, Any]]:
        """Return the state as Kubernetes objects, as a cluster would list them."""
        namespaces = [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
            for name, labels in self.namespaces.items()
        ]
        # Some policies of the data lost their type, which is always the same.
        typed = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
        return [*namespaces, *map(_pod, self.pods), *({**typed, **policy} for policy in self.policies)]


def _pod(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    ports = [{"name": p["name"], "containerPort": p["port"], "protocol": p["protocol"]} for p in pod["ports"]]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": pod["name"], "namespace": pod["namespace"], "labels": pod["labels"]},
        "spec": {"containers": [{"name": "all", "ports": ports}]},
        "status": {"phase": "Running", "podIP": pod["ip"], "podIPs": [{"ip": pod["ip"]}]},
    }


def place() -> Path:
    """Return the file.

    Raises:
        MissingDataError: there is none.
    """
    given = os.environ.get("RINGFENCE_CONFORMANCE_DIR")
    file = (Path(given) if given else ROOT.parent / "shared" / "conformance") / NAME
    if not file.is_file():
        raise MissingDataError(f"no conformance data at {file}: set RINGFENCE_CONFORMANCE_DIR to where {NAME} is")
    return file


def load() -> list[list[Step]]:
    """Return the steps of every case.

    Raises:
        MissingDataError: there is no data.
    """
    with gzip.open(place(), "rb") as file:
        cases = json.loads(file.read(MAX_BYTES))
    return [[_step(case, n, number) for number in range(len(case["steps"]))] for n, case in enumerate(cases)]


def _step(case: Mapping[str, Any], index: int, number: int) -> Step:
    raw = case["steps"][number]
    return Step(
        case=index,
        number=number,
        description=case["description"],
        namespaces=raw["namespaces"],
        pods=raw["pods"],
        policies=raw["policies"] or [],
        expected=dict(_cells(raw["expected"])),
    )


def _cells(expected: Mapping[str, Mapping[str, Mapping[str, str]]]) -> Iterator[tuple[Cell, str]]:
    for source, row in expected.items():
        for destination, cells in row.items():
            if source != destination:
                for service, letters in cells.items():
                    yield Cell(source, destination, service), letters

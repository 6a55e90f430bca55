"""From what a container is to the labels and named ports of its endpoint. Pure.

Containers are written by whoever may start them, so a label counts only where the rules grant its key
and value; `docker.*` is what the Engine says itself and nobody else can set.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable, Mapping

OWN_PREFIX = "docker."
RESERVED = ("ringfence/", "ringfence.", OWN_PREFIX)
"""Prefixes that no container's label may have: the implicit labels, our own words, the Engine's."""
PORT_PREFIX = "ringfence.port."
"""A container's label that names a port: `ringfence.port.http=8080`, `ringfence.port.dns=udp/53`."""
COMPOSE = {
    "com.docker.compose.project": "docker.compose.project",
    "com.docker.compose.service": "docker.compose.service",
}
MAX_LABELS = 60
MAX_PORTS = 64
MAX_NAME = 253
PROTOCOLS = {6: "tcp", 17: "udp", 132: "sctp"}
"""IP protocol numbers, as libnetwork writes exposed ports."""
BAD_PATTERN = "no pattern of label keys: write it as `app`, `team.example/*` or `!tier`"

_WORD = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_KEY = re.compile(rf"(?:[a-z0-9](?:[a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_WORD}")
_VALUE = re.compile(rf"(?:{_WORD})?")
_PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9](?:[a-z0-9-]{0,13}[a-z0-9])?")
_PORT = re.compile(r"(?:(tcp|udp|sctp)/)?([0-9]{1,5})")
_MAX_PORT = 65535
_IMAGE_ID = 40
"""Hex digits of an image's id in a label: a label has at most 63 characters."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """Which labels count: patterns of keys (the last that fits decides), and values by pattern of key."""

    keys: tuple[str, ...] = ("*",)
    values: tuple[tuple[str, frozenset[str]], ...] = ()

    def problem(self, key: str, value: str) -> str | None:
        """Tell why a label does not count."""
        if key.startswith(RESERVED) or not _KEY.fullmatch(key):
            return "its key is reserved or no label key"
        if not _grants(self.keys, key):
            return "its key is not granted by labels.keys"
        if not _VALUE.fullmatch(value):
            return "its value is no label value"
        if any(value not in allowed for pattern, allowed in self.values if _fits(pattern, key)):
            return "its value is not granted by labels.values"
        return None


@dataclasses.dataclass(frozen=True, slots=True)
class Container:
    """What the Engine says of a container."""

    uid: str
    name: str
    image: str
    """As it was asked for: `registry:5000/shop/web:1.2`."""
    image_id: str
    labels: Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """What becomes of it: the endpoint's name, labels and named ports (`http` -> `tcp/80`)."""

    name: str
    labels: Mapping[str, str]
    ports: Mapping[str, str]
    refused: tuple[str, ...] = ()
    """Labels that do not count, with the reason, in words."""


def identify(container: Container, network: str, exposed: Iterable[tuple[int, int]], rules: Rules) -> Identity:
    """Return the identity of a container on a network; `exposed` are (IP protocol, port) pairs."""
    own = _own_labels(container)
    granted, refused = _granted(container.labels, rules)
    kept = dict(sorted(granted.items())[: MAX_LABELS - len(own)])
    refused += [f"{key}: more than {MAX_LABELS} labels" for key in sorted(granted) if key not in kept]
    ports, bad = _ports(container.labels, exposed)
    return Identity(endpoint_name(container.name, network), {**kept, **own}, ports, (*refused, *bad))


def endpoint_name(container: str, network: str) -> str:
    """Return the endpoint's name: a container has one in each of its networks."""
    room = MAX_NAME - len(network) - 1
    return f"{container[:room]}.{network}"


def _granted(labels: Mapping[str, str], rules: Rules) -> tuple[dict[str, str], list[str]]:
    granted, refused = {}, []
    for key, value in sorted(labels.items()):
        if key in COMPOSE or key.startswith((PORT_PREFIX, "com.docker.")):
            continue
        problem = rules.problem(key, value)
        if problem is None:
            granted[key] = value
        else:
            refused.append(f"{key[:80]}={value[:80]}: {problem}")
    return granted, refused


def _own_labels(container: Container) -> dict[str, str]:
    said = {
        "docker.name": container.name,
        "docker.image": container.image,
        "docker.image-id": container.image_id.removeprefix("sha256:")[:_IMAGE_ID],
        **{ours: container.labels.get(theirs, "") for theirs, ours in COMPOSE.items()},
    }
    return {key: _as_value(value) for key, value in said.items() if value}


def _as_value(text: str) -> str:
    """Return a text as a label value: what cannot stand there becomes `_`, the end is cut."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", text)[:63].strip("._-") or "x"


def _ports(labels: Mapping[str, str], exposed: Iterable[tuple[int, int]]) -> tuple[dict[str, str], list[str]]:
    """Name the exposed ports `tcp-80`, and as the container's labels name them."""
    ports = {f"{PROTOCOLS[p]}-{n}": f"{PROTOCOLS[p]}/{n}" for p, n in sorted(set(exposed)) if p in PROTOCOLS}
    bad = []
    for key, value in sorted(labels.items()):
        name = key.removeprefix(PORT_PREFIX)
        if name == key:
            continue
        found = _PORT.fullmatch(value)
        if not _PORT_NAME.fullmatch(name) or found is None or not 0 < int(found[2]) <= _MAX_PORT:
            bad.append(f"{key[:80]}={value[:80]}: write it as {PORT_PREFIX}http=tcp/8080")
        else:
            ports[name] = f"{found[1] or 'tcp'}/{int(found[2])}"
    bad += [f"port {name}: more than {MAX_PORTS}" for name in list(ports)[MAX_PORTS:]]
    return dict(list(ports.items())[:MAX_PORTS]), bad


def _grants(patterns: tuple[str, ...], key: str) -> bool:
    verdict = False
    for pattern in patterns:
        if _fits(pattern.removeprefix("!"), key):
            verdict = not pattern.startswith("!")
    return verdict


@functools.lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, re.split(r"\*+", pattern))))


def _fits(pattern: str, key: str) -> bool:
    return _compiled(pattern).fullmatch(key) is not None

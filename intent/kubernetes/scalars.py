"""The strings and numbers of Kubernetes objects, checked as its API server checks them, or more strictly.

Sources: Kubernetes 1.34, `k8s.io/apimachinery/pkg/util/validation` (names, labels, port names) and the
comments of `networking.k8s.io/v1`.
"""

import re
from ipaddress import IPv6Network, ip_network
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, PlainValidator

from intent.schema.problems import echo
from intent.schema.scalars import refusal

MAX_NAME = 253
MAX_PORT = 65535
NAMESPACE_PREFIX = "namespace"
"""Prefix of the label keys under which an endpoint carries the labels of its namespace."""
IMPORTER_PREFIX = "k8s"
"""Prefix of the label keys that the importer sets itself."""
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_PART = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_PORT_NAME = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")
_CIDR = re.compile(r"[0-9a-fA-F.:]+/[0-9]{1,3}")
_MAPPED_BITS = 96
"""Of an IPv6 address before the IPv4 address that is mapped into it (RFC 4291, 2.5.5.2)."""
T = TypeVar("T")


def is_name(text: object) -> bool:
    """Say whether a value is a DNS-1123 subdomain, as names of objects are."""
    return isinstance(text, str) and len(text) <= MAX_NAME and _NAME.fullmatch(text) is not None


def _name(text: str) -> str:
    if not is_name(text):
        raise refusal(f"{echo(text)} is no name", "use lower-case letters, digits, `-` and `.` (as in DNS names)")
    return text


def _namespace(text: str) -> str:
    if not _NAMESPACE.fullmatch(text):
        raise refusal(f"{echo(text)} is no namespace", "use at most 63 lower-case letters, digits and `-`")
    return text


def _label_key(text: str) -> str:
    prefix, slash, name = text.rpartition("/")
    if not _LABEL_PART.fullmatch(name) or (slash and not is_name(prefix)):
        remedy = "write `name` or `dns.prefix/name`; the name has at most 63 letters, digits, `-`, `_`, `.`"
        raise refusal(f"{echo(text)} is no label key", remedy)
    return text


def _pod_label_key(text: str) -> str:
    prefix, slash, _ = _label_key(text).rpartition("/")
    taken = prefix in (IMPORTER_PREFIX, NAMESPACE_PREFIX, "ringfence") or prefix.startswith(f"{NAMESPACE_PREFIX}.")
    if slash and taken:
        message = f"label keys with the prefix `{echo(prefix)[1:-1]}` are Ringfence's own: no pod has or selects one"
        raise refusal(message, "choose another prefix; labels of namespaces belong into a `namespaceSelector`")
    return text


def _namespace_label_key(text: str) -> str:
    prefix, _, _ = _label_key(text).rpartition("/")
    longest = MAX_NAME - len(NAMESPACE_PREFIX) - 1
    if len(prefix) > longest:
        raise refusal(f"the prefix of {echo(text)} is longer than {longest} characters", "choose a shorter prefix")
    return text


def _label_value(text: str) -> str:
    if text and not _LABEL_PART.fullmatch(text):
        remedy = "use at most 63 letters, digits, `-`, `_`, `.`, with a letter or digit at both ends"
        raise refusal(f"{echo(text)} is no label value", remedy)
    return text


def _cidr(text: str) -> str:
    remedy = "write it as `10.1.0.0/24` or `fd00:1::/64`"
    if not _CIDR.fullmatch(text):
        raise refusal(f"{echo(text)} is no CIDR block", remedy)
    try:
        network = ip_network(text)
    except ValueError as error:
        raise refusal(f"{echo(text)} is no CIDR block, or has host bits set", remedy) from error
    mapped = isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None
    if mapped and network.prefixlen >= _MAPPED_BITS:
        raise refusal(f"{echo(text)} is IPv4 written as IPv6, and read differently here and there", remedy)
    return str(network)


def _port_or_name(value: object) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= MAX_PORT:
            raise refusal(f"port {echo(value)} is outside 1..{MAX_PORT}", f"write a number from 1 to {MAX_PORT}")
        return value
    if not isinstance(value, str):
        raise refusal(f"{echo(value)} is neither a port number nor a port name", "write `80` or `http`")
    return _port_name(value)


def _port_name(text: str) -> str:
    if not _PORT_NAME.fullmatch(text):
        remedy = "use at most 15 lower-case letters, digits and `-`, a letter among them; numbers without quotes"
        raise refusal(f"{echo(text)} is no port name", remedy)
    return text


Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME), AfterValidator(_name)]
"""Of an object: a DNS-1123 subdomain."""
NamespaceName = Annotated[str, Field(min_length=1, max_length=63), AfterValidator(_namespace)]
PodLabelKey = Annotated[str, Field(min_length=1, max_length=317), AfterValidator(_pod_label_key)]
NamespaceLabelKey = Annotated[str, Field(min_length=1, max_length=317), AfterValidator(_namespace_label_key)]
LabelValue = Annotated[str, Field(max_length=63), AfterValidator(_label_value)]
Cidr = Annotated[str, Field(max_length=64), AfterValidator(_cidr)]
PortNumber = Annotated[int, Field(ge=1, le=MAX_PORT)]
PortName = Annotated[str, Field(max_length=15), AfterValidator(_port_name)]
PortOrName = Annotated[int | str, PlainValidator(_port_or_name)]
Protocol = Literal["TCP", "UDP", "SCTP"]
Items = Annotated[tuple[T, ...], Field(strict=False, max_length=1024)]
"""Up to 1024 of something, none included: for NetworkPolicy an empty list is as good as none."""

"""The strings of the intent language: names, labels, addresses, instants. Each is checked and made canonical."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from intent.schema.problems import did_you_mean, echo
from topology.model import NAME_LABEL, NETWORK_LABEL

MAX_NAME = 253
MAX_LABEL = 63
RESERVED_PREFIX = "ringfence/"
IMPLICIT_LABELS = (NETWORK_LABEL, NAME_LABEL)
NAME_PATTERN = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
_CIDR = re.compile(r"[0-9a-fA-F.:]+(/[0-9]{1,3})?")
_PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}")
CLOCK_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$"
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00")
_CONTROLS = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"
_CONTROL = re.compile(f"[{_CONTROLS}]")
_OCTETS = {str(number): number for number in range(256)}
_V4_LOOPBACK, _V4_MULTICAST, _V4_RESERVED, _V4_BROADCAST = 127, 224 << 24, 240 << 24, 2**32 - 1
_GROUP_DIGITS = "13579bdfBDF"
"""Second digits of MAC addresses that are not those of one interface."""
_NO_MAC = "00:00:00:00:00:00"
_PART = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_LABEL_PART = re.compile(_PART)


def refusal(message: str, remedy: str) -> PydanticCustomError:
    """Return the error that a field's validator raises; `problems` shows both parts."""
    return PydanticCustomError("refused", "{message}", {"message": message, "remedy": remedy})


CACHED = 4096
"""Labels, blocks and services that are remembered: documents say the same ones again and again."""
ADDRESSES = 1 << 14
"""Addresses that are remembered: reading, checking and meaning each want them."""


@lru_cache(ADDRESSES)
def parse_address(text: str) -> IPv4Address | IPv6Address:
    """Read an address.

    Raises:
        ValueError: it is none.
    """
    try:
        first, second, third, fourth = map(_OCTETS.__getitem__, text.split("."))
    except (KeyError, ValueError):
        return ip_address(text)
    return IPv4Address(first << 24 | second << 16 | third << 8 | fourth)


@lru_cache(CACHED)
def parse_block(text: str) -> IPv4Network | IPv6Network:
    """Read a block of addresses.

    Raises:
        ValueError: it is none.
    """
    return ip_network(text)


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise refusal(f"{echo(text)} is no name", "use lower-case letters, digits, `-` and `.` (as in DNS names)")
    return text


def _text(text: str) -> str:
    if _CONTROL.search(text):
        raise refusal("there are control characters in the text", "use printable text, tabs and line ends")
    return text


@lru_cache(CACHED)
def _label_key(text: str) -> str:
    prefix, slash, name = text.rpartition("/")
    if not _LABEL_PART.fullmatch(name) or (slash and not (_NAME.fullmatch(prefix) and len(prefix) <= MAX_NAME)):
        remedy = "write `name` or `dns.prefix/name`; the name has at most 63 letters, digits, `-`, `_`, `.`"
        raise refusal(f"{echo(text)} is no label key", remedy)
    return text


@lru_cache(CACHED)
def _own_label_key(text: str) -> str:
    if _label_key(text).startswith(RESERVED_PREFIX):
        raise refusal(f"the label keys `{RESERVED_PREFIX}…` are implied, nobody sets them", "choose another prefix")
    return text


@lru_cache(CACHED)
def _selected_label_key(text: str) -> str:
    if _label_key(text).startswith(RESERVED_PREFIX) and text not in IMPLICIT_LABELS:
        remedy = did_you_mean(text, IMPLICIT_LABELS, f"there are {' and '.join(IMPLICIT_LABELS)}")
        raise refusal(f"no endpoint has the implied label {echo(text)}", remedy)
    return text


def _label_value(text: str) -> str:
    if text and not _LABEL_PART.fullmatch(text):
        remedy = "use at most 63 letters, digits, `-`, `_`, `.`, with a letter or digit at both ends"
        raise refusal(f"{echo(text)} is no label value", remedy)
    return text


def _selected_label_value(text: str) -> str:
    return text if _NAME.fullmatch(text) else _label_value(text)


@lru_cache(CACHED)
def _cidr(text: str) -> str:
    if not _CIDR.fullmatch(text):
        raise refusal(f"{echo(text)} is no CIDR block", "write it as `10.1.0.0/24` or `fd00:1::/64`")
    try:
        return str(parse_block(text))
    except ValueError as error:
        try:
            wider = str(ip_network(text, strict=False))
        except ValueError:
            raise refusal(f"{echo(text)} is no CIDR block", "write it as `10.1.0.0/24` or `fd00:1::/64`") from error
        raise refusal(f"{echo(text)} has host bits set", f"write `{wider}`") from error


def _address(text: str) -> str:
    try:
        address = parse_address(text)
    except ValueError as error:
        raise refusal(f"{echo(text)} is no IP address", "write it as `10.1.0.1` or `fd00:1::1`") from error
    if not _is_usable(address):
        raise refusal(f"{echo(text)} cannot be the address of an endpoint", "declare a unicast address")
    return text if isinstance(address, IPv4Address) else str(address)  # IPv4 can be written in one way only


def _is_usable(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        number = int(address)  # ten times as fast as to ask for each property
        return (0 < number < _V4_MULTICAST and number >> 24 != _V4_LOOPBACK) or _V4_RESERVED <= number < _V4_BROADCAST
    if address.scope_id is not None or address.ipv4_mapped is not None:
        return False
    return not (address.is_multicast or address.is_unspecified or address.is_loopback)


def _group_address(text: str) -> str:
    example = "write it as `239.1.2.3` or `ff05::1:3`"
    try:
        address = parse_address(text)
    except ValueError as error:
        raise refusal(f"{echo(text)} is no IP address", example) from error
    if not address.is_multicast or (isinstance(address, IPv6Address) and address.scope_id is not None):
        raise refusal(f"{echo(text)} is no multicast address", f"give one of 224.0.0.0/4 or ff00::/8: {example}")
    return str(address)


def _mac(text: str) -> str:
    if not _MAC.fullmatch(text):
        raise refusal(f"{echo(text)} is no MAC address", "write it as `02:00:00:00:00:01`")
    if text[1] in _GROUP_DIGITS or text == _NO_MAC:
        raise refusal(f"{echo(text)} is not the address of one interface", "use a unicast MAC address")
    return text.lower()


def _port_name(text: str) -> str:
    if not _PORT_NAME.fullmatch(text):
        remedy = "use at most 15 lower-case letters, digits and `-`, with a letter among them"
        raise refusal(f"{echo(text)} is no port name", remedy)
    return text


def _instant(text: str) -> str:
    try:
        instant = datetime.fromisoformat(text) if _INSTANT.fullmatch(text) else None
    except ValueError:
        instant = None
    if instant is None:
        raise refusal(f"{echo(text)} is no RFC 3339 instant", "write it as `2027-01-01T00:00:00Z`")
    if instant.tzinfo is None:
        raise refusal(f"{echo(text)} names no time zone", "append `Z` or an offset as `+02:00`")
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _zone(text: str) -> str:
    if not _ZONE.fullmatch(text):
        raise refusal(f"{echo(text)} is no IANA time zone", "write it as `Europe/Berlin`")
    return text


def _clock(text: str) -> str:
    if not _CLOCK.fullmatch(text):
        raise refusal(f"{echo(text)} is no time of day", "write it as `08:30`, from `00:00` to `24:00`")
    return text


def _hide(schema: JsonDict) -> None:
    """Leave the pattern out of JSON Schema."""
    schema.pop("pattern", None)


REASONS: dict[str, Callable[[str], str]] = {
    NAME_PATTERN: _name,
    f"^[^{_CONTROLS}]*$": _text,
    f"^({_PART})?$": _label_value,
    f"^({_PART}|[a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$": _selected_label_value,
}
"""By pattern: what takes exactly the strings that it matches, as they are, and says why of others.

Pydantic matches patterns by itself, many times faster than it calls Python. They are for Rust's `regex`, where `$` is
the very end.
"""
_NAMES, _TEXTS, _VALUES, _SELECTED_VALUES = REASONS


Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME, pattern=_NAMES)]
Text = Annotated[str, Field(max_length=2048), AfterValidator(_text)]
Reference = Annotated[str, Field(min_length=1, max_length=MAX_NAME, pattern=_TEXTS, json_schema_extra=_hide)]
"""A name that something outside gave: of a bridge, an interface, an `iface-id`."""
OwnLabelKey = Annotated[str, Field(min_length=1, max_length=MAX_NAME + 1 + MAX_LABEL), AfterValidator(_own_label_key)]
LabelKey = Annotated[str, Field(min_length=1, max_length=MAX_NAME + 1 + MAX_LABEL), AfterValidator(_selected_label_key)]
LabelValue = Annotated[str, Field(max_length=MAX_LABEL, pattern=_VALUES, json_schema_extra=_hide)]
SelectedValue = Annotated[str, Field(max_length=MAX_NAME, pattern=_SELECTED_VALUES, json_schema_extra=_hide)]
"""What a selector asks for: a label value, or the name of an endpoint or network."""
Cidr = Annotated[str, Field(max_length=64, json_schema_extra={"format": "cidr"}), AfterValidator(_cidr)]
Address = Annotated[str, Field(max_length=64, json_schema_extra={"format": "ip"}), AfterValidator(_address)]
GroupAddress = Annotated[str, Field(max_length=64, json_schema_extra={"format": "ip"}), AfterValidator(_group_address)]
Mac = Annotated[str, Field(max_length=17, json_schema_extra={"format": "mac"}), AfterValidator(_mac)]
NamedPortKey = Annotated[str, Field(max_length=15), AfterValidator(_port_name)]
Instant = Annotated[str, Field(max_length=40, json_schema_extra={"format": "date-time"}), AfterValidator(_instant)]
Zone = Annotated[str, Field(max_length=64), AfterValidator(_zone)]
Clock = Annotated[str, Field(max_length=40, json_schema_extra={"pattern": CLOCK_PATTERN}), AfterValidator(_clock)]

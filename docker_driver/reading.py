"""Values out of JSON that others wrote: each typed and bounded, or refused with its place."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from typing import Any

from docker_driver.errors import Refused

MAX_TEXT = 4096
MAX_ITEMS = 4096
_UID = re.compile(r"[0-9a-f]{64}")
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_GROUP_BIT = 1

Body = Mapping[str, Any]


def parse(data: bytes) -> Body:
    """Return a request's JSON object; no body at all is an empty one.

    Raises:
        Refused: it is none.
    """
    try:
        value = json.loads(data) if data.strip() else {}
    except (ValueError, RecursionError) as error:
        raise Refused("the request is no JSON") from error
    if not isinstance(value, dict):
        raise Refused("the request is no JSON object")
    return value


def text(body: Body, key: str) -> str:
    """Return a text; empty where it is missing or null."""
    value = body.get(key)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_TEXT or not value.isprintable():
        raise Refused(f"{key} is no printable text of at most {MAX_TEXT} characters")
    return value


def mapping(body: Body, key: str) -> Body:
    """Return an object; empty where it is missing or null."""
    value = body.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > MAX_ITEMS or not all(isinstance(k, str) for k in value):
        raise Refused(f"{key} is no object of at most {MAX_ITEMS} keys")
    return value


def items(body: Body, key: str) -> list[Body]:
    """Return a list of objects; empty where it is missing or null."""
    value = body.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > MAX_ITEMS or not all(isinstance(item, dict) for item in value):
        raise Refused(f"{key} is no list of at most {MAX_ITEMS} objects")
    return value


def number(body: Body, key: str, most: int) -> int:
    """Return a whole number from 0 to `most`."""
    value = body.get(key)
    if type(value) is not int or not 0 <= value <= most:
        raise Refused(f"{key} is no whole number from 0 to {most}")
    return value


def uid(body: Body, key: str) -> str:
    """Return an id of Docker's: 64 hex digits."""
    value = text(body, key)
    if not _UID.fullmatch(value):
        raise Refused(f"{key} is no id of 64 hex digits")
    return value


def mac(value: str) -> str:
    """Return a unicast MAC in lower case."""
    lower = value.lower()
    if not _MAC.fullmatch(lower) or int(lower[:2], 16) & _GROUP_BIT or not int(lower.replace(":", ""), 16):
        raise Refused(f"{value[:40]!r} is no MAC of one host: write it as 02:42:ac:11:00:02")
    return lower


def interface(value: str, key: str) -> str:
    """Return an address with its prefix length."""
    try:
        return str(ipaddress.ip_interface(value))
    except ValueError as error:
        raise Refused(f"{key}: {value[:80]!r} is no address with a prefix length") from error

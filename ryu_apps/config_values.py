"""The single values of the configuration: each type with the check that refuses what it is not.

A refusal carries its own remedy through pydantic (`refuse`), which `ryu_apps.config` reports.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, Field, PlainValidator
from pydantic_core import PydanticCustomError

ANY: Final = "any"
ALL: Final = "all"
MAX_SWITCHES: Final = 10_000
"""Most datapath ids or names that may be listed."""


def refuse(message: str, remedy: str) -> PydanticCustomError:
    """Return an error that carries its own remedy through pydantic."""
    return PydanticCustomError("ringfence", "{problem}", {"problem": message, "remedy": remedy})


def at_key(path: str, error: PydanticCustomError) -> PydanticCustomError:
    """Return the error of a section, moved to one of its keys."""
    return PydanticCustomError("ringfence", "{problem}", {**(error.context or {}), "key": path})


def is_loopback(host: str) -> bool:
    """Say whether an address never leaves the host."""
    return ipaddress.ip_address(host).is_loopback


def _listen_address(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise refuse(
            f"{value!r} is no IP address", "give the address to listen on, for instance 127.0.0.1 or '::1'"
        ) from None


def _endpoint_of(value: str) -> tuple[str, int] | None:
    """Return host and port of `host:port` or `[v6]:port`, None if it is neither."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})))\:(\d{1,5})", value)
    if not found or not 0 < int(found[3]) < 1 << 16:
        return None
    return found[1] or found[2], int(found[3])


def _target(value: str) -> str:
    scheme, _, rest = value.partition(":")
    if scheme == "unix" and rest.startswith("/") and "\0" not in rest:
        return value
    if scheme in {"tcp", "ssl"} and _endpoint_of(rest):
        return value
    raise refuse(
        f"{value!r} is no OVSDB target", "write unix:/absolute/path, tcp:host:6640 or ssl:host:6640 ([..] around IPv6)"
    )


def _controller_target(value: str) -> str:
    if value.startswith(("tcp:", "ssl:")) and _endpoint_of(value[4:]):
        return value
    raise refuse(f"{value!r} is no controller target", "write tcp:host:6653 or ssl:host:6653 ([..] around IPv6)")


def _listed(value: object, kind: tuple[str, str], pattern: str, shown: int, remedy: str) -> tuple[str, ...]:
    """Return a list of 1 to MAX_SWITCHES texts that fit; `kind` is what one of them is, and what several are."""
    one, several = kind
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= MAX_SWITCHES:
        raise refuse(f"neither the word any nor a list of 1 to {MAX_SWITCHES} {several}", remedy)
    for n, item in enumerate(value):
        if not isinstance(item, str) or not re.fullmatch(pattern, item):
            raise refuse(f"item {n}, {str(item)[:shown]!r}, is no {one}", remedy)
    return tuple(value)


def _datapath_ids(value: object) -> tuple[str, ...] | Literal["any"]:
    if value == ANY:
        return ANY
    remedy = "write any, or a list of 16 hex digits each in quotes, as `ovs-vsctl get bridge br-ring datapath_id` says"
    listed = _listed(value, ("datapath id", "datapath ids"), r"[0-9A-Fa-f]{16}", 40, remedy)
    return tuple(sorted({item.lower() for item in listed}))


def _bare_switches(value: object) -> dict[str, tuple[str, ...] | Literal["all"]]:
    """Check a mapping of datapath ids to the names of ports, or the word all."""
    remedy = "write the datapath id as 16 hex digits in quotes, and behind it all, or a list of names of ports"
    if not isinstance(value, dict) or len(value) > MAX_SWITCHES:
        raise refuse(f"no mapping of at most {MAX_SWITCHES} datapath ids", remedy)
    found: dict[str, tuple[str, ...] | Literal["all"]] = {}
    for dpid, ports in value.items():
        if not isinstance(dpid, str) or not re.fullmatch(r"[0-9A-Fa-f]{16}", dpid) or not int(dpid, 16):
            raise refuse(f"{str(dpid)[:40]!r} is no datapath id", remedy)
        if dpid.lower() in found:
            raise refuse(f"{dpid} is there twice", "list each switch once")
        names = ("name of a port", "names of ports")
        found[dpid.lower()] = ALL if ports == ALL else _listed(ports, names, r"[!-~]{1,15}", 40, remedy)
    return dict(sorted(found.items()))


def _host_names(value: object) -> tuple[str, ...] | Literal["any"]:
    if value == ANY:
        return ANY
    remedy = "write any, or a list of names of letters, digits, '-', '_' and '.', as the hosts' certificates have them"
    listed = _listed(value, ("name of a host", "names of hosts"), r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", 70, remedy)
    return tuple(sorted(set(listed)))


def _bridge_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}", value):
        raise refuse(f"{value!r} is no interface name", "use 1 to 15 letters, digits, '-', '_' and '.'")
    return value


def _absolute(value: Path) -> Path:
    if not value.is_absolute() or "\0" in str(value):
        raise refuse(f"{str(value)!r} is no absolute path", "start it with /")
    return value


Port: TypeAlias = Annotated[int, Field(ge=1, le=65535)]
Listen: TypeAlias = Annotated[str, AfterValidator(_listen_address)]
File: TypeAlias = Annotated[Path, AfterValidator(_absolute)]
DatapathIds: TypeAlias = Annotated[tuple[str, ...] | Literal["any"], PlainValidator(_datapath_ids)]
BareSwitches: TypeAlias = Annotated[dict[str, tuple[str, ...] | Literal["all"]], PlainValidator(_bare_switches)]
HostNames: TypeAlias = Annotated[tuple[str, ...] | Literal["any"], PlainValidator(_host_names)]
TlsName: TypeAlias = Annotated[str, Field(min_length=1, max_length=253)]
OvsdbTarget: TypeAlias = Annotated[str, Field(max_length=300), AfterValidator(_target)]
BridgeName: TypeAlias = Annotated[str, AfterValidator(_bridge_name)]
ControllerTarget: TypeAlias = Annotated[str, Field(max_length=300), AfterValidator(_controller_target)]

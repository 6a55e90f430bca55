"""eventlet, whose resolver is loaded when somebody looks for the first name of a host.

Its resolver lets others run while a name is looked up, and is a tenth of all that a controller loads. Numbers, which
most configurations have, need no resolver.
"""

from __future__ import annotations

import importlib
import os
import socket
from collections.abc import Callable
from typing import Any

RESOLVER = "eventlet.support.greendns"
_LOOKUPS = ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "getnameinfo")
_WITHOUT = "EVENTLET_NO_GREENDNS"
"""eventlet's own option; whoever sets it chose the system's resolver, which blocks."""


def load() -> Any:  # noqa: ANN401 - eventlet has no types
    """Import eventlet; call it before anything else does, and before `monkey_patch`."""
    if os.environ.get(_WITHOUT):
        return importlib.import_module("eventlet")
    os.environ[_WITHOUT] = "yes"
    try:
        green: Any = importlib.import_module("eventlet.green.socket")
    finally:
        del os.environ[_WITHOUT]
    for name in _LOOKUPS:
        setattr(green, name, _later(name))
    green.getaddrinfo = _numbers_first(socket.getaddrinfo, green.getaddrinfo)
    return importlib.import_module("eventlet")


def _later(name: str) -> Callable[..., Any]:
    """Return a lookup of the resolver's, which loads it."""

    def look_up(*args: object, **kwargs: object) -> Any:  # noqa: ANN401 - as the lookup's own
        return getattr(importlib.import_module(RESOLVER), name)(*args, **kwargs)

    return look_up


def _numbers_first(numbers: Callable[..., Any], names: Callable[..., Any]) -> Callable[..., Any]:
    def getaddrinfo(  # noqa: PLR0913, PLR0917 - as Python's own
        host: str | None,
        port: str | int | None,
        family: int = 0,
        type: int = 0,  # noqa: A002 - as above
        proto: int = 0,
        flags: int = 0,
    ) -> Any:  # noqa: ANN401 - as above
        try:
            return numbers(host, port, family, type, proto, flags | socket.AI_NUMERICHOST)
        except socket.gaierror:
            return names(host, port, family, type, proto, flags)

    return getaddrinfo

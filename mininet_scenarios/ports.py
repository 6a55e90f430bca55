"""Words of ovs-vsctl that plug workloads in, say who they are, and take them away.

Without Pydantic and the like: Mininet's own Python reads this too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping


def plugged(bridge: str, ports: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return how to add ports with their external_ids, all in one transaction."""
    words: list[str] = []
    for interface, ids in ports.items():
        words += ["--", "add-port", bridge, interface]
        words += ["--", *relabelled(interface, ids)] if ids else []
    return words


def relabelled(interface: str, ids: Mapping[str, str]) -> list[str]:
    """Return how to replace the external_ids of a port."""
    pairs = ",".join(f"{json.dumps(k)}={json.dumps(v)}" for k, v in ids.items())
    return ["set", "Interface", interface, f"external_ids={{{pairs}}}"]


def unplugged(bridge: str, interfaces: Iterable[str]) -> list[str]:
    """Return how to remove ports, all in one transaction."""
    return [word for name in interfaces for word in ("--", "--if-exists", "del-port", bridge, name)]

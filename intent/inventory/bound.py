"""Documents that are bound to interfaces and are no endpoints: uplinks and mirrors."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Generic, TypeVar

from intent.model import Binding, Mirror, Uplink
from topology.site import SiteInterface

D = TypeVar("D", Uplink, Mirror)


class Bound(Generic[D]):
    """Documents of one kind, by what binds them."""

    def __init__(self, documents: Iterable[D]) -> None:
        listed = list(documents)
        self._by_port: dict[tuple[str | None, str | None], D] = {
            (d.binding.bridge, d.binding.interface): d for d in listed
        }
        self._by_iface_id: dict[str, D] = {d.binding.iface_id: d for d in listed if d.binding.iface_id}

    def of(self, interface: SiteInterface, iface_id: str | None) -> D | None:
        """Return the document that is bound to an interface; no endpoint can be there then."""
        found = self._by_port.get((interface.bridge, interface.name))
        return found or (self._by_iface_id.get(iface_id) if iface_id else None)


def where(binding: Binding) -> str:
    """Return a binding as people write it."""
    return "/".join(part for part in dataclasses.astuple(binding) if part is not None)

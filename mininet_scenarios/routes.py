"""Whom a workload reaches by a router, as its scenario's documents say."""

from __future__ import annotations

from collections.abc import Iterable

from intent.model import router_mac
from mininet_scenarios.scenario import Document, Workload

ANYWHERE = {4: "0.0.0.0/0", 6: "::/0"}


class Routes:
    """The routers of some documents; what is not valid joins nothing."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self._router: dict[str, Document] = {}
        self._gateways: dict[str, list[str]] = {}
        for document in documents:
            if document.get("kind") == "Router":
                self._router.update(dict.fromkeys(document.get("networks", ()), document))
            elif document.get("kind") == "Network":
                self._gateways[document["name"]] = list(document.get("gateways", ()))

    def between(self, one: Workload, other: Workload) -> str | None:
        """Return the MAC of the router by which two workloads reach each other, None if there is none."""
        if "world" in (one.source, other.source):
            world, inner = (one, other) if one.source == "world" else (other, one)
            router = self._router.get(inner.network)
            return None if router is None or router.get("uplink") != world.name else _mac(router)
        if one.network == other.network:
            return None
        router = self._router.get(one.network)
        return None if router is None or router is not self._router.get(other.network) else _mac(router)

    def gateways(self, workload: Workload) -> list[str]:
        """Return the gateways of a workload's network, if a router has them."""
        return self._gateways.get(workload.network, []) if workload.network in self._router else []


def _mac(router: Document) -> str:
    return str(router.get("mac") or router_mac(router["name"]))


def strangers(workload: Workload, others: Iterable[Workload], routes: Routes) -> list[tuple[str, str]]:
    """Return (address, MAC) of those whom the switch does not resolve for this workload.

    A forbidden packet must reach the wire to be measured, so it may not wait for an answer to ARP.
    """
    return [
        (address, other.mac)
        for other in others
        for address in other.addresses
        if other.name != workload.name
        and routes.between(workload, other) is None
        and (other.network != workload.network or "none" in {other.source, workload.source})
    ]

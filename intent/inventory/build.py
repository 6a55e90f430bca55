"""`build`: from what exists and what was declared to who is there."""

from __future__ import annotations

import dataclasses

from intent.inventory.candidates import gather
from intent.inventory.checks import sort_addresses
from intent.inventory.disputes import settle
from intent.inventory.drafts import Candidate
from intent.inventory.grants import ALL, Grants
from intent.inventory.uplinks import translated
from intent.inventory.values import Built, Claims, Learned
from intent.model import Intents
from topology.model import Endpoint, Inventory, IPAddress, UnaddressedPort
from topology.site import Site


def build(site: Site, intents: Intents, claims: Claims, learned: Learned, grants: Grants = ALL) -> Built:
    """Return the inventory, and the history that the next call needs.

    Depends on nothing but its arguments: the order in which events made the site does not matter.
    `grants` says which label keys OVSDB rows may set.
    """
    gathered = gather(site, intents, grants)
    declared = frozenset(gathered.declared)
    settled = settle(gathered.candidates, claims, learned, declared, complete=site.complete)
    endpoints = sorted(
        (endpoint_of(w, settled.learned.get(w.attachment)) for w in settled.winners), key=lambda e: e.name
    )
    addressed = {e.name: e for e in endpoints if e.addresses}
    inventory = Inventory(
        endpoints=addressed,
        unaddressed=tuple(unaddressed_of(e) for e in endpoints if not e.addresses),
        reports=tuple(sorted({*gathered.reports, *(r for losses in settled.losses.values() for r in losses)})),
        uplinks=translated(gathered.uplinks, intents, addressed),
        mirrors=gathered.mirrors,
    )
    return Built(inventory, settled.claims, settled.learned, declared)


def endpoint_of(candidate: Candidate, learned: tuple[IPAddress, ...] | None) -> Endpoint:
    """Return a winner with what was learned for it."""
    if not learned:
        return candidate.endpoint
    addresses = sort_addresses((*candidate.endpoint.addresses, *learned))
    return dataclasses.replace(candidate.endpoint, addresses=addresses)


def unaddressed_of(endpoint: Endpoint) -> UnaddressedPort:
    """Return what is there of an endpoint that has no address yet."""
    return UnaddressedPort(endpoint.name, endpoint.network, endpoint.mac, endpoint.location)

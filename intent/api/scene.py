"""Everything a question about now depends on, taken at one instant."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from intent.api.ports import Ports
from intent.clockwork import zones
from intent.model import Intents
from intent.semantics import NO_ZONES, Offsets
from topology.model import Inventory


class Scene(NamedTuple):
    """What verdicts, and what a document is worth, are judged by."""

    intents: Intents
    inventory: Inventory
    now: datetime
    offsets: Offsets = NO_ZONES


def look(ports: Ports) -> Scene:
    """Return how things are now."""
    intents, now = ports.store.intents(), ports.clock.now()
    return Scene(intents, ports.inventory.current(), now, ports.clock.offsets(zones(intents), now))

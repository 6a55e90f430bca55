"""Who is plugged in where: OVSDB rows and `Endpoint` documents merged into the inventory. Pure.

    built = build(site, intents, claims, learned)     at every change of any of them
    learning = learn(learned, sighting, intents, built)     when a switch saw an address

Keep `built.claims` and `built.learned` durable: they are the only history that the next `build` needs.
Whatever is unknown, invalid or disputed is left out (so it is default-deny) and reported.
"""

from intent.inventory.build import build
from intent.inventory.follow import Follower
from intent.inventory.grants import Grants
from intent.inventory.learning import learn
from intent.inventory.persist import (
    dump_claim_changes,
    dump_claims,
    dump_learned,
    dump_learned_changes,
    load_claim_changes,
    load_claims,
    load_learned,
    load_learned_changes,
)
from intent.inventory.values import Built, ClaimKey, Claims, Learned, Learning, Sighting, address_key, attachment_of

__all__ = [
    "Built",
    "ClaimKey",
    "Claims",
    "Follower",
    "Grants",
    "Learned",
    "Learning",
    "Sighting",
    "address_key",
    "attachment_of",
    "build",
    "dump_claim_changes",
    "dump_claims",
    "dump_learned",
    "dump_learned_changes",
    "learn",
    "load_claim_changes",
    "load_claims",
    "load_learned",
    "load_learned_changes",
]

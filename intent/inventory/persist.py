"""Claims and learned addresses as bytes for the store, and back."""

from __future__ import annotations

import json
from ipaddress import ip_address

from intent.inventory.values import ClaimKey, Claims, Learned
from topology.frozen import FrozenMap, differing, frozen
from topology.model import IPAddress


def dump_claims(claims: Claims) -> bytes:
    """Return claims as canonical JSON: equal claims are equal bytes."""
    return _dump([[*key, attachment] for key, attachment in sorted(claims.items())])


def load_claims(data: bytes | None) -> Claims:
    """Read what `dump_claims` wrote; None is no claims.

    Raises:
        ValueError: it is something else.
    """
    claims: dict[ClaimKey, str] = {}
    for entry in _load(data, "claims"):
        match entry:
            case [str(scope), str(thing), str(attachment)]:
                claims[ClaimKey(scope, thing)] = attachment
            case _:
                raise ValueError("stored claims: an entry must be [scope, thing, attachment]")
    return claims


def dump_claim_changes(before: Claims, after: Claims) -> bytes:
    """Return what leads from one to the other, as canonical JSON; empty if nothing does."""
    if not before:
        return dump_claims(after) if after else b""
    changes = [[key.scope, key.thing, after.get(key)] for key in sorted(differing(before, after))]
    return _dump(changes) if changes else b""


def load_claim_changes(claims: Claims, data: bytes) -> FrozenMap[ClaimKey, str]:
    """Return claims after changes that `dump_claim_changes` wrote.

    Raises:
        ValueError: it is something else.
    """
    put: dict[ClaimKey, str] = {}
    gone: list[ClaimKey] = []
    for entry in _load(data, "changes of claims"):
        match entry:
            case [str(scope), str(thing), str(attachment)]:
                put[ClaimKey(scope, thing)] = attachment
            case [str(scope), str(thing), None]:
                gone.append(ClaimKey(scope, thing))
            case _:
                raise ValueError("stored changes of claims: an entry must be [scope, thing, attachment or null]")
    return frozen(claims).but(put, gone)


def dump_learned_changes(before: Learned, after: Learned) -> bytes:
    """Return what leads from one to the other, as canonical JSON; empty if nothing does."""
    changes = [[a, [str(address) for address in after.get(a, ())]] for a in sorted(differing(before, after))]
    return _dump(changes) if changes else b""


def load_learned_changes(learned: Learned, data: bytes) -> FrozenMap[str, tuple[IPAddress, ...]]:
    """Return learned addresses after changes that `dump_learned_changes` wrote.

    Raises:
        ValueError: it is something else.
    """
    changes = load_learned(data)
    put = {attachment: addresses for attachment, addresses in changes.items() if addresses}
    return frozen(learned).but(put, [attachment for attachment in changes if attachment not in put])


def dump_learned(learned: Learned) -> bytes:
    """Return learned addresses as canonical JSON."""
    return _dump([[attachment, [str(address) for address in learned[attachment]]] for attachment in sorted(learned)])


def load_learned(data: bytes | None) -> Learned:
    """Read what `dump_learned` wrote; None is nothing learned.

    Raises:
        ValueError: it is something else.
    """
    learned = {}
    for entry in _load(data, "learned addresses"):
        match entry:
            case [str(attachment), list(addresses)] if all(isinstance(a, str) for a in addresses):
                learned[attachment] = tuple(map(ip_address, addresses))
            case _:
                raise ValueError("stored learned addresses: an entry must be [attachment, [address, ...]]")
    return learned


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _load(data: bytes | None, what: str) -> list[object]:
    value = json.loads(data) if data is not None else []
    if not isinstance(value, list):
        raise ValueError(f"stored {what}: a list was expected")  # noqa: TRY004 callers know one error, as with bad JSON
    return value

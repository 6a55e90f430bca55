"""Settle who holds what two candidates want: the first holder keeps it, the other is left out.

But of two places that claim to be the same endpoint the newer wins: it moved.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Iterable, Iterator, Mapping

from intent.inventory.checks import address_problem
from intent.inventory.drafts import Candidate
from intent.inventory.values import NAME, ClaimKey, Claims, Learned, address_key, name_key
from topology.model import IPAddress, Report

MAX_LOST = 8
"""Rows that are gone of an endpoint, which are remembered to be older than the one that has it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Settled:
    """Who is in, and what each holds now."""

    winners: tuple[Candidate, ...]
    claims: Claims
    learned: Learned
    losses: Mapping[str, tuple[Report, ...]]
    """What is said of each attachment that is left out."""


def settle(
    candidates: Iterable[Candidate], before: Claims, learned: Learned, declared: Container[ClaimKey], *, complete: bool
) -> Settled:
    """Settle all disputes.

    `before` are the claims of the last time: those of attachments that are gone, or that want the
    thing no more, are dropped. Unless the site is `complete`, an attachment we do not see may be one
    we have not heard of yet: its claims and learned addresses stay, and hold against others.
    """
    unique = {c.attachment: c for c in sorted(candidates, key=lambda c: c.endpoint.location, reverse=True)}
    moved, lost = _moves(unique.values(), before, _kept_claims(unique, before, complete=complete))
    if moved:
        before = {**before, **moved}
    present = {candidate.attachment: candidate for candidate in _in_order(unique.values(), before)}
    held = _kept_claims(present, before, complete=complete) | lost
    winners, losses = _settle_declared(present, held)
    held |= _older(winners, present.values(), before, held)
    kept_learned = _settle_learned(winners, held, before, learned, declared)
    if not complete:
        kept_learned |= {a: addresses for a, addresses in learned.items() if a not in present}
    return Settled(winners, held, kept_learned, losses)


def _in_order(candidates: Iterable[Candidate], before: Claims) -> list[Candidate]:
    """Those who held something first, then documents before rows, then by name: never by arrival."""

    def rank(candidate: Candidate) -> tuple[bool, bool, str, str]:
        newcomer = not any(before.get(key) == candidate.attachment for key in candidate.keys)
        return newcomer, not candidate.from_api, candidate.endpoint.name, candidate.attachment

    return sorted(candidates, key=rank)


def _moves(
    candidates: Iterable[Candidate], before: Claims, kept: Claims
) -> tuple[dict[ClaimKey, str], dict[ClaimKey, str]]:
    """Return what endpoints that moved hold now, and for each name the rows that lost it to a newer one.

    What is not `kept` of the claims from before is in nobody's way: else it would be the next settlement that moves.
    """
    rivals: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        rivals.setdefault(candidate.endpoint.name, []).append(candidate)
    moved: dict[ClaimKey, str] = {}
    losers: dict[ClaimKey, str] = {}
    for name, places in rivals.items():
        lost = before.get(lost_key(name), "").split()
        old = next((c for c in places if kept.get(name_key(name)) == c.attachment), None)
        new = [c for c in places if old and _uid(c) not in lost and c is not old and _is_same_endpoint(c, old)]
        free = {None, old.attachment} if old else {None}
        new = [c for c in new if all(moved.get(k, kept.get(k)) in free | {c.attachment} for k in c.keys)]
        if old and new:
            winner = max(new, key=_uid)
            moved.update((key, winner.attachment) for key in winner.keys if kept.get(key) in {None, old.attachment})
            lost = _remembered([*lost, *map(_uid, new), _uid(old)], set(map(_uid, places)), _uid(winner))
        if lost:
            losers[lost_key(name)] = " ".join(lost)
    return moved, losers


def _remembered(lost: list[str], present: Container[str], winner: str) -> list[str]:
    """Return the rows to remember as older than the winner: all that are there, else one of them would win again."""
    gone = [uid for uid in lost if uid not in present][-MAX_LOST:]
    return [uid for uid in lost if uid != winner and (uid in present or uid in gone)]


def _older(
    winners: Iterable[Candidate], candidates: Iterable[Candidate], before: Claims, held: Claims
) -> dict[ClaimKey, str]:
    """Return who counts as older than the winners whose names nobody held: else one of them would move next time."""
    fresh = {w.endpoint.name: w for w in winners if before.get(name_key(w.endpoint.name)) != w.attachment}
    rivals: dict[str, list[str]] = {}
    for candidate in candidates if fresh else ():
        winner = fresh.get(candidate.endpoint.name)
        if winner is not None and candidate is not winner and _is_same_endpoint(candidate, winner):
            rivals.setdefault(candidate.endpoint.name, []).append(_uid(candidate))
    found: dict[ClaimKey, str] = {}
    for name, uids in rivals.items():
        lost = held.get(lost_key(name), "").split()
        found[lost_key(name)] = " ".join(dict.fromkeys([*lost, *sorted(uids)]))
    return found


def lost_key(name: str) -> ClaimKey:
    """Return the key under which is kept which rows lost an endpoint's name to newer ones."""
    return ClaimKey("", f"lost/{name}")


def lost_keys_of(things: Iterable[ClaimKey]) -> Iterator[ClaimKey]:
    """Yield the `lost_key` of each name among the keys of candidates."""
    return (lost_key(t.thing.removeprefix(NAME)) for t in things if not t.scope and t.thing.startswith(NAME))


def _uid(candidate: Candidate) -> str:
    return candidate.endpoint.location.uid


def _is_same_endpoint(one: Candidate, other: Candidate) -> bool:
    mine, its = one.endpoint, other.endpoint
    return (mine.network, mine.mac, mine.addresses) == (its.network, its.mac, its.addresses)


def _kept_claims(present: Mapping[str, Candidate], before: Claims, *, complete: bool) -> dict[ClaimKey, str]:
    kept = {} if complete else {key: holder for key, holder in before.items() if holder not in present}
    for attachment, candidate in present.items():
        kept.update((key, attachment) for key in candidate.keys if before.get(key) == attachment)
    return kept


def _settle_declared(
    present: Mapping[str, Candidate], held: dict[ClaimKey, str]
) -> tuple[tuple[Candidate, ...], dict[str, tuple[Report, ...]]]:
    """Let each candidate in whose every key is free or its own; one that loses any takes none."""
    winners: list[Candidate] = []
    losers: list[Candidate] = []
    for attachment, candidate in present.items():
        if any(held.get(key, attachment) != attachment for key in candidate.keys):
            losers.append(candidate)
            continue
        held.update(dict.fromkeys(candidate.keys, attachment))
        winners.append(candidate)
    return tuple(winners), {loser.attachment: tuple(_losses(loser, held)) for loser in losers}


def _losses(loser: Candidate, held: Claims) -> Iterator[Report]:
    """Tell each key that somebody else holds, once all is settled."""
    for key in loser.keys:
        holder = held.get(key, loser.attachment)
        if holder != loser.attachment:
            yield _loss(loser, key, holder)


def _settle_learned(
    winners: Iterable[Candidate],
    held: dict[ClaimKey, str],
    before: Claims,
    learned: Learned,
    declared: Container[ClaimKey],
) -> dict[str, tuple[IPAddress, ...]]:
    """Keep of the learned addresses those that nobody declares or holds; what was held first goes first."""
    wishes = [
        (wish_key(c, address), c.attachment, address)
        for c in winners
        if c.attachment in learned
        for address in _admissible(c, learned[c.attachment])
    ]
    kept: dict[ClaimKey, str] = {}
    for key, attachment, _ in sorted(wishes, key=lambda w: before.get(w[0]) != w[1]):
        if key not in declared and key not in held:
            kept.setdefault(key, attachment)
    held.update(kept)
    still: dict[str, tuple[IPAddress, ...]] = {}
    for key, attachment, address in wishes:
        if kept.get(key) == attachment:
            still[attachment] = (*still.get(attachment, ()), address)
    return still


def wish_key(candidate: Candidate, address: IPAddress) -> ClaimKey:
    """Return the key of an address that was learned for a candidate."""
    return address_key(candidate.network.name, address)


def _admissible(candidate: Candidate, addresses: Iterable[IPAddress]) -> list[IPAddress]:
    """What was learned earlier obeys the network as it is now."""
    network = candidate.network
    if not network.learn:
        return []
    fine = (a for a in addresses if a not in candidate.endpoint.addresses and address_problem(a, network) is None)
    return list(dict.fromkeys(fine))[: network.learn_limit]


def _loss(candidate: Candidate, key: ClaimKey, holder: str) -> Report:
    _, _, other = holder.partition("/")
    what = f"{key.thing} in network {key.scope}" if key.scope else key.thing.replace("/", " ", 1)
    problem = f"{what} is held by endpoint {other} (interface row {holder.partition('/')[0]}), so it is left out"
    return Report(f"endpoint {candidate.endpoint.name}", problem, f"change one of the two, or unplug {other}")

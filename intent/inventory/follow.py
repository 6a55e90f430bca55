"""`Follower`: says what `build` says, at the cost of what changed. Pure.

What rows and documents say by themselves is in `parts`. Here disputes are settled: a change opens again those
in which it, or who is tied to it by things that both want, takes part; all others stay as they were settled.
Most changes need no settlement: who comes and wants only what nobody else does has it, and who stays and wants
what it wanted keeps what it had.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping

from intent.inventory.build import build, endpoint_of, unaddressed_of
from intent.inventory.disputes import Settled, lost_key, lost_keys_of, settle, wish_key
from intent.inventory.drafts import Candidate
from intent.inventory.grants import ALL, Grants
from intent.inventory.parts import Move, Parts, Source
from intent.inventory.tally import Ordered
from intent.inventory.ties import Tie, Ties
from intent.inventory.uplinks import Translations
from intent.inventory.values import Built, ClaimKey, Claims, Learned
from intent.model import Intents
from topology.frozen import FrozenMap, differing, frozen
from topology.model import Endpoint, Inventory, IPAddress, Location, Report, UnaddressedPort
from topology.site import Site


@dataclasses.dataclass(frozen=True, slots=True)
class _Case:
    """Candidates whose fates hang together, and everything they are tied by."""

    ties: set[Tie]
    candidates: list[Candidate]


class Follower:
    """Follows a site and intents. For one thread at a time; it depends on nothing but its arguments."""

    def __init__(self) -> None:
        self._court: _Court | None = None

    def build(self, site: Site, intents: Intents, claims: Claims, learned: Learned, grants: Grants = ALL) -> Built:
        """Return what `intent.inventory.build` returns; what is the same as before is the same object.

        The cost follows the change as long as `claims` are those that the last call returned.
        """
        if not site.complete:
            self._court = None
            return build(site, intents, claims, learned, grants)
        court = self._court
        if court is None or not court.goes_on(claims, grants):
            court = _Court(grants)
        self._court = None  # should this fail, the next one begins anew
        built = court.turn(site, intents, claims, learned)
        self._court = court
        return built


class _Court:
    """All candidates, what each wants, and how it was settled."""

    def __init__(self, grants: Grants) -> None:
        self._grants = grants
        self._parts = Parts(grants)
        self._translations = Translations()
        self._candidates: dict[Source, Candidate] = {}
        self._ties = Ties()
        self._wishes: dict[Source, tuple[ClaimKey, ...]] = {}
        """The addresses that were learned for a candidate, where any were."""
        self._claims: FrozenMap[ClaimKey, str] = FrozenMap()
        self._learned: FrozenMap[str, tuple[IPAddress, ...]] = FrozenMap()
        self._endpoints: FrozenMap[str, Endpoint] = FrozenMap()
        self._winners: dict[str, Endpoint] = {}
        """By attachment."""
        self._losses: dict[str, tuple[Report, ...]] = {}
        """By attachment."""
        self._unaddressed: Ordered[UnaddressedPort] = Ordered(_place)
        self._built: Built | None = None

    def goes_on(self, claims: Claims, grants: Grants) -> bool:
        """Whether this history is the one that `claims` tell of."""
        return grants == self._grants and claims is self._claims

    def turn(self, site: Site, intents: Intents, claims: Claims, learned: Learned) -> Built:
        """Follow to this site, these intents and these learned addresses."""
        parts = self._parts
        parts.follow(site, intents)
        taught = dict.fromkeys(differing(self._learned, learned))
        self._learned = frozen(learned)
        moves = self._but_who_stays(parts.taken(), taught)
        open_ties: set[Tie] = {*self._wished(parts.declared.turned()), *taught}
        come = {source: now for source, _, now in moves if now is not None}
        for source, was, _ in moves:
            if was is not None:
                open_ties.update(self._take_out(source))
        for attachment in taught:
            for source in list(self._ties.those(attachment)):
                if source not in come:
                    come[source] = self._candidates[source]
                    open_ties.update(self._take_out(source))
        open_ties.update(self._put_in(come, claims))
        if open_ties:
            self._settle(self._case(open_ties), claims)
        return self._say(intents)

    # -- who needs no settlement --------------------------------------------------------------------

    def _but_who_stays(self, moves: Iterable[Move], taught: Collection[str]) -> list[Move]:
        """Take in those who hold or lack what they did, whatever else is new of them; return the others."""
        left: list[Move] = []
        here: dict[str, Endpoint] = {}
        for move in moves:
            source, was, now = move
            if was is None or now is None or not self._stays(was, now) or now.attachment in taught:
                left.append(move)
                continue
            self._candidates[source] = now
            if now.attachment in self._winners:
                endpoint = endpoint_of(now, self._learned.get(now.attachment))
                self._winners[now.attachment] = endpoint
                if endpoint.addresses:
                    here[endpoint.name] = endpoint
        self._endpoints = self._endpoints.but(here)
        return left

    def _stays(self, was: Candidate, now: Candidate) -> bool:
        """Whether nothing is another that `settle` reads of a candidate: whatever anybody holds, it still does."""
        return (
            was.keys == now.keys
            and was.attachment == now.attachment
            and was.endpoint.location == now.endpoint.location
            and was.from_api == now.from_api
            and was.network == now.network
            and not self._ties.is_shared(now.attachment)
        )

    def _put_in(self, candidates: Mapping[Source, Candidate], before: Claims) -> set[Tie]:
        """Take candidates in; return what ties those that are not alone in what they want."""
        found: set[Tie] = set()
        held: dict[ClaimKey, str] = {}
        alone: list[Candidate] = []
        for source, candidate in candidates.items():
            self._candidates[source] = candidate
            attachment, learned = candidate.attachment, self._learned.get(candidate.attachment)
            if learned:
                self._wishes[source] = tuple(wish_key(candidate, address) for address in learned)
            is_alone = self._ties.put(source, (attachment, *candidate.keys, *self._wishes.get(source, ())))
            is_new = attachment not in self._winners and not learned and lost_key(candidate.endpoint.name) not in before
            if is_alone and is_new:
                held.update(dict.fromkeys(candidate.keys, attachment))
                alone.append(candidate)
            else:
                found.update(self._ties_of(source))
        self._claims = self._claims.but(held)
        self._winners.update((c.attachment, c.endpoint) for c in alone)
        self._endpoints = self._endpoints.but({c.endpoint.name: c.endpoint for c in alone if c.endpoint.addresses})
        self._unaddressed.change((), [unaddressed_of(c.endpoint) for c in alone if not c.endpoint.addresses])
        return found

    # -- who is tied to whom ------------------------------------------------------------------------

    def _ties_of(self, source: Source) -> tuple[Tie, ...]:
        candidate = self._candidates[source]
        return (candidate.attachment, *candidate.keys, *self._wishes.get(source, ()))

    def _wished(self, declared: Iterable[ClaimKey]) -> list[ClaimKey]:
        """Return those of the addresses that were learned for somebody: it has them unless they are declared."""
        wishes = self._wishes
        return [key for key in declared if any(s in wishes for s in self._ties.those(key))] if wishes else []

    def _take_out(self, source: Source) -> tuple[Tie, ...]:
        ties = self._ties_of(source)
        self._ties.drop(source, ties)
        del self._candidates[source]
        self._wishes.pop(source, None)
        return ties

    def _case(self, ties: set[Tie]) -> _Case:
        """Return everybody who is tied to these, directly or through others."""
        waiting, sources = list(ties), set[Source]()
        while waiting:
            for source in self._ties.those(waiting.pop()):
                if source not in sources:
                    sources.add(source)
                    tied = self._ties_of(source)
                    waiting.extend(tie for tie in tied if tie not in ties)
                    ties.update(tied)
        return _Case(ties, [self._candidates[source] for source in sorted(sources)])

    # -- settlement ---------------------------------------------------------------------------------

    def _settle(self, case: _Case, before: Claims) -> None:
        settled = settle(case.candidates, before, self._learned, self._parts.declared.counts, complete=True)
        attachments = [tie for tie in case.ties if isinstance(tie, str)]
        things = [tie for tie in case.ties if not isinstance(tie, str)]
        over = [thing for thing in (*things, *lost_keys_of(things)) if thing not in settled.claims]
        self._claims = self._claims.but(settled.claims, over)
        self._learned = self._learned.but(settled.learned, [a for a in attachments if a not in settled.learned])
        self._seat(attachments, settled)
        self._parts.reports.change(
            (report for a in attachments for report in self._losses.pop(a, ())),
            (report for losses in settled.losses.values() for report in losses),
        )
        self._losses.update(settled.losses)

    def _seat(self, attachments: Iterable[str], settled: Settled) -> None:
        """Put the winners in the places of those who were there before."""
        before = {a: self._winners.pop(a) for a in attachments if a in self._winners}
        after = {w.attachment: endpoint_of(w, settled.learned.get(w.attachment)) for w in settled.winners}
        for attachment, endpoint in after.items():
            if before.get(attachment) == endpoint:
                after[attachment] = before[attachment]
        self._winners.update(after)
        here = {endpoint.name: endpoint for endpoint in after.values() if endpoint.addresses}
        self._endpoints = self._endpoints.but(here, [e.name for e in before.values() if e.name not in here])
        self._unaddressed.change(
            (unaddressed_of(e) for e in before.values() if not e.addresses),
            (unaddressed_of(e) for e in after.values() if not e.addresses),
        )

    def _say(self, intents: Intents) -> Built:
        parts, last = self._parts, self._built
        uplinks = self._translations.follow(parts.uplinks, intents, self._endpoints)
        inventory = Inventory(
            self._endpoints, self._unaddressed.value(), parts.reports.value(), uplinks, mirrors=parts.mirrors
        )
        if last is not None and _is_same(inventory, last.inventory):
            inventory = last.inventory
        self._built = Built(inventory, self._claims, self._learned, parts.declared.value().keys())
        return self._built


def _is_same(one: Inventory, other: Inventory) -> bool:
    """Whether two inventories are made of the same objects."""
    names = ("endpoints", "unaddressed", "reports", "uplinks", "mirrors")
    return all(getattr(one, name) is getattr(other, name) for name in names)


def _place(port: UnaddressedPort) -> tuple[str, Location]:
    """Order by name; two may have one until their dispute is settled."""
    return port.name, port.location

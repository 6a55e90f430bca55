"""`Follower`: says what `build` says, at the cost of what changed. Pure.

What rows and documents say by themselves is in `parts`. Here disputes are settled: a change opens again those
in which it, or who is tied to it by things that both want, takes part; all others stay as they were settled.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from intent.inventory.build import build, endpoint_of, unaddressed_of
from intent.inventory.disputes import Settled, lost_key, settle, wish_key
from intent.inventory.drafts import Candidate
from intent.inventory.grants import ALL, Grants
from intent.inventory.parts import Parts, Source
from intent.inventory.tally import Ordered
from intent.inventory.uplinks import Translations
from intent.inventory.values import Built, ClaimKey, Claims, Learned
from intent.model import Intents
from topology.frozen import FrozenMap, differing, frozen
from topology.model import Endpoint, Inventory, IPAddress, Report, UnaddressedPort
from topology.site import Site

Tie: TypeAlias = ClaimKey | str
"""What ties candidates together: a thing that both want, or (a string) an attachment that both are."""


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
        self._ties: dict[Source, tuple[Tie, ...]] = {}
        self._tied: dict[Tie, dict[Source, None]] = {}
        self._claims: FrozenMap[ClaimKey, str] = FrozenMap()
        self._learned: FrozenMap[str, tuple[IPAddress, ...]] = FrozenMap()
        self._endpoints: FrozenMap[str, Endpoint] = FrozenMap()
        self._winners: dict[str, Endpoint] = {}
        """By attachment."""
        self._losses: dict[str, tuple[Report, ...]] = {}
        """By attachment."""
        self._unaddressed: Ordered[UnaddressedPort] = Ordered(_name)
        self._built: Built | None = None

    def goes_on(self, claims: Claims, grants: Grants) -> bool:
        """Whether this history is the one that `claims` tell of."""
        return grants == self._grants and claims is self._claims

    def turn(self, site: Site, intents: Intents, claims: Claims, learned: Learned) -> Built:
        """Follow to this site, these intents and these learned addresses."""
        parts = self._parts
        parts.follow(site, intents)
        taught = list(differing(self._learned, learned))
        self._learned = frozen(learned)
        gone, come = parts.gone, parts.come
        parts.gone, parts.come = {}, {}
        again = [source for attachment in taught for source in self._tied.get(attachment, ()) if source not in gone]
        open_ties: set[Tie] = {*parts.declared.turned(), *taught}
        open_ties.update(self._take_out((*gone, *again)))
        come |= {source: self._candidates[source] for source in again if source not in come}
        for source in gone:
            del self._candidates[source]
        open_ties.update(self._put_in(come))
        if open_ties:
            self._settle(self._case(open_ties), claims)
        return self._say(intents)

    # -- who is tied to whom ------------------------------------------------------------------------

    def _take_out(self, sources: Iterable[Source]) -> set[Tie]:
        found: set[Tie] = set()
        for source in sources:
            ties = self._ties.pop(source)
            found.update(ties)
            for tie in ties:
                del self._tied[tie][source]
                if not self._tied[tie]:
                    del self._tied[tie]
        return found

    def _put_in(self, candidates: Mapping[Source, Candidate]) -> set[Tie]:
        found: set[Tie] = set()
        for source, candidate in candidates.items():
            self._candidates[source] = candidate
            wishes = (wish_key(candidate, address) for address in self._learned.get(candidate.attachment, ()))
            ties = self._ties[source] = tuple(
                {
                    candidate.attachment: None,
                    lost_key(candidate.endpoint.name): None,
                    **dict.fromkeys(candidate.keys),
                    **dict.fromkeys(wishes),
                }
            )
            found.update(ties)
            for tie in ties:
                self._tied.setdefault(tie, {})[source] = None
        return found

    def _case(self, ties: set[Tie]) -> _Case:
        """Return everybody who is tied to these, directly or through others."""
        waiting, sources = list(ties), set[Source]()
        while waiting:
            for source in self._tied.get(waiting.pop(), ()):
                if source not in sources:
                    sources.add(source)
                    waiting.extend(tie for tie in self._ties[source] if tie not in ties)
                    ties.update(self._ties[source])
        return _Case(ties, [self._candidates[source] for source in sorted(sources)])

    # -- settlement ---------------------------------------------------------------------------------

    def _settle(self, case: _Case, before: Claims) -> None:
        settled = settle(case.candidates, before, self._learned, self._parts.declared.counts, complete=True)
        self._claims = self._claims.but(
            settled.claims, [t for t in case.ties if not isinstance(t, str) and t not in settled.claims]
        )
        attachments = [tie for tie in case.ties if isinstance(tie, str)]
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
        after = {winner.attachment: endpoint_of(winner, settled) for winner in settled.winners}
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


def _name(port: UnaddressedPort) -> str:
    return port.name

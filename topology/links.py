"""Which ports are wired to which, from proven frames: a link is up while each end hears the other.

A port has one other end. While its frames arrive there, frames of the same port that arrive anywhere else were
carried there by somebody: they change nothing and are reported. Times are seconds of any clock that only goes up.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Iterable, Mapping

from topology.paths import LinkEnd

LIFE_S = 3.5
"""A direction that was not proven for so long counts no more: three frames were lost."""
MAX_LINKS = 1 << 16


@dataclasses.dataclass(frozen=True, slots=True)
class Proof:
    """A frame that arrived: at which port, and when last."""

    at: LinkEnd
    when: float


@dataclasses.dataclass(frozen=True, slots=True)
class Links:
    """What is proven; changed by making another."""

    proofs: Mapping[LinkEnd, Proof] = dataclasses.field(default_factory=dict)
    """By the port that the frames came from."""
    sources: Mapping[LinkEnd, LinkEnd] = dataclasses.field(default_factory=dict)
    """By the port that they arrived at: the inverse."""
    states: Mapping[tuple[LinkEnd, LinkEnd], bool] = dataclasses.field(default_factory=dict)
    """Whether each link is up, the lower end first. One that went down stays, until an end has another link."""

    @property
    def up(self) -> frozenset[tuple[LinkEnd, LinkEnd]]:
        """The links that are up."""
        return frozenset(pair for pair, up in self.states.items() if up)


def hear(links: Links, source: LinkEnd, at: LinkEnd, now: float) -> tuple[Links, str]:
    """Return the links after a frame of `source` arrived at `at`, and what is wrong with it (empty: nothing)."""
    if source.dpid == at.dpid:
        return links, f"port {source.ofport} is wired to its own switch"
    proof = links.proofs.get(source)
    if proof is not None and proof.at != at and now - proof.when < LIFE_S:
        return links, f"frames of {_name(source)} arrive here and at {_name(proof.at)}: somebody relays them"
    other = links.sources.get(at)
    if other is not None and other != source and now - links.proofs[other].when < LIFE_S:
        return links, f"frames of {_name(source)} and of {_name(other)} arrive here: somebody relays them"
    if proof is None and other is None and len(links.proofs) >= MAX_LINKS:
        return links, f"there are {MAX_LINKS} links"
    return _proven(links, source, at, now), ""


def _proven(links: Links, source: LinkEnd, at: LinkEnd, now: float) -> Links:
    proof = links.proofs.get(source)
    if proof is not None and proof.at == at:
        links = dataclasses.replace(links, proofs={**links.proofs, source: Proof(at, now)})
        return links if _pair(source, at) in links.up else _stated(links)
    proofs, sources = dict(links.proofs), dict(links.sources)
    if proof is not None:
        sources.pop(proof.at, None)
    other = sources.get(at)
    if other is not None:
        proofs.pop(other, None)
    proofs[source], sources[at] = Proof(at, now), source
    return _stated(dataclasses.replace(links, proofs=proofs, sources=sources))


def without(links: Links, ends: Iterable[LinkEnd]) -> Links:
    """Return the links when these ports do not work any more: they prove nothing, and are forgotten as ends."""
    gone = frozenset(ends)
    proofs = {s: p for s, p in links.proofs.items() if s not in gone and p.at not in gone}
    if len(proofs) == len(links.proofs):
        return links
    return _stated(_with(links, proofs))


def aged(links: Links, now: float, silent: Collection[int] = ()) -> Links:
    """Return the links without proofs that are too old.

    Of a switch that is not connected nothing can be proven: its links stay as they are until a port says otherwise.

    Args:
        links: the links so far.
        now: the time.
        silent: datapath ids of the switches that are not connected.
    """
    asleep = [s for s, proof in links.proofs.items() if s.dpid in silent or proof.at.dpid in silent]
    if asleep:  # once it is connected again there must be time to prove them anew
        rested = {source: Proof(links.proofs[source].at, now) for source in asleep}
        links = dataclasses.replace(links, proofs={**links.proofs, **rested})
    proofs = {source: proof for source, proof in links.proofs.items() if now - proof.when < LIFE_S}
    if len(proofs) == len(links.proofs):
        return links
    return _stated(_with(links, proofs))


def remembered(pairs: Iterable[tuple[LinkEnd, LinkEnd]], now: float) -> Links:
    """Return links as they were known to be: they count until they should have been proven anew."""
    links = Links()
    for one, other in pairs:
        links = _proven(_proven(links, one, other, now), other, one, now)
    return links


def dump_links(pairs: Iterable[tuple[LinkEnd, LinkEnd]]) -> bytes:
    """Return links as JSON, the same bytes for the same links."""
    return json.dumps([[*dataclasses.astuple(a), *dataclasses.astuple(b)] for a, b in sorted(pairs)]).encode()


def load_links(raw: bytes) -> frozenset[tuple[LinkEnd, LinkEnd]]:
    """Return the links that `dump_links` wrote.

    Raises:
        ValueError, TypeError: it did not write this.
    """
    found = frozenset(_pair(LinkEnd(int(a), int(b)), LinkEnd(int(c), int(d))) for a, b, c, d in json.loads(raw))
    ends = [end for pair in found for end in pair]
    if len(ends) != len(set(ends)):
        raise ValueError("a port has two links")
    return found


def kept(links: Links, ends: Collection[LinkEnd]) -> Links:
    """Return the links between these ports alone: others are no ends of links any more."""
    links = without(links, {end for pair in links.states for end in pair if end not in ends})
    states = {pair: up for pair, up in links.states.items() if pair[0] in ends and pair[1] in ends}
    return links if len(states) == len(links.states) else dataclasses.replace(links, states=states)


def _with(links: Links, proofs: Mapping[LinkEnd, Proof]) -> Links:
    sources = {proof.at: source for source, proof in proofs.items()}
    return dataclasses.replace(links, proofs=proofs, sources=sources)


def _stated(links: Links) -> Links:
    """Return the links with their states as the proofs are now."""
    up = {
        _pair(source, proof.at)
        for source, proof in links.proofs.items()
        if proof.at in links.proofs and links.proofs[proof.at].at == source
    }
    used = {end for pair in up for end in pair}
    down = {pair for pair in links.states if pair not in up and not used.intersection(pair)}
    return dataclasses.replace(links, states={**dict.fromkeys(down, False), **dict.fromkeys(up, True)})


def _pair(one: LinkEnd, other: LinkEnd) -> tuple[LinkEnd, LinkEnd]:
    return (one, other) if one < other else (other, one)


def _name(end: LinkEnd) -> str:
    return f"{end.dpid:016x} port {end.ofport}"

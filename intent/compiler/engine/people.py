"""Identities in use, whom a rule's peers describe among them, and the index that finds the one from the other.

A *party* is an identity with its number and whereabouts. A *cast* is whom one side of some rules describes:
a union of leaves (selector, CIDR or endpoint peers), shared by all rules that name the same. When an
identity is born or dies, only the casts that it belongs to are touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from intent.compiler.engine.clauses import NOBODY
from intent.compiler.engine.words import Prefixes
from intent.compiler.resolve import Identity, inside, selects
from intent.model import CidrPeer, EndpointPeer, IPNetwork, Operator, SelectorPeer, WorldPeer
from topology.model import NAME_LABEL, NETWORK_LABEL

if TYPE_CHECKING:
    from intent.compiler.engine.rules import Isolation, RulePlan, Unit

Leaf: TypeAlias = SelectorPeer | CidrPeer | EndpointPeer | WorldPeer
Word: TypeAlias = tuple[str, str]
"""A label and its value; network and endpoint name count as labels."""
WORLD: Word = ("ringfence/world", "")
_Key = TypeVar("_Key")
_Item = TypeVar("_Item")
_Value = TypeVar("_Value")
PortKey: TypeAlias = tuple[int, int]
"""Protocol and number."""
WantedPorts: TypeAlias = frozenset[tuple[int | None, str]]
"""Protocol and name of each named port that a rule reads."""


class Party:
    """An identity in use."""

    __slots__ = ("as_client", "as_server", "casts", "identity", "key", "number", "refs", "where")

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.key = identity.key
        self.number = 0
        self.refs = 0
        """Addresses that go by it."""
        self.where: dict[int, int] = {}
        """By datapath id: how many of them are plugged in there."""
        self.casts: dict[Cast, None] = {}
        self.as_client = NOBODY
        self.as_server = NOBODY


class Cast:
    """The parties that one side of some rules describes."""

    __slots__ = ("clients", "isolations", "leaves", "members", "refs", "servers", "splits")

    def __init__(self, leaves: frozenset[Leaf] = frozenset()) -> None:
        self.leaves = leaves
        self.members: dict[Party, int] = {}
        """Each with the number of leaves that describe it."""
        self.clients: dict[Unit, None] = {}
        """Units whose clients these are."""
        self.servers: dict[Unit, None] = {}
        self.isolations: dict[Isolation, int] = {}
        """Where these are subjects, and of how many policies."""
        self.splits: dict[WantedPorts, Split] = {}
        self.refs = 0


class Split:
    """The members of a cast that give named ports a number, by number; a rule has one part for each."""

    __slots__ = ("parts", "plans", "wanted")

    def __init__(self, wanted: WantedPorts) -> None:
        self.wanted = wanted
        self.parts: dict[PortKey, Cast] = {}
        self.plans: dict[RulePlan, None] = {}

    def numbers(self, party: Party) -> set[PortKey]:
        """Return what the names that are read stand for at a party."""
        return {(p.protocol, p.number) for p in party.identity.ports if (p.protocol, p.name) in self.wanted}


def words(identity: Identity) -> tuple[Word, ...]:
    """Return all that selectors and endpoint peers can ask for."""
    return ((NETWORK_LABEL, identity.network), *identity.labels) if identity.network else (WORLD,)


def describes(leaf: Leaf, identity: Identity) -> bool:
    """Whether a leaf describes an identity."""
    match leaf:
        case SelectorPeer(selector):
            return selects(selector, identity)
        case CidrPeer():
            return inside(leaf, identity.atom)
        case EndpointPeer(name):
            return (NAME_LABEL, name) in identity.labels
        case WorldPeer():
            return identity.is_world


_NONE: Mapping[Leaf, bool] = {}


class _Leaves:
    """The leaves in force, each filed under something that whom it describes must have."""

    def __init__(self) -> None:
        self._by_word: dict[Word, dict[Leaf, bool]] = {}
        """Each with whether it describes all who have the word."""
        self._by_prefix: dict[IPNetwork, dict[CidrPeer, None]] = {}
        self._prefixes = Prefixes()
        self._around: dict[IPNetwork, list[Leaf]] = {}
        """By atom: the CIDR leaves that describe it; of those that were asked for since such a leaf came or went."""
        self._others: dict[Leaf, None] = {}
        self._filed: dict[Leaf, list[Word]] = {}
        self.casts: dict[Leaf, dict[Cast, None]] = {}

    def add(self, leaf: Leaf, cast: Cast) -> None:
        if leaf not in self.casts:
            self.casts[leaf] = {}
            self._file(leaf)
        self.casts[leaf][cast] = None

    def discard(self, leaf: Leaf, cast: Cast) -> None:
        del self.casts[leaf][cast]
        if self.casts[leaf]:
            return
        del self.casts[leaf]
        if isinstance(leaf, CidrPeer):
            self._around.clear()
            if _drop(self._by_prefix, leaf.cidr, leaf):
                self._prefixes.discard(leaf.cidr)
            return
        self._others.pop(leaf, None)
        for word in self._filed.pop(leaf):
            _drop(self._by_word, word, leaf)

    def _file(self, leaf: Leaf) -> None:
        if isinstance(leaf, CidrPeer):
            self._around.clear()
            if leaf.cidr not in self._by_prefix:
                self._prefixes.add(leaf.cidr)
            self._by_prefix.setdefault(leaf.cidr, {})[leaf] = None
            return
        self._filed[leaf] = least = _least(needed_words(leaf), self._by_word)
        for word in least:
            self._by_word.setdefault(word, {})[leaf] = is_plain(leaf)
        if not least:
            self._others[leaf] = None

    def of(self, identity: Identity, named: Iterable[Word]) -> Iterator[Leaf]:
        """Yield the leaves that describe an identity; `named` are its `words`."""
        if not self.casts:
            return
        for word in named:
            for leaf, plain in self._by_word.get(word, _NONE).items():
                if plain or describes(leaf, identity):
                    yield leaf
        if identity.atom is not None:
            around = self._around.get(identity.atom)
            yield from self._find_around(identity.atom) if around is None else around
        for leaf in self._others:
            if describes(leaf, identity):
                yield leaf

    def _find_around(self, atom: IPNetwork) -> list[Leaf]:
        files = [self._by_prefix[prefix] for prefix in self._prefixes.holding(atom)]
        found = self._around[atom] = [leaf for file in files for leaf in file if inside(leaf, atom)]
        return found


def needed_words(leaf: SelectorPeer | EndpointPeer | WorldPeer) -> list[list[Word]]:
    """Return alternatives: of each list, whom the leaf describes has at least one word."""
    if isinstance(leaf, WorldPeer):
        return [[WORLD]]
    if isinstance(leaf, EndpointPeer):
        return [[(NAME_LABEL, leaf.name)]]
    named = (r for r in leaf.selector.requirements if r.operator is Operator.IN)
    return [[(r.key, value) for value in sorted(r.values)] for r in named]


def is_plain(leaf: SelectorPeer | EndpointPeer | WorldPeer) -> bool:
    """Whether any one of `needed_words` is all that it takes to be described."""
    return not isinstance(leaf, SelectorPeer) or len(leaf.selector.requirements) == 1


def _least(choices: list[list[Word]], index: Mapping[Word, Sized]) -> list[Word]:
    """Return the choice under which least is filed; empty if there is no choice."""
    return min(choices, key=lambda words: sum(len(index[w]) for w in words if w in index), default=[])


def _drop(index: dict[_Key, dict[_Item, _Value]], key: _Key, item: _Item) -> bool:
    """Take an item out of an index; return whether it was the last of its key."""
    found = index[key]
    del found[item]
    if not found:
        del index[key]
    return not found


class People:
    """All parties and all casts."""

    def __init__(self) -> None:
        self.parties: dict[Identity, Party] = {}
        self._by_word: dict[Word, dict[Party, None]] = {}
        self._by_atom: dict[IPNetwork | None, dict[Party, None]] = {}
        self._atoms = Prefixes()
        self._leaves = _Leaves()
        self._casts: dict[frozenset[Leaf], Cast] = {}
        self.turned: dict[Cast, None] = {}
        """Casts that got their first member or lost their last."""
        self.born_parts: dict[RulePlan, dict[PortKey, Cast]] = {}
        """New numbers of named ports, by the rules that read them."""
        self.dead_parts: dict[Cast, None] = {}
        self.gone: list[Cast] = []
        """Casts that nobody uses any more."""

    # -- parties --------------------------------------------------------------------------------

    def refer(self, identity: Identity) -> Party:
        """Return the party of an identity, one address more."""
        party = self.parties.get(identity)
        if party is None:
            party = self.parties[identity] = Party(identity)
            self._file_atom(party)
            named = words(identity)
            for word in named:
                self._by_word.setdefault(word, {})[party] = None
            for leaf in self._leaves.of(identity, named):
                for cast in self._leaves.casts[leaf]:
                    self._join(cast, party)
        party.refs += 1
        return party

    def _file_atom(self, party: Party) -> None:
        atom = party.identity.atom
        found = self._by_atom.get(atom)
        if found is None:
            found = self._by_atom[atom] = {}
            if atom is not None:
                self._atoms.add(atom)
        found[party] = None

    def bury(self, party: Party) -> None:
        """Forget a party that no address goes by."""
        identity = party.identity
        del self.parties[identity]
        if _drop(self._by_atom, identity.atom, party) and identity.atom is not None:
            self._atoms.discard(identity.atom)
        for word in words(identity):
            _drop(self._by_word, word, party)
        for cast in list(party.casts):
            self._leave(cast, party)

    def _join(self, cast: Cast, party: Party) -> None:
        times = cast.members.get(party, 0)
        if not cast.members:
            self.turned[cast] = None
        cast.members[party] = times + 1
        if not times:
            party.casts[cast] = None
            for split in cast.splits.values():
                self._join_parts(split, party)

    def _join_parts(self, split: Split, party: Party) -> None:
        for key in split.numbers(party):
            if key not in split.parts:
                part = split.parts[key] = Cast()
                for plan in split.plans:
                    self.born_parts.setdefault(plan, {})[key] = part
            self._join(split.parts[key], party)

    def _leave(self, cast: Cast, party: Party) -> None:
        """Take a party out of a cast; `splits` hold casts too, which the party leaves by itself."""
        del cast.members[party]
        del party.casts[cast]
        if not cast.members:
            self.turned[cast] = None
        for split in cast.splits.values():
            for key in split.numbers(party):
                part = split.parts.get(key)
                if part is not None and len(part.members) == (party in part.members):
                    self.dead_parts[split.parts.pop(key)] = None

    # -- casts ----------------------------------------------------------------------------------

    def cast(self, leaves: Iterable[Leaf]) -> Cast:
        """Return the cast of these leaves, one user more."""
        key = frozenset(leaves)
        cast = self._casts.get(key)
        if cast is None:
            cast = self._casts[key] = Cast(key)
            for leaf in key:
                self._leaves.add(leaf, cast)
                self._gather(cast, leaf)
            if cast.members:
                self.turned[cast] = None
        cast.refs += 1
        return cast

    def _gather(self, cast: Cast, leaf: Leaf) -> None:
        """Let everybody whom a leaf describes join a new cast, which nobody splits."""
        members = cast.members
        for party in self._described(leaf):
            if party in members:
                members[party] += 1
            else:
                members[party] = 1
                party.casts[cast] = None

    def release(self, cast: Cast) -> None:
        """Forget a cast that nobody uses any more."""
        cast.refs -= 1
        if cast.refs:
            return
        del self._casts[cast.leaves]
        for leaf in cast.leaves:
            self._leaves.discard(leaf, cast)
        self.gone.append(cast)
        for party in cast.members:
            del party.casts[cast]

    def _described(self, leaf: Leaf) -> list[Party]:
        if isinstance(leaf, CidrPeer):
            return [p for atom in self._atoms.inside(leaf.cidr) if inside(leaf, atom) for p in self._by_atom[atom]]
        least = _least(needed_words(leaf), self._by_word)
        if not least:
            return [p for p in self.parties.values() if describes(leaf, p.identity)]
        if is_plain(leaf):
            return [p for word in least for p in self._by_word.get(word, ())]
        return [p for word in least for p in self._by_word.get(word, ()) if describes(leaf, p.identity)]

    def split(self, cast: Cast, wanted: WantedPorts, plan: RulePlan) -> Split:
        """Return the split of a cast by named ports, one reader more."""
        split = cast.splits.get(wanted)
        if split is None:
            split = cast.splits[wanted] = Split(wanted)
            for party in cast.members:
                self._join_parts(split, party)
        split.plans[plan] = None
        return split

    def unsplit(self, cast: Cast, split: Split, plan: RulePlan) -> None:
        """Forget a reader, and the split with the last."""
        del split.plans[plan]
        if split.plans:
            return
        del cast.splits[split.wanted]
        for part in split.parts.values():
            self.gone.append(part)
            for party in part.members:
                del party.casts[part]

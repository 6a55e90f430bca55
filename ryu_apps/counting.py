"""From cookies back to names: what rules decided, what was dropped, what would change. Implements `CounterPort`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from intent.api.ports import Drop, Hit, Tally
from intent.compiler import IdMap, cookie
from intent.compiler import fields as f
from intent.compiler.cookie import Guard, Kind, Origin
from intent.compiler.verdict import Column
from intent.model import Intents
from ryu_apps.telemetry import Count, Counters

_WORDS = {f.ALLOWED: "allow", f.DENIED: "deny"}


class Counted:
    """The newest counters of all switches, by the names of things."""

    def __init__(self, counters: Counters, ids: Callable[[], IdMap], intents: Callable[[], Intents]) -> None:
        self._counters = counters
        self._ids = ids
        self._intents = intents
        self._named: dict[str, Mapping[int, str]] = {}
        self._named_of: IdMap | None = None

    def hits(self) -> Sequence[Hit]:
        """Return what rules decided; rules that are gone are left out."""
        names = self._names("rule")
        return [
            Hit(*_split(names[origin.number]), str(origin.direction), *count)
            for origin, count in self._of_kinds(Kind.RULE)
            if origin.number in names
        ]

    def drops(self) -> Sequence[Drop]:
        """Return what guards, isolations and denying postures dropped."""
        networks, intents = self._names("network"), self._intents()
        sums: dict[str, Count] = {}
        for origin, count in self._of_kinds(Kind.GUARD, Kind.ISOLATION, Kind.POSTURE):
            cause = _cause(origin, networks, intents)
            if cause:
                before = sums.get(cause, Count(0, 0))
                sums[cause] = Count(before.packets + count.packets, before.bytes + count.bytes)
        return [Drop(cause, *count) for cause, count in sums.items()]

    def tallies(self) -> Sequence[Tally]:
        """Return what observed policies would change."""
        names = {0: "/", **self._names("rule")}
        sums: dict[tuple[str, str, str, str], tuple[int, int]] = {}
        for origin, count in self._of_kinds(Kind.TALLY):
            column = Column.of_detail(origin.detail)
            if origin.number not in names:
                continue
            key = (*_split(names[origin.number]), _WORDS[column.enforced], _WORDS[column.candidate])
            packets, connections = sums.get(key, (0, 0))
            sums[key] = packets + count.packets, connections + (count.packets if column.opening else 0)
        return [Tally(*key, *counts) for key, counts in sums.items()]

    def cause(self, origin: Origin) -> str:
        """Name what dropped a packet: a rule, a guard, an isolation, a posture; empty for what is gone."""
        if origin.kind is Kind.RULE:
            name = self._names("rule").get(origin.number, "")
            return f"rule {name}" if name else ""
        return _cause(origin, self._names("network"), self._intents())

    def _of_kinds(self, *kinds: Kind) -> Iterator[tuple[Origin, Count]]:
        for value, count in self._counters.total().items():
            origin = cookie.decode(value)
            if origin is not None and origin.kind in kinds:
                yield origin, count

    def _names(self, space: str) -> Mapping[int, str]:
        """Return the names of a space by number; made once for each state of the id map, as samples ask often."""
        ids = self._ids()
        if self._named_of is not ids:
            self._named, self._named_of = {}, ids
        if space not in self._named:
            live = ids.spaces[space].live.items() if space in ids.spaces else ()
            self._named[space] = {number: key for key, number in live}
        return self._named[space]


def _split(rule_key: str) -> tuple[str, str]:
    policy, _, rule = rule_key.partition("/")
    return policy, rule


def _cause(origin: Origin, networks: Mapping[int, str], intents: Intents) -> str:
    """Name what dropped; empty for a posture that allows, and for what is gone."""
    if origin.kind is Kind.GUARD:
        known = origin.number in {int(g) for g in Guard}
        return f"guard {Guard(origin.number).name.lower().replace('_', ' ')}" if known else ""
    if origin.kind is Kind.ISOLATION:
        return f"isolation {intents.tiers[origin.number].name}" if origin.number < len(intents.tiers) else ""
    network = intents.networks.get(networks.get(origin.number, ""))
    return f"posture {network.name}" if network is not None and network.posture == "deny" else ""

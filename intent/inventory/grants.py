"""Which label keys a source may set (DESIGN: "A source sets only the keys the config grants it")."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable

PATTERN = re.compile(r"!?[A-Za-z0-9*][A-Za-z0-9*./_-]{0,316}")


@dataclasses.dataclass(frozen=True, slots=True)
class Grants:
    """Patterns of keys, `*` for any characters; `!pattern` takes back. The last one that fits decides."""

    patterns: tuple[str, ...] = ("*",)

    def allow(self, key: str) -> bool:
        """Whether the source may set a label key."""
        return _decide(self.patterns, key)


ALL = Grants()


def bad_pattern(pattern: str) -> str | None:
    """Tell what is wrong with a pattern."""
    if not PATTERN.fullmatch(pattern):
        return f"{pattern[:80]!r} is no pattern of label keys"
    return None


def first_bad(patterns: Iterable[str]) -> str | None:
    """Return the problem of the first bad pattern, None if all are good."""
    return next(filter(None, map(bad_pattern, patterns)), None)


@functools.lru_cache(maxsize=65536)
def _decide(patterns: tuple[str, ...], key: str) -> bool:
    granted = False
    for pattern in patterns:
        if _regex(pattern.removeprefix("!")).fullmatch(key):
            granted = not pattern.startswith("!")
    return granted


@functools.lru_cache(maxsize=1024)
def _regex(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))))

"""Checked values out of parsed YAML: each key taken once, every error with its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


class ScenarioError(ValueError):
    """A scenario file that cannot be used; the message begins with the file and the key."""


class Reader:
    """Takes each key of a mapping once, checked; what is left at the end is unknown."""

    _REQUIRED = object()

    def __init__(self, place: str, data: object) -> None:
        try:
            self._left = dict(mapping(data))
        except (TypeError, ValueError) as error:
            raise ScenarioError(f"{place}: {error}") from error
        self._place = place

    def take(self, key: str, check: Callable[[object], T], default: Any = _REQUIRED) -> T:  # noqa: ANN401 - or T
        """Return the checked value of a key, or the default if it is absent."""
        if key not in self._left:
            if default is self._REQUIRED:
                raise ScenarioError(f"{self._place}.{key}: missing")
            return default  # type: ignore[no-any-return]
        try:
            return check(self._left.pop(key))
        except (TypeError, ValueError) as error:
            raise ScenarioError(f"{self._place}.{key}: {error}") from error

    def done(self) -> None:
        """Refuse keys that nobody took."""
        if self._left:
            raise ScenarioError(f"{self._place}.{next(iter(self._left))}: unknown key")


def text(value: object) -> str:
    """Take a text that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError("write a text")
    return value


def number(value: object) -> int:
    """Take a number that could be a port."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 1 << 16:
        raise ValueError("write a number from 1 to 65535")
    return value


def mapping(value: object) -> dict[str, Any]:
    """Take a mapping whose keys are texts."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise TypeError("write a mapping of keys")
    return value


def mappings(value: object) -> list[dict[str, Any]]:
    """Take a list of mappings."""
    if not isinstance(value, list):
        raise TypeError("write a list of mappings")
    return [mapping(item) for item in value]


def texts(value: object) -> list[str]:
    """Take a list of texts."""
    if not isinstance(value, list):
        raise TypeError("write a list of texts")
    return [text(item) for item in value]


def matching(pattern: re.Pattern[str], wanted: str) -> Callable[[object], str]:
    """Return a check for texts of a pattern; `wanted` says in words what that is."""

    def check(value: object) -> str:
        if not pattern.fullmatch(text(value)):
            raise ValueError(f"{value!r} is not {wanted}")
        return str(value)

    return check


def one_of(words: Sequence[str]) -> Callable[[object], str]:
    """Return a check for one of some words."""

    def check(value: object) -> str:
        if value not in words:
            raise ValueError(f"{value!r}: one of {', '.join(words)}")
        return str(value)

    return check


def all_of(words: Sequence[str]) -> Callable[[object], list[str]]:
    """Return a check for lists of some words."""
    one = one_of(words)
    return lambda value: [one(item) for item in texts(value)]


def map_of(check: Callable[[object], T]) -> Callable[[object], dict[str, T]]:
    """Return a check for mappings whose values pass another."""
    return lambda value: {key: check(item) for key, item in mapping(value).items()}

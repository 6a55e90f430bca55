"""What the controller answered, taken apart with care: every field has the type it should, or the command ends.

The server may be anything that listens on the port, so nothing in its answer is trusted.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeAlias

from cli.exits import Exit, Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

MAX_TEXT = 20_000
"""Longest single text that is shown."""


def decode(body: bytes, what: str) -> Answer:
    """Return the JSON value of a body.

    Raises:
        Failure: it is no JSON.
    """
    try:
        return Answer(json.loads(body), what)
    except (ValueError, RecursionError) as error:
        raise _broken(what, "is no JSON") from error


def _broken(path: str, problem: str) -> Failure:
    remedy = "is something else listening there? Check --server, and that command and controller have one version"
    return Failure(Exit.BROKEN, f"the controller's answer makes no sense: {path} {problem}", remedy)


class Answer:
    """A value inside an answer, and where it stood."""

    def __init__(self, value: Json, path: str) -> None:
        self.value = value
        self.path = path

    def _get(self, key: str) -> Json:
        if not isinstance(self.value, dict):
            raise _broken(self.path, "is no object")
        return self.value.get(key)

    def _wrong(self, key: str, wanted: str) -> Failure:
        return _broken(f"{self.path}.{key}", f"is no {wanted}")

    def has(self, key: str) -> bool:
        """Say whether a field is there and not null."""
        return self._get(key) is not None

    def part(self, key: str) -> Answer:
        """Return an object inside this one; an absent one is empty."""
        value = self._get(key)
        if value is not None and not isinstance(value, dict):
            raise self._wrong(key, "object")
        return Answer(value or {}, f"{self.path}.{key}")

    def items(self, key: str) -> list[Answer]:
        """Return the values of a list; an absent one is empty."""
        value = self._get(key)
        if value is not None and not isinstance(value, list):
            raise self._wrong(key, "list")
        return [Answer(item, f"{self.path}.{key}[{n}]") for n, item in enumerate(value or [])]

    def fields(self) -> Iterator[tuple[str, Answer]]:
        """Return the fields of this object."""
        if not isinstance(self.value, dict):
            raise _broken(self.path, "is no object")
        for key, value in self.value.items():
            yield key, Answer(value, f"{self.path}.{key}")

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text; `default` when it is absent or null."""
        value = self._get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            raise self._wrong(key, "text")
        return value[:MAX_TEXT]

    def number(self, key: str, default: int | None = None) -> int:
        """Return a whole number; `default` when it is absent or null."""
        value = self._get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(key, "whole number")
        return value

    def amount(self) -> float:
        """Return this value as a number, whole or not."""
        if not isinstance(self.value, int | float) or isinstance(self.value, bool):
            raise _broken(self.path, "is no number")
        return float(self.value)

    def flag(self, key: str, default: bool | None = None) -> bool:  # noqa: FBT001 - a value, not a switch
        """Return a truth value; `default` when it is absent or null."""
        value = self._get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, bool):
            raise self._wrong(key, "truth value")
        return value

    def texts(self, key: str) -> list[str]:
        """Return a list of texts; an absent one is empty."""
        found = [item.value for item in self.items(key)]
        texts = [value[:MAX_TEXT] for value in found if isinstance(value, str)]
        if len(texts) < len(found):
            raise self._wrong(key, "list of texts")
        return texts

    def pairs(self, key: str) -> dict[str, str]:
        """Return an object whose values are texts; an absent one is empty."""
        inner = self.part(key)
        return {name: inner.text(name) for name, _ in inner.fields()}

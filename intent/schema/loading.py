"""Text to plain values: YAML (several documents) or JSON, without what makes either dangerous.

YAML is built from the parser's events, not by PyYAML's constructors: anchors, aliases, tags, keys that are
no strings, duplicate keys and deep nesting are refused, and plain scalars follow YAML 1.2's JSON schema (`no`
and `12:30` stay strings). So the size of the values is bounded by the size of the text.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NoReturn, TypeAlias, TypeVar, cast

import yaml

from intent.schema.problems import Place, Problem, SyntaxRefusedError, echo, path_of

MAX_BYTES = 4 * 1024 * 1024
"""Largest text accepted, unless the caller says otherwise."""
MAX_DEPTH = 16
MAX_KEYS = 512
"""Fields one mapping may have; no kind of document needs more."""
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
TOO_LARGE = 10**19
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]{0,18})\.[0-9]{1,18}")
_WORDS: dict[str, bool | None] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}


T = TypeVar("T")
Breathe: TypeAlias = Callable[[], None]
_BREATH = 1000
"""YAML events between two breaths: a few milliseconds."""


def go_on() -> None:
    """Let nobody run in between."""


class LinedMap(dict[str, object]):
    """A mapping that remembers the line of each key."""

    __slots__ = ("line", "lines")

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}


class LinedList(list[object]):
    """A list that remembers the line of each item."""

    __slots__ = ("line", "lines")

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: list[int] = []


@dataclasses.dataclass(slots=True, eq=False)
class Raw:
    """One document as plain values, and where it came from. Nobody changes it, but frozen it takes twice the time."""

    value: object
    source: str
    index: int
    """Place among the documents of the text, from 0."""
    line: int | None = None
    """Where it begins; None where the text is JSON."""

    def line_of(self, place: Place) -> int | None:
        """Return the line of the innermost known part of `place`."""
        value, line = self.value, self.line
        for step in place:
            inner, value = _step(value, step)
            if inner is None:
                break
            line = inner
        return line


def _step(value: object, step: str | int) -> tuple[int | None, object]:
    """Go one step into a value: its line and what is there, or None where there is none."""
    if isinstance(value, LinedMap) and isinstance(step, str) and step in value:
        return value.lines[step], value[step]
    if isinstance(value, LinedList) and isinstance(step, int) and step < len(value):
        return value.lines[step], value[step]
    return None, None


def load(text: bytes | str, *, source: str, max_bytes: int = MAX_BYTES, breathe: Breathe = go_on) -> list[Raw]:
    """Read every document of a text; empty ones are skipped, a top-level list is a list of documents.

    `breathe` is called now and then, so that others may run while a large text is read.

    Raises:
        SyntaxRefusedError: too large, not UTF-8, no YAML or JSON, or one of the refused constructions.
    """
    decoded = _decode(text, source, max_bytes)
    values: Sequence[tuple[object, int | None]] | None
    values = _from_json(decoded, source) if decoded.lstrip()[:1] in ("{", "[") else None
    if values is None:
        values = list(_YamlBuilder(source).documents(decoded, breathe))
    found = ((value, line) for top in values for value, line in _items(*top) if value is not None)
    return [Raw(value, source, index, line) for index, (value, line) in enumerate(found)]


def _items(top: object, line: int | None) -> Iterable[tuple[object, int | None]]:
    """Return the documents of one top-level value, each with its line."""
    if isinstance(top, LinedList):
        return zip(top, top.lines, strict=True)
    return [(item, None) for item in top] if isinstance(top, list) else [(top, line)]


def _decode(text: bytes | str, source: str, max_bytes: int) -> str:
    if len(text) > max_bytes:
        _refuse(source, None, f"the text is larger than {max_bytes} bytes", "split it into several")
    if isinstance(text, str):
        return text
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        _refuse(source, line, f"the byte {text[error.start]:#04x} is not UTF-8", "save the text as UTF-8")


def _refuse(source: str, line: int | None, message: str, remedy: str, path: str = "documents") -> NoReturn:
    raise SyntaxRefusedError([Problem(path, message, remedy, source, line)])


# -- JSON -------------------------------------------------------------------------------------


def _from_json(text: str, source: str) -> list[tuple[object, None]] | None:
    """Return the documents, or None where the text is no JSON (flow YAML begins alike)."""
    with contextlib.suppress(ValueError, RecursionError):  # who looks closely says what it is
        value = json.loads(text)
        if _is_plain(value, text):
            return [(value, None)]
    return _from_doubtful_json(text, source)


def _is_plain(top: object, text: str) -> bool:
    """Whether nothing in a text could be refused, by what was read of it; False when in doubt.

    A key that occurs twice is in the text and not in the values, and so are its quotes.
    """
    if "\\" in text or not (text.isascii() or _is_unicode(text)):
        return False
    inner, strings = [top], 0
    for _ in range(MAX_DEPTH + 1):
        kinds = list(map(type, inner))
        if not all(map(_is_small, (*_only(int, inner, kinds), *_only(float, inner, kinds)))):
            return False
        maps: list[dict[str, object]] = _only(dict, inner, kinds)
        if max(map(len, maps), default=0) > MAX_KEYS:
            return False
        strings += kinds.count(str) + sum(map(len, maps))
        inner = list(itertools.chain(*map(dict.values, maps), *_only(list, inner, kinds)))
        if not inner:
            return text.count('"') == 2 * strings
    return False


def _only(wanted: type[T], values: list[object], kinds: list[type]) -> list[T]:
    """Return the values of one kind."""
    if wanted not in kinds:
        return []
    return list(itertools.compress(cast("list[T]", values), map(operator.is_, kinds, itertools.repeat(wanted))))


def _is_small(number: float) -> bool:
    """Whether it is a number, of at most 19 digits if it is a whole one."""
    return abs(number) < TOO_LARGE if isinstance(number, int) else math.isfinite(number)


def _from_doubtful_json(text: str, source: str) -> list[tuple[object, None]] | None:
    """As `_from_json`, and look at everything while it is read."""

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        result = dict(items)
        if len(result) != len(items):
            seen: set[str] = set()
            twice = next(key for key, _ in items if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            _refuse(source, None, f"the key {echo(twice)} occurs twice", "keep one of them")
        return result

    def integer(digits: str) -> int:
        if _INTEGER.fullmatch(digits) is None:
            _refuse(source, None, f"the number {echo(digits)} is too large", "no number here has over 19 digits")
        return int(digits)

    def constant(name: str) -> NoReturn:
        _refuse(source, None, f"{name} is no number", "no field takes it")

    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_int=integer, parse_constant=constant)
    except json.JSONDecodeError:
        return None
    except RecursionError:
        _refuse(source, None, f"nested more than {MAX_DEPTH} deep", "no kind of document needs that")
    _check_values(value, source)
    return [(value, None)]


def _check_values(top: object, source: str) -> None:
    """Hold JSON to what the YAML reader refuses while it reads."""
    level: list[object] = [top]
    for _ in range(MAX_DEPTH + 1):
        inner: list[object] = []
        for value in level:
            if isinstance(value, dict):
                if len(value) > MAX_KEYS:
                    _refuse(source, None, f"a mapping has more than {MAX_KEYS} keys", "split it")
                inner.extend(value.keys())
                inner.extend(value.values())
            elif isinstance(value, list):
                inner.extend(value)
            elif isinstance(value, str) and not _is_unicode(value):
                _refuse(source, None, f"{echo(value)} has half of a surrogate pair", "write valid Unicode")
        if not inner:
            return
        level = inner
    _refuse(source, None, f"nested more than {MAX_DEPTH} deep", "no kind of document needs that")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# -- YAML -------------------------------------------------------------------------------------


class _YamlBuilder:
    """Builds values from YAML events with a stack of its own, so depth is checked before it costs anything."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.stack: list[LinedMap | LinedList] = []
        self.keys: list[str | None] = []
        """For each container of the stack: the key whose value is being read."""
        self.root: object = None
        self.line: int | None = None
        """Where the root begins."""
        self.count = 0

    def documents(self, text: str, breathe: Breathe) -> Iterator[tuple[object, int | None]]:
        try:
            for number, event in enumerate(yaml.parse(text, Loader=_LOADER)):
                if not number % _BREATH:
                    breathe()
                if isinstance(event, yaml.DocumentEndEvent):
                    yield self.root, self.line
                    self.root, self.count = None, self.count + 1
                else:
                    self._feed(event)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = None if mark is None else mark.line + 1
            _refuse(
                self.source, line, f"not YAML: {error.problem or error.context}", "correct the syntax", self._path()
            )
        except yaml.YAMLError as error:
            _refuse(self.source, None, f"not YAML: {echo(str(error))}", "use printable UTF-8 text")

    def _feed(self, event: yaml.Event) -> None:
        line = 0 if event.start_mark is None else event.start_mark.line + 1
        if isinstance(event, yaml.NodeEvent):
            self._check_node(event, line)
        if isinstance(event, yaml.ScalarEvent):
            self._add(_resolve(event.value) if event.implicit[0] else event.value, line)
        elif isinstance(event, yaml.MappingStartEvent):
            self._open(LinedMap(line))
        elif isinstance(event, yaml.SequenceStartEvent):
            self._open(LinedList(line))
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._close()

    def _check_node(self, event: yaml.NodeEvent, line: int) -> None:
        if event.anchor is not None:
            self._refuse(line, "anchors and aliases are not read", "write the value out where it is used")
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._refuse(line, f"the tag {echo(tag)} is not read", "leave it out")

    def _open(self, container: LinedMap | LinedList) -> None:
        if len(self.stack) >= MAX_DEPTH:
            self._refuse(container.line, f"nested more than {MAX_DEPTH} deep", "no kind of document needs that")
        self._add(container, container.line)
        self.stack.append(container)
        self.keys.append(None)

    def _close(self) -> None:
        self.stack.pop()
        self.keys.pop()
        if self.stack:
            self.keys[-1] = None

    def _add(self, value: object, line: int) -> None:
        if not self.stack:
            self.root, self.line = value, line
            return
        parent = self.stack[-1]
        if isinstance(parent, LinedList):
            parent.append(value)
            parent.lines.append(line)
        elif self.keys[-1] is None:
            self.keys[-1] = self._key(parent, value, line)
        else:
            parent[self.keys[-1]] = value
            if not isinstance(value, LinedMap | LinedList):
                self.keys[-1] = None

    def _key(self, parent: LinedMap, key: object, line: int) -> str:
        if not isinstance(key, str):
            self._refuse(line, f"the key {echo(key)} is not a string", "put it in quotes")
        if key in parent:
            self._refuse(line, f"the key {echo(key)} occurs twice", "keep one of them")
        if len(parent) >= MAX_KEYS:
            self._refuse(line, f"a mapping has more than {MAX_KEYS} keys", "split it")
        parent.lines[key] = line
        return key

    def _refuse(self, line: int, message: str, remedy: str) -> NoReturn:
        _refuse(self.source, line, message, remedy, self._path())

    def _path(self) -> str:
        steps: list[str | int] = []
        for container, key in zip(self.stack, self.keys, strict=True):
            if isinstance(container, LinedList):
                steps.append(max(0, len(container) - 1))
            elif key is not None:
                steps.append(key)
        return path_of(f"documents[{self.count}]", tuple(steps))


def _resolve(text: str) -> object:
    """Give a plain scalar its value: null, truth, decimal number, else a string."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text

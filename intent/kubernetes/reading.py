"""Text to Kubernetes objects: several YAML or JSON documents, and lists of objects in them.

Every problem of every object is collected, with its path: `NetworkPolicy/x/base.spec.ingress[0].from[1].ipBlock.cidr`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from pydantic import ValidationError

from intent.kubernetes.objects import DEFAULT_NAMESPACE, Namespace, Pod
from intent.kubernetes.policies import ClusterNetworkPolicy, NetworkPolicy
from intent.kubernetes.scalars import is_name
from intent.schema.loading import MAX_BYTES, Breathe, Raw, go_on, load
from intent.schema.problems import MAX_PROBLEMS, DocumentError, Place, Problem, echo, path_of

Model: TypeAlias = Namespace | Pod | NetworkPolicy | ClusterNetworkPolicy
MODELS: Mapping[tuple[str, str], type[Model]] = {
    ("v1", "Namespace"): Namespace,
    ("v1", "Pod"): Pod,
    ("networking.k8s.io/v1", "NetworkPolicy"): NetworkPolicy,
    ("policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy"): ClusterNetworkPolicy,
}
"""What is imported, by apiVersion and kind."""
_NAMESPACED = ("Pod", "NetworkPolicy")
_LISTS = {("v1", "List"): None} | {(version, f"{kind}List"): (version, kind) for version, kind in MODELS}
"""Kinds of lists, and what their items are where these do not say it themselves."""
_LIST_FIELDS = frozenset({"apiVersion", "kind", "metadata", "items"})
_BREATH = 20
"""Objects between two breaths."""


@dataclasses.dataclass(frozen=True, slots=True)
class KubernetesObject:
    """An object that was read, and where."""

    model: Model
    raw: Raw

    @property
    def namespace(self) -> str:
        """The namespace it is in; empty for what is in none."""
        return _namespace_of(self.model.kind, self.model.metadata.namespace)

    @property
    def key(self) -> tuple[str, str, str]:
        """Kind, namespace and name: what no two objects share."""
        return self.model.kind, self.namespace, self.model.metadata.name

    @property
    def top(self) -> str:
        """The beginning of paths into it: `Pod/x/a`, `Namespace/x`."""
        return _top(*self.key)

    def problem(self, place: Place, message: str, remedy: str) -> Problem:
        """Return a problem at a place of the object."""
        return Problem(path_of(self.top, place), message, remedy, self.raw.source, self.raw.line_of(place))


@dataclasses.dataclass(frozen=True, slots=True)
class _Entry:
    """One object as plain values; `path` is where it stands while its name is unknown."""

    raw: Raw
    path: str
    default: tuple[str, str] | None = None

    def problem(self, place: Place, message: str, remedy: str) -> Problem:
        return Problem(path_of(self._top(), place), message, remedy, self.raw.source, self.raw.line_of(place))

    def _top(self) -> str:
        value = self.raw.value
        metadata = value.get("metadata") if isinstance(value, dict) else None
        if not isinstance(value, dict) or not isinstance(metadata, dict):
            return self.path
        kind, name = value.get("kind"), metadata.get("name")
        if not (isinstance(kind, str) and kind.isalnum() and kind.isascii() and is_name(name)):
            return self.path
        namespace = _namespace_of(kind, metadata.get("namespace"))
        return _top(kind, namespace, str(name)) if not namespace or is_name(namespace) else self.path


def _namespace_of(kind: str, given: str | None) -> str:
    return (given or DEFAULT_NAMESPACE) if kind in _NAMESPACED else ""


def _top(kind: str, namespace: str, name: str) -> str:
    return "/".join(part for part in (kind, namespace, name) if part)


def read_objects(
    text: bytes | str, *, source: str, max_bytes: int = MAX_BYTES, breathe: Breathe = go_on
) -> list[KubernetesObject]:
    """Read the objects of a YAML or JSON text. `source` names it in problems; `breathe` is called now and then.

    Raises:
        DocumentError: with every problem; `SyntaxRefusedError` where the text could not be read at all.
    """
    objects: list[KubernetesObject] = []
    problems: list[Problem] = []
    entries = (e for raw in load(text, source=source, max_bytes=max_bytes, breathe=breathe) for e in _entries(raw))
    for number, entry in enumerate(entries):
        if not number % _BREATH:
            breathe()
        if len(problems) >= MAX_PROBLEMS:
            break
        found = entry if isinstance(entry, Problem) else _read(entry)
        if isinstance(found, KubernetesObject):
            objects.append(found)
        else:
            problems.extend([found] if isinstance(found, Problem) else found)
    problems.extend(_repeated(objects))
    if problems:
        raise DocumentError(problems)
    return objects


def _entries(raw: Raw) -> Iterator[_Entry | Problem]:
    """Yield the objects of a document: its items if it is a list, else itself."""
    entry = _Entry(raw, f"documents[{raw.index}]")
    value = raw.value
    kind = _type_of(value)
    if not isinstance(value, dict) or kind not in _LISTS:
        yield entry
        return
    items = value.get("items")
    for field in sorted(value.keys() - _LIST_FIELDS):
        yield entry.problem((field,), f"there is no field {echo(field)} here", "there are `metadata` and `items`")
    if items is not None and not isinstance(items, list):
        yield entry.problem(("items",), f"{echo(items)} is not a list", "write a list: `[…]`")
        return
    for index, item in enumerate(items or ()):
        yield _Entry(Raw(item, raw.source, raw.index), f"{entry.path}.items[{index}]", _LISTS[kind])


def _type_of(value: object) -> tuple[str, str] | None:
    """Return apiVersion and kind, None where either is no string."""
    version, kind = (value.get("apiVersion"), value.get("kind")) if isinstance(value, dict) else (None, None)
    return (version, kind) if isinstance(version, str) and isinstance(kind, str) else None


def _read(entry: _Entry) -> KubernetesObject | Problem | list[Problem]:
    value = entry.raw.value
    if not isinstance(value, dict):
        return entry.problem((), "the object is not a mapping", "write `apiVersion:`, `kind:`, `metadata:`, …")
    if entry.default is not None:
        for field, default in zip(("apiVersion", "kind"), entry.default, strict=True):
            value.setdefault(field, default)
    kind = _type_of(value)
    model = MODELS.get(kind) if kind is not None else None
    if model is None:
        return _unknown(entry, value.get("apiVersion"), value.get("kind"))
    try:
        return KubernetesObject(model.model_validate(value), entry.raw)
    except ValidationError as error:
        return [problem for detail in error.errors(include_url=False) for problem in _problem(entry, detail)]


def _unknown(entry: _Entry, version: object, kind: object) -> Problem:
    known = ", ".join(f"{kind} ({version})" for version, kind in MODELS)
    if version is None or kind is None:
        missing = "apiVersion" if version is None else "kind"
        return entry.problem((missing,), f"the object has no `{missing}`", f"imported are {known}")
    right = [of for of, name in MODELS if name == kind]
    if right:
        return entry.problem(("apiVersion",), f"{echo(version)} is not read here", f"write `{right[0]}`")
    return entry.problem(("kind",), f"{echo(kind)} is not imported", f"leave it out; imported are {known}")


def _repeated(objects: list[KubernetesObject]) -> Iterator[Problem]:
    seen: set[tuple[str, str, str]] = set()
    for found in objects:
        if found.key in seen:
            yield found.problem(("metadata", "name"), f"there are two objects {found.top}", "keep one of them")
        seen.add(found.key)


# -- what pydantic found, in words ----------------------------------------------------------------

_WORDS = {
    "extra_forbidden": ("there is no field `{last}` here", "leave it out, or correct its name"),
    "missing": ("`{last}` is missing", "add it"),
    "too_short": ("it is empty", "list at least one, or leave out what it belongs to"),
    "string_too_short": ("it is empty", "write something"),
    "too_long": ("it has more than {max_length} items", "split it"),
    "string_too_long": ("it is longer than {max_length} characters", "shorten it"),
    "literal_error": ("{given} is not known here", "say one of {expected}"),
    "none_required": ("{given} has no place here: the object is in no namespace", "leave it out"),
    "greater_than_equal": ("{given} is too small", "write {ge} or more"),
    "less_than_equal": ("{given} is too large", "write {le} or less"),
    "string_type": ("{given} is not a string", "write text, in quotes where YAML reads something else"),
    "int_type": ("{given} is not a whole number", "write a whole number"),
    "bool_type": ("{given} is neither true nor false", "write true or false"),
    "tuple_type": ("{given} is not a list", "write a list: `[…]`"),
    "dict_type": ("{given} is not a mapping", "write fields: `key: value`"),
    "model_type": ("{given} is not a mapping", "write fields: `key: value`"),
    "refused": ("{message}", "{remedy}"),
}
"""What to say, as (message, remedy), by the type of pydantic's error."""


def _problem(entry: _Entry, detail: Mapping[str, Any]) -> Iterator[Problem]:
    if detail["type"] == "too_short" and detail.get("input"):
        return  # pydantic calls a list too short whose items it refused
    place = tuple(step for step in detail["loc"] if step != "[key]")
    if detail["type"] not in _WORDS:
        yield entry.problem(place, f"{echo(detail.get('input'))}: {detail['msg']}", "correct the value")
        return
    values = {"given": echo(detail.get("input")), "last": place[-1] if place else ""} | detail.get("ctx", {})
    message, remedy = (template.format_map(values) for template in _WORDS[detail["type"]])
    yield entry.problem(place, message, remedy)

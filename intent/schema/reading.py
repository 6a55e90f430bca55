"""Text to documents: every problem of every document is collected, with its place and a remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, TypeGuard

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from intent.schema.documents import KINDS, Document
from intent.schema.loading import MAX_BYTES, Breathe, Raw, go_on, load
from intent.schema.problems import MAX_PROBLEMS, DocumentError, Place, Problem, did_you_mean, echo, path_of
from intent.schema.scalars import MAX_NAME, REASONS

_BREATH = 20
"""Documents between two breaths: a few milliseconds for usual ones."""
Key: TypeAlias = tuple[str, str]
"""Kind and name of a document."""
_EMPTY = "leave the field out to mean every one, or list at least one"


def parse_documents(
    text: bytes | str, *, source: str, max_bytes: int = MAX_BYTES, breathe: Breathe = go_on
) -> list[Document]:
    """Read the documents of a YAML or JSON text. `source` names it in problems; `breathe` is as for `load`.

    Raises:
        DocumentError: with every problem; `SyntaxRefusedError` where the text could not be read at all.
    """
    documents: list[Document] = []
    problems: list[Problem] = []
    for raw in load(text, source=source, max_bytes=max_bytes, breathe=breathe):
        if not raw.index % _BREATH:
            breathe()
        if len(problems) >= MAX_PROBLEMS:
            break
        try:
            documents.append(read_document(raw))
        except DocumentError as error:
            problems.extend(error.problems)
    if problems:
        raise DocumentError(problems)
    return documents


def parse_single(
    text: bytes | str, key: tuple[str, str], *, source: str, max_bytes: int = MAX_BYTES, breathe: Breathe = go_on
) -> Document:
    """Read the one document of a text that goes to a known kind and name (`key`); it may leave both out.

    Raises:
        DocumentError: as `parse_documents`, or not one document, or of another kind or name.
    """
    raws = load(text, source=source, max_bytes=max_bytes, breathe=breathe)
    if len(raws) != 1 or not isinstance(raws[0].value, dict):
        raise DocumentError([Problem("documents", f"the body is not one document but {len(raws)}", "send one", source)])
    value = raws[0].value
    for field, wanted in zip(("kind", "name"), key, strict=True):
        if value.setdefault(field, wanted) != wanted:
            message = f"the {field} is {echo(value[field])} but the address says {wanted!r}"
            place: Place = (field,)
            path = path_of("/".join(key), place)
            raise DocumentError([Problem(path, message, "make them agree", source, raws[0].line_of(place))])
    return read_document(raws[0])


def parse_names(
    text: bytes | str, *, source: str, max_bytes: int = MAX_BYTES, breathe: Breathe = go_on
) -> dict[Key, Raw]:
    """Read which documents a text names, and nothing else of them: each once, with what names it.

    Raises:
        DocumentError: as `parse_documents`, but only for what has no known kind or no name.
    """
    named: dict[Key, Raw] = {}
    problems: list[Problem] = []
    for raw in load(text, source=source, max_bytes=max_bytes, breathe=breathe):
        kind, name = (raw.value.get("kind"), raw.value.get("name")) if isinstance(raw.value, dict) else (None, None)
        if not isinstance(kind, str) or kind not in KINDS:
            problems.append(_kind_problem(raw, kind))
        elif not _is_name(name):
            path, line = f"documents[{raw.index}].name", raw.line_of(("name",))
            problems.append(Problem(path, f"{echo(name)} is no name", "give the document's name", source, line))
        else:
            named.setdefault((kind, name), raw)
        if len(problems) >= MAX_PROBLEMS:
            break
    if problems:
        raise DocumentError(problems)
    return named


def read_document(raw: Raw) -> Document:
    """Validate one document by itself.

    Raises:
        DocumentError: with every problem that one document shows.
    """
    value = raw.value
    kind = value.get("kind") if isinstance(value, dict) else None
    model = KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise DocumentError([_kind_problem(raw, kind)])
    try:
        return model.model_validate(value).read_from(raw)
    except ValidationError as error:
        raise DocumentError(_problems(error, model, raw)) from None


def prepared() -> Iterator[str]:
    """Make the validator of each kind, unless it is there: otherwise the first document of the kind waits for it.

    Yields each kind once it is done.
    """
    for kind, model in KINDS.items():
        model.model_rebuild()
        yield kind


def _kind_problem(raw: Raw, kind: object) -> Problem:
    path = f"documents[{raw.index}]"
    known = ", ".join(KINDS)
    if not isinstance(raw.value, dict):
        return Problem(path, "the document is not a mapping", "write `kind:`, `name:`, …", raw.source, raw.line_of(()))
    if kind is None:
        return Problem(f"{path}.kind", "the document has no kind", f"say one of {known}", raw.source, raw.line_of(()))
    if isinstance(raw.value.get("apiVersion"), str):
        remedy = "objects of Kubernetes are imported: `ringfence import k8s FILE`, POST /v1/import/kubernetes"
        return Problem(f"{path}.kind", f"{echo(kind)} is no kind", remedy, raw.source, raw.line_of(("kind",)))
    remedy = did_you_mean(kind, KINDS, f"there are {known}") if isinstance(kind, str) else f"there are {known}"
    return Problem(f"{path}.kind", f"{echo(kind)} is no kind", remedy, raw.source, raw.line_of(("kind",)))


def _problems(error: ValidationError, model: type[BaseModel], raw: Raw) -> list[Problem]:
    assert isinstance(raw.value, dict)  # noqa: S101 (for the type checker: only mappings are validated)
    name = raw.value.get("name")
    top = f"{raw.value['kind']}/{name}" if _is_name(name) else f"documents[{raw.index}]"
    problems = []
    for detail in error.errors(include_url=False)[:MAX_PROBLEMS]:
        if _is_echo_of_another(detail):
            continue
        place = _place(detail["loc"])
        message, remedy = _words(detail, place, model)
        problems.append(Problem(path_of(top, place), message, remedy, raw.source, raw.line_of(place)))
    return problems


def _is_name(name: object) -> TypeGuard[str]:
    return isinstance(name, str) and 0 < len(name) <= MAX_NAME


def _is_echo_of_another(detail: Mapping[str, Any]) -> bool:
    """Pydantic also calls a list too short whose items it refused."""
    return detail["type"] == "too_short" and bool(detail.get("input"))


def _place(location: tuple[int | str, ...]) -> Place:
    """Drop pydantic's own steps: union tags and the mark of a key."""
    return tuple(step for step in location if step not in ("<match>", "<name>", "[key]"))


_WORDS = {
    "refused": ("{message}", "{remedy}"),
    "extra_forbidden": ("there is no field `{last}` here", "{known}"),
    "missing": ("`{last}` is missing", "add it"),
    "too_short": ("it is empty", _EMPTY),
    "string_too_short": ("it is empty", "write something"),
    "too_long": ("it has more than {max_length} items", "split it"),
    "string_too_long": ("it is longer than {max_length} characters", "shorten it"),
    "literal_error": ("{given} is not known here", "say one of {expected}"),
    "string_type": ("{given} is not a string", "write text, in quotes where YAML reads something else"),
    "int_type": ("{given} is not a whole number", "write a whole number"),
    "bool_type": ("{given} is neither true nor false", "write true or false"),
    "tuple_type": ("{given} is not a list", "write a list: `[…]`"),
    "dict_type": ("{given} is not a mapping", "write fields: `key: value`"),
    "model_type": ("{given} is not a mapping", "write fields: `key: value`"),
}
"""What to say, as (message, remedy), by the type of pydantic's error."""
_SYNONYMS = {"drop": "deny", "block": "deny", "permit": "allow", "accept": "allow", "audit": "observe"}
"""Words of other products for what has another here."""
_PLAIN = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")


def _words(detail: Mapping[str, Any], place: Place, model: type[BaseModel]) -> tuple[str, str]:
    """Say in words what pydantic found: (message, remedy)."""
    if detail["type"] == "string_pattern_mismatch":
        detail = _reason(detail)
    kind, given, last = detail["type"], echo(detail.get("input")), place[-1] if place else ""
    if kind not in _WORDS:
        return f"{given}: {str(detail['msg'])[:1].lower()}{str(detail['msg'])[1:]}", "correct the value"
    known = _known_fields(place, model) if kind == "extra_forbidden" else ""
    values = {"given": given, "last": last, "known": known} | detail.get("ctx", {})
    message, remedy = (template.format_map(values) for template in _WORDS[kind])
    return message, _meant(detail, place) or remedy


def _meant(detail: Mapping[str, Any], place: Place) -> str:
    """Return what was meant by a value that people often write in place of another; nothing where that is unclear."""
    given, list_of = detail.get("input"), place[-2] if len(place) > 1 else ""
    if detail["type"] == "literal_error" and isinstance(given, str):
        known = re.findall(r"'(\w+)'", str(detail.get("ctx", {}).get("expected", "")))
        word = given.lower()
        found = next((name for name in known if name.lower() in {word, _SYNONYMS.get(word)}), None)
        return f"did you mean `{found}`?" if found else ""
    if detail["type"] == "model_type" and isinstance(given, str) and list_of in ("from", "to", "members"):
        return _peer_meant(given)
    if detail["type"] == "string_type" and isinstance(given, int) and list_of in ("services", "matches"):
        return f"say of which protocol: `tcp/{given}` or `udp/{given}`"
    return ""


def _peer_meant(word: str) -> str:
    """Say how the peer is written that somebody gave by a mere word."""
    if word == "world":
        return "write `{world: true}`"
    if re.fullmatch(r"[0-9a-fA-F:.]{2,45}(/[0-9]{1,3})?", word) and not word.isalpha():
        return f"write `{{cidr: {word if '/' in word else word + ('/128' if ':' in word else '/32')}}}`"
    name = word if _PLAIN.fullmatch(word) else "NAME"
    return f"write `{{group: {name}}}`, `{{endpoint: {name}}}` or `{{labels: {{KEY: VALUE}}}}`"


def _reason(detail: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the check behind a pattern says of a string that does not match."""
    try:
        REASONS[detail["ctx"]["pattern"]](detail["input"])
    except PydanticCustomError as error:
        return {"type": error.type, "input": detail["input"], "ctx": error.context or {}}
    return detail


def _known_fields(place: Place, model: type[BaseModel]) -> str:
    fields = _fields_at(place[:-1], model)
    return did_you_mean(str(place[-1]), fields, f"there are {', '.join(fields)}")


def _fields_at(place: Place, model: type[BaseModel]) -> list[str]:
    """Return the fields of the model that stands at a place."""
    here: Any = model
    for step in place:
        if isinstance(step, str):
            annotation = next((f.annotation for f in here.model_fields.values() if f.alias == step), None)
            here = _model_in(annotation) or here
    return [field.alias or name for name, field in here.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 (annotations have no common type)
    """Return the first model inside an annotation: `Many[PeerDoc] | None` -> PeerDoc."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(part) for part in getattr(annotation, "__args__", ()))
    return next((found for found in inner if found is not None), None)

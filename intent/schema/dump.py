"""Documents back to plain values, in one canonical form: what is default is left out."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Sequence
from typing import Any

import yaml
from pydantic import BaseModel, TypeAdapter

from intent.schema.describing import Describing
from intent.schema.documents import (
    KINDS,
    Document,
    EgressRuleDoc,
    IngressRuleDoc,
    PeerDoc,
    RuleDoc,
    ServiceReference,
)

AnyRule = RuleDoc | IngressRuleDoc | EgressRuleDoc
_DIGEST_LENGTH = 10
_QUOTE = json.encoder.encode_basestring_ascii


def dump_document(document: Document) -> dict[str, Any]:
    """Return a document as plain values; reading them gives an equal document."""
    values = document.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return {key: value for key, value in values.items() if key == "kind" or value != {} or key == "subject"}


def document_text(document: Document) -> str:
    """Return a document as one line of JSON; equal exactly when the documents are."""
    return document.text(_text)


def _text(document: Document) -> str:
    text = document.model_dump_json(by_alias=True, exclude_defaults=True)
    return _CANONICAL.encode(dump_document(document)) if "{}" in text else text


_CANONICAL = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def dump_yaml(documents: Sequence[Document]) -> str:
    """Return documents as YAML, one after the other."""
    values = [dump_document(document) for document in documents]
    return yaml.safe_dump_all(values, sort_keys=False, allow_unicode=True, default_flow_style=False)


def rule_names(rules: Sequence[AnyRule], side: str, taken: set[str]) -> tuple[str, ...]:
    """Return a name for each rule: its own, or one derived from what it says (and `side`, the direction).

    So a rule keeps its name when others come, go or move; of equal ones the later get `-2`, `-3`, …
    `taken` holds the names that people gave in the policy, and grows by the derived ones.
    """
    names = []
    for rule in rules:
        name = rule.name or _free_name(_derived_name(rule, side), taken)
        taken.add(name)
        names.append(name)
    return tuple(names)


def _free_name(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    return next(free for n in itertools.count(2) if (free := f"{name}-{n}") not in taken)


def _derived_name(rule: AnyRule, side: str) -> str:
    text = f"[{_QUOTE(side)}, {_rule_text(rule)}]"
    return f"{rule.action}-{hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]}"


def _rule_text(rule: AnyRule) -> str:
    """Return what a rule says as JSON, keys and lists sorted; put together here, for an encoder takes twice as long."""
    parts = [f'"action": {_QUOTE(rule.action)}']
    for field in ("from_", "mirror", "queue", "services", "to"):
        said = getattr(rule, field, None)
        if said is not None:
            one = isinstance(said, str)
            text = _QUOTE(said) if one else f"[{', '.join(map(_QUOTE, sorted(map(_item_text, said))))}]"
            parts.append(f'"{field.rstrip("_")}": {text}')
    return f"{{{', '.join(parts)}}}"


_SORTED = json.JSONEncoder(sort_keys=True)


def _item_text(item: str | PeerDoc | ServiceReference) -> str:
    """Return the JSON of what a rule lists; that of the usual ones is put together here, five times as fast."""
    if isinstance(item, str):
        return _QUOTE(item)
    if isinstance(item, PeerDoc) and item.group is not None:
        return f'{{"group": {_QUOTE(item.group)}}}'
    return _SORTED.encode(item.model_dump(mode="json", by_alias=True, exclude_defaults=True))


def json_schema(ref_template: str = "#/$defs/{model}") -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of one document of any kind."""
    schema = TypeAdapter(Document).json_schema(by_alias=True, ref_template=ref_template, schema_generator=Describing)
    definitions: dict[str, Any] = schema.pop("$defs")
    references = {kind: ref_template.format(model=model.__name__) for kind, model in KINDS.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Ringfence document",
        "oneOf": [{"$ref": reference} for reference in references.values()],
        "discriminator": {"propertyName": "kind", "mapping": references},
        "$defs": definitions,
    }


def schemas_of(models: Sequence[type[BaseModel]], ref_template: str) -> dict[str, Any]:
    """Return the JSON Schemas of models by name, for OpenAPI's components."""
    adapter = TypeAdapter.json_schemas(
        [(m, "validation", TypeAdapter(m)) for m in models], ref_template=ref_template, schema_generator=Describing
    )
    definitions: dict[str, Any] = adapter[1]["$defs"]
    return definitions

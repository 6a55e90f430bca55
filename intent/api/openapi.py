"""The OpenAPI 3.1 description, from the same models and the same table of operations that serve requests."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel

from intent.api.answers import ProblemAnswer
from intent.api.errors import PROBLEM_TYPE
from intent.api.host_bodies import NAMED, SINGLE
from intent.api.lease_bodies import LeaseBody
from intent.api.operations import OPERATIONS, Operation
from intent.api.plugs import PortBody
from intent.schema.documents import KINDS
from intent.schema.dump import schemas_of
from intent.schema.scalars import MAX_NAME

BODIES: dict[str, type[BaseModel]] = {
    "port": PortBody,
    "lease": LeaseBody,
    **{f"host {kind}": model for kind, model in (NAMED | SINGLE).items()},
}
"""Bodies that are no documents, by the word for them in `Operation.body`."""
_REF = "#/components/schemas/{model}"
_BODY_TYPES = ("application/yaml", "application/json")


def describe(version: str) -> dict[str, Any]:
    """Return the description as plain values."""
    answers = {op.answer for methods in OPERATIONS.values() for op in methods.values() if op.answer is not None}
    models: list[type[BaseModel]] = [
        *KINDS.values(),
        *sorted(answers, key=lambda model: model.__name__),
        *BODIES.values(),
        ProblemAnswer,
    ]
    return {
        "openapi": "3.1.0",
        "info": {"title": "Ringfence", "version": version},
        "security": [{"token": []}],
        "paths": {path: _path(path, methods) for path, methods in sorted(OPERATIONS.items())},
        "components": {
            "schemas": schemas_of(models, _REF),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _path(path: str, methods: dict[str, Operation]) -> dict[str, Any]:
    described: dict[str, Any] = {method.lower(): _operation(operation) for method, operation in methods.items()}
    if "{" in path:
        described["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in re.findall(r"{(\w+)}", path)
        ]
    return described


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": operation.summary,
        "parameters": _parameters(operation),
        "responses": {
            "2XX": _response(operation),
            "4XX": _problem("The request was refused"),
            "5XX": _problem("Fault"),
        },
    }
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": {t: {"schema": _body(operation)} for t in _BODY_TYPES}}
    if operation.open:
        described["security"] = []
    return described


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    query = [
        {"name": p.name, "in": "query", "description": p.description, "required": p.required, "schema": p.schema}
        for p in operation.query
    ]
    headers = ("If-Match", "If-None-Match") if operation.body else ("If-Match",)
    conditions = [
        {"name": name, "in": "header", "description": "The document's ETag, or `*`.", "schema": {"type": "string"}}
        for name in (headers if operation.conditional else ())
    ]
    return [*query, *conditions]


def _response(operation: Operation) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    if operation.answer is not None:
        schema = {"$ref": _REF.format(model=operation.answer.__name__)}
    media = "text/event-stream" if operation.stream else "application/json"
    return {"description": operation.summary, "content": {media: {"schema": schema}}}


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": _REF.format(model=ProblemAnswer.__name__)}
    return {"description": description, "content": {PROBLEM_TYPE: {"schema": schema}}}


def _body(operation: Operation) -> dict[str, Any]:
    if operation.body == "kubernetes":
        described = "Namespace, Pod, NetworkPolicy (v1), ClusterNetworkPolicy (v1alpha2), lists of them; any number."
        return {"type": "object", "description": described}
    if operation.body == "names":
        described = "Any number, as lists or documents; other fields are not read, so whole documents will do."
        fields = {"kind": {"enum": list(KINDS)}, "name": {"type": "string", "minLength": 1, "maxLength": MAX_NAME}}
        named = {"type": "object", "description": described, "required": list(fields), "properties": fields}
        return {"oneOf": [named, {"type": "array", "items": named}]}
    if operation.body in BODIES:
        return {"$ref": _REF.format(model=BODIES[operation.body].__name__)}
    if operation.body != "*":
        return {"$ref": _REF.format(model=KINDS[str(operation.body)].__name__)}
    any_kind = {"oneOf": [{"$ref": _REF.format(model=model.__name__)} for model in KINDS.values()]}
    return {"oneOf": [*any_kind["oneOf"], {"type": "array", "items": any_kind}]}

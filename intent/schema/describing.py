"""What stands under a model's fields as the descriptions of JSON Schema, read when somebody asks for it.

Pydantic does this itself when it makes a class (`use_attribute_docstrings`), for which it finds and parses the class's
source: a third of the time in which the modules of a hundred models are loaded, at every start.
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema


class Describing(GenerateJsonSchema):
    """Pydantic's generator, with the descriptions."""

    def model_schema(self, schema: Any) -> dict[str, Any]:  # noqa: ANN401 - pydantic's type of it is large and no API
        """Return the schema of a model."""
        found = super().model_schema(schema)
        model: type[BaseModel] = schema["cls"]
        told = descriptions(model)
        properties = found.get("properties", {})
        for name, field in model.model_fields.items():
            shown = properties.get(field.alias or name)
            if shown is not None and name in told and field.description is None:
                shown["description"] = told[name]
        return found


def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """Return what is said of the fields of a model, those of its bases too, by name."""
    told: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            told |= _own(base)
    return told


@functools.cache
def _own(model: type[BaseModel]) -> dict[str, str]:
    """Return the strings that stand under the fields in a class's own source."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    if not isinstance(definition, ast.ClassDef):
        return {}
    told: dict[str, str] = {}
    for field, following in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            match following:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    told[field.target.id] = inspect.cleandoc(text)
    return told

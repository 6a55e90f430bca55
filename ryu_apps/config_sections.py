"""The sections of the configuration, as the models declare them: what stands where, and what it is for."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, get_args

from pydantic import BaseModel

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

Section = type[BaseModel]


def section_type(field: FieldInfo) -> Section | None:
    """Return the section that a field holds, None if it holds a plain value."""
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def without_empty(data: Mapping[str, object], top: Section) -> dict[str, object]:
    """Leave out the sections of which nothing is said (`bridge:` and nothing below it): their defaults hold.

    A section that may be null (`tls:`) stays: for it, that says something.
    """
    kept = {}
    for key, value in data.items():
        field = top.model_fields.get(str(key))
        inner = section_type(field) if field else None
        if value is None and inner and field and field.annotation is inner:
            continue
        kept[key] = without_empty(value, inner) if inner and isinstance(value, dict) else value
    return kept


def section_at(top: Section, place: Sequence[int | str]) -> Section:
    """Return the section that holds the last key of a place."""
    section = top
    for part in place[:-1]:
        field = section.model_fields.get(str(part))
        section = (section_type(field) if field else None) or section
    return section


def near_key(top: Section, place: Sequence[int | str]) -> str:
    """Return the known key that an unknown one was perhaps meant to be, or all that there are."""
    keys = list(section_at(top, place).model_fields)
    near = difflib.get_close_matches(str(place[-1]), keys, n=1)
    return f"did you mean {near[0]}?" if near else f"known here: {', '.join(keys)}"


def purpose(top: Section, place: Sequence[int | str]) -> str:
    """Return what a key is for, empty where nothing is known."""
    keys = [part for part in place if isinstance(part, str)]
    field = section_at(top, keys).model_fields.get(keys[-1]) if keys else None
    return (field.description or "") if field else ""


def keys_of(top: Section, place: Sequence[int | str]) -> str:
    """Say which keys the section at a place takes."""
    field = section_at(top, place).model_fields.get(str(place[-1])) if place else None
    section = (section_type(field) if field else None) or top
    return f"write keys below it, indented: {', '.join(section.model_fields)}"

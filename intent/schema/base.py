"""What documents of every kind have in common."""

from collections.abc import Callable
from typing import Annotated, Self, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator
from pydantic.alias_generators import to_camel

from intent.schema.loading import Raw
from intent.schema.problems import Place, Problem, path_of
from intent.schema.scalars import Reference, refusal

T = TypeVar("T")
M = TypeVar("M")
Few = Annotated[tuple[T, ...], Field(strict=False, min_length=1, max_length=64)]
"""1 to 64 of something: an empty list is always an error."""
Many = Annotated[tuple[T, ...], Field(strict=False, min_length=1, max_length=4096)]


class Part(BaseModel):
    """Anything inside a document: strict types, no unknown field, immutable, camelCase outside."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_camel, use_attribute_docstrings=True
    )


class DocumentBase(Part):
    """What every kind has. `origin` says where it was read, and is no part of its value."""

    _origin: Raw | None = PrivateAttr(default=None)
    _meaning: object = PrivateAttr(default=None)

    def meaning(self, convert: Callable[[Self], M]) -> M:
        """Return what `convert` makes of the document, once: a document is immutable, an apply reads all of them."""
        if self._meaning is None:
            self._meaning = convert(self)
        return cast("M", self._meaning)

    def problem(self, place: Place, message: str, remedy: str) -> Problem:
        """Return a problem at a place of this document."""
        top = f"{getattr(self, 'kind', '')}/{getattr(self, 'name', '')}"
        source, line = ("", None) if self._origin is None else (self._origin.source, self._origin.line_of(place))
        return Problem(path_of(top, place), message, remedy, source, line)

    def detached(self) -> Self:
        """Return the document without its origin, which keeps the whole text's values alive."""
        copy = self.model_copy()
        copy._origin = None  # noqa: SLF001 (a copy of its own)
        return copy


class BindingDoc(Part):
    """Where an endpoint is plugged in: an `iface-id`, or a bridge and an interface."""

    iface_id: Reference | None = None
    bridge: Reference | None = None
    interface: Reference | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        given = (self.iface_id is not None, self.bridge is not None, self.interface is not None)
        if given not in ((True, False, False), (False, True, True)):
            raise refusal("the binding is not one place", "give `ifaceId`, or both `bridge` and `interface`")
        return self

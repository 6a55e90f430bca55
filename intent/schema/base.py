"""What documents of every kind have in common."""

from collections.abc import Callable
from typing import Annotated, Self, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator
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
        extra="forbid",
        frozen=True,
        strict=True,
        alias_generator=to_camel,
        defer_build=True,  # a start needs few of them at once, and a validator takes longer to make than its class
    )


class DocumentBase(Part):
    """What every kind has. Where it was read, what it means, and its text are no part of its value."""

    __slots__ = ("_meaning", "_origin", "_text")
    # Slots that may be unset, not pydantic's private attributes: those take as long to make as the document.

    def read_from(self, origin: Raw | None, meaning: object = None) -> Self:
        """Note where the document was read, and what it means if that is known."""
        object.__setattr__(self, "_origin", origin)
        object.__setattr__(self, "_meaning", meaning)
        return self

    @property
    def is_read(self) -> bool:
        """Whether it was read from a text that is at hand, not stored before."""
        return getattr(self, "_origin", None) is not None

    def meaning(self, convert: Callable[[Self], M]) -> M:
        """Return what `convert` makes of the document, once: a document is immutable, an apply reads all of them."""
        meaning = getattr(self, "_meaning", None)
        if meaning is None:
            meaning = convert(self)
            object.__setattr__(self, "_meaning", meaning)
        return cast("M", meaning)

    def problem(self, place: Place, message: str, remedy: str) -> Problem:
        """Return a problem at a place of this document."""
        top = f"{getattr(self, 'kind', '')}/{getattr(self, 'name', '')}"
        origin: Raw | None = getattr(self, "_origin", None)
        source, line = ("", None) if origin is None else (origin.source, origin.line_of(place))
        return Problem(path_of(top, place), message, remedy, source, line)

    def text(self, write: Callable[[Self], str]) -> str:
        """Return what `write` makes of the document, once: for the same reason."""
        text: str | None = getattr(self, "_text", None)
        if text is None:
            text = write(self)
            object.__setattr__(self, "_text", text)
        return text

    def detach(self) -> None:
        """Forget where it was read: the origin keeps the whole text's values alive."""
        object.__setattr__(self, "_origin", None)


class BindingDoc(Part):
    """Where an endpoint is plugged in: an `iface-id`, or a bridge and an interface."""

    iface_id: Reference | None = None
    bridge: Reference | None = None
    interface: Reference | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        plugged = self.bridge is not None
        if plugged is not (self.interface is not None) or plugged is (self.iface_id is not None):
            raise refusal("the binding is not one place", "give `ifaceId`, or both `bridge` and `interface`")
        return self

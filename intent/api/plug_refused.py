"""The refusal of what a client wants to have done on a host."""

from __future__ import annotations


class PlugRefused(Exception):
    """A port or a setting was not made or not removed."""

    def __init__(self, message: str, remedy: str, *, passing: bool) -> None:
        """`passing`: the same request may succeed later."""
        super().__init__(message)
        self.remedy = remedy
        self.passing = passing

"""What driver calls are refused with."""

from __future__ import annotations


class Refused(Exception):
    """A request cannot be done; the message says why and what to do, for whoever typed the docker command."""


class Unreachable(Exception):
    """Another program, the Engine or the controller, did not answer as it should. It may later."""

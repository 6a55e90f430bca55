"""What demonstrations have in common: the sandbox, who tells what happens, the result, the exit code."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from intent.schema import DocumentError
from mininet_scenarios import sandbox
from mininet_scenarios.agents import AgentError
from mininet_scenarios.private_ovs import SwitchCrashedError
from mininet_scenarios.report import DIM, Paper
from mininet_scenarios.rest import RestError
from mininet_scenarios.shell import CommandError

FAILED, UNUSABLE = 1, 2
FAILURES = (AgentError, CommandError, DocumentError, OSError, RestError, RuntimeError, SwitchCrashedError)
"""What a run ends with when a part of it does not do its job; each message says which and why."""


class Teller:
    """Tells a run as it happens: on the terminal, or beside it when the result is to be JSON."""

    def __init__(self, *, as_json: bool) -> None:
        stream = sys.stderr if as_json else sys.stdout
        self.paper = Paper(stream, colours=stream.isatty())
        self.as_json = as_json
        self._started = time.monotonic()

    def say(self, text: str) -> None:
        """Write a line of progress with the seconds since the start."""
        seconds = time.monotonic() - self._started
        self.paper.line(self.paper.painted(DIM, f"[{seconds:5.1f} s] {text}"))


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """How a run ended."""

    scenario: str
    verdicts: Sequence[bool]
    """Whether each thing that was measured was as intended."""
    details: dict[str, Any]
    """The rest of the JSON object."""
    passed: bool = True
    """Whether what is no verdict was as it must be."""


@dataclasses.dataclass(frozen=True, slots=True)
class Show:
    """A demonstration."""

    missing: Callable[[], str | None]
    """Says why it cannot run here, if so."""
    run: Callable[[Teller], Told]
    """Runs it inside the sandbox; raises one of FAILURES."""
    run_inside: Callable[[list[str]], int] = sandbox.run_inside


def perform(show: Show, arguments: Sequence[str], *, as_json: bool) -> int:
    """Run a demonstration of `mininet_scenarios.demo` in a sandbox; return the exit code."""
    why = show.missing()
    if why is not None:
        return complain(why)
    if not sandbox.is_inside():
        code = show.run_inside(sandbox.python("mininet_scenarios.demo", arguments))
        if code == sandbox.INTERRUPTED:
            complain("interrupted; everything it made is gone")
        return code
    sandbox.enter()
    teller = Teller(as_json=as_json)
    try:
        told = show.run(teller)
    except FAILURES as error:
        sys.stderr.write(f"demo: failed: {error}\n")
        return FAILED
    return _end(told, teller)


def complain(text: str) -> int:
    """Say why there is no result; return the exit code."""
    sys.stderr.write(f"demo: {text}\n")
    return UNUSABLE


def _end(told: Told, teller: Teller) -> int:
    good, cells = sum(told.verdicts), len(told.verdicts)
    passed = told.passed and good == cells > 0
    if teller.as_json:
        head = {"scenario": told.scenario, "passed": passed, "cells": cells, "as_intended": good}
        sys.stdout.write(json.dumps({**head, **told.details}) + "\n")
    else:
        teller.paper.line(f"demo: {good}/{cells} cells as intended")
    return 0 if passed else FAILED

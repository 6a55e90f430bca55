"""Changes one after the other, timed, within a budget; and the proof that they were the right ones."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence

from benchmarks.core import Core
from benchmarks.harness import undisturbed
from benchmarks.openflow import Channel
from benchmarks.workloads import Document
from intent.compiler import Delta, diff

BUDGET_S = 12.0
"""For one series of changes; what does not fit is left out, and the result says how many were measured."""


def timed_steps(channel: Channel, steps: Iterable[Callable[[], Delta]]) -> tuple[list[float], list[float]]:
    """Return milliseconds of each step in memory, and to the reply to a barrier behind its bundle."""
    inside: list[float] = []
    whole: list[float] = []
    give_up_at = time.monotonic() + BUDGET_S
    with undisturbed():
        for step in steps:
            begin = time.perf_counter()
            delta = step()
            inside.append((time.perf_counter() - begin) * 1000)
            channel.apply(delta)
            whole.append((time.perf_counter() - begin) * 1000)
            if time.monotonic() > give_up_at:
                break
    return inside, whole


def within_budget(step: Callable[[Document], float], documents: Sequence[Document]) -> list[float]:
    """Run a step for each document, as many as the budget has room for."""
    took: list[float] = []
    give_up_at = time.monotonic() + BUDGET_S
    for document in documents:
        took.append(step(document))
        if time.monotonic() > give_up_at:
            break
    return took


def check_program(core: Core, channel: Channel) -> None:
    """Make sure that the switch holds exactly what the compiler says, and the compiler says what its oracle does.

    Raises:
        AssertionError: one of them does not.
    """
    core.check()
    if channel.dump() != core.program:
        raise AssertionError("the switch holds something else than the program")


def check_minimal(core: Core, steps: Iterable[Callable[[], Delta]]) -> None:
    """Make sure that each step sends exactly the difference of two whole programs.

    Raises:
        AssertionError: it sends more, or less.
    """
    for step in steps:
        before = dict(core.program)
        sent, least = step(), diff(before, core.program)
        if (set(sent.deletes), set(sent.adds), set(sent.changes)) != (
            set(least.deletes),
            set(least.adds),
            set(least.changes),
        ):
            raise AssertionError(f"{len(sent)} changes are sent where the least is {len(least)}")


def fsync_ms(times: int = 20) -> float:
    """Return how long writing one page durably takes here: the median, in milliseconds."""
    took = []
    with tempfile.NamedTemporaryFile(dir=tempfile.gettempdir()) as file:
        for _ in range(times):
            begin = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            took.append((time.perf_counter() - begin) * 1000)
    return sorted(took)[times // 2]

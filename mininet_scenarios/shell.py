"""Running other programs: the one place of this package that starts a process.

Nothing passes through a shell; argument vectors come from this package or from scenario files
whose names were validated before. Programs are found on `PATH`.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TypeAlias

Argv: TypeAlias = Sequence[str]
Sink: TypeAlias = int | IO[bytes] | None

PATIENCE_S = 90.0
"""How long a program may take that usually needs a moment: the machine may be busy with other things."""
MARKER = "RINGFENCE_RUN"
"""Environment variable that every process of a run carries, and by which the watchdog finds it."""


class CommandError(RuntimeError):
    """A program failed or took too long; the message holds its arguments and what it said."""


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a program runs: extra environment variables, and a named network namespace or the current one."""

    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    netns: str | None = None

    def command(self, argv: Argv) -> list[str]:
        """Return the argument vector that runs `argv` in the namespace."""
        return [*argv] if self.netns is None else ["ip", "netns", "exec", self.netns, *argv]

    def environment(self) -> dict[str, str]:
        """Return the whole environment of the program."""
        return {**os.environ, "LC_ALL": "C", **self.env}


HERE = Surroundings()


def run(argv: Argv, *, text: str = "", timeout_s: float = PATIENCE_S, where: Surroundings = HERE) -> str:
    """Run a program to its end, feed it `text`, and return its standard output.

    Raises:
        CommandError: it cannot be started, its exit code is not 0, or `timeout_s` passed.
    """
    command = where.command(argv)
    try:
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=where.environment(),
            check=False,
        )
    except FileNotFoundError as error:
        raise CommandError(f"{command[0]} is not installed: run `make setup`") from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{' '.join(command)}: no end after {timeout_s} s") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise CommandError(f"{' '.join(command)}: exit code {done.returncode}: {said}")
    return done.stdout


def start(
    argv: Argv, *, where: Surroundings = HERE, output: Sink = None, pipe: bool = False
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, so that Ctrl-C reaches only whoever started it.

    With `pipe`, its standard input and output are pipes and only its errors go to `output`;
    otherwise both outputs go there.
    """
    return subprocess.Popen(
        where.command(argv),
        stdin=subprocess.PIPE if pipe else subprocess.DEVNULL,
        stdout=subprocess.PIPE if pipe else output,
        stderr=output,
        env=where.environment(),
        start_new_session=True,
    )


def read_tail(path: Path, limit: int = 8000) -> str:
    """Return the last `limit` bytes of a file as text, empty when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - limit))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""

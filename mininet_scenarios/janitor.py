"""Whatever a run makes is written down before it is made, and removed even if the run is killed.

A `Janitor` owns a watchdog process (`watchdog.py`) that holds the other end of a pipe. Closing the
janitor and dying are the same event to the watchdog, so there is one path of cleaning up.
With RINGFENCE_KEEP=1 in the environment the directories (logs, databases) stay.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from mininet_scenarios import shell, watchdog

CLOSE_TIMEOUT_S = 90.0
"""More than the watchdog gives itself."""


class Janitor:
    """Makes namespaces, directories and processes that do not outlive it. A context manager.

    `run_id` (six hex digits) is part of every name it gives, so runs never collide.
    """

    def __init__(self) -> None:
        self.run_id = secrets.token_hex(3)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._count = 0
        self._watchdog = subprocess.Popen(
            [sys.executable, "-I", "-S", watchdog.__file__, self.run_id],
            stdin=subprocess.PIPE,
            start_new_session=True,
            cwd="/",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Remove everything, and return when it is gone."""
        self._watchdog.communicate(timeout=CLOSE_TIMEOUT_S)
        for process in self._processes:
            process.wait(CLOSE_TIMEOUT_S)
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()

    def name(self, suffix: str) -> str:
        """Return a unique name; at most 15 characters (an interface's limit) if `suffix` has at most 7.

        Raises:
            ValueError: the name is longer than that.
        """
        name = f"rf{self.run_id}{suffix}"
        if len(name) > 15:  # noqa: PLR2004 - IFNAMSIZ - 1
            raise ValueError(f"{name} is no interface name: shorten {suffix!r} to 7 characters")
        return name

    def fresh(self, letter: str) -> str:
        """Return a unique name that this janitor has not given before."""
        self._count += 1
        return self.name(f"{letter}{self._count:x}")

    def record(self, kind: str, name: str) -> None:
        """Tell the watchdog what is about to be made: a `dir`, `netns` or `link`."""
        pipe = self._watchdog.stdin
        if pipe is None:  # pragma: no cover - always a pipe, see above
            raise RuntimeError("the watchdog has no pipe")
        pipe.write(f"{kind} {name}\n".encode())
        pipe.flush()

    def directory(self) -> Path:
        """Make an empty directory with a short path (unix socket names have 107 characters)."""
        path = Path(tempfile.gettempdir()) / self.fresh("d")
        if os.environ.get("RINGFENCE_KEEP") != "1":
            self.record("dir", str(path))
        path.mkdir(mode=0o700)
        return path

    def netns(self) -> str:
        """Make a named network namespace with its loopback up."""
        name = self.fresh("n")
        self.record("netns", name)
        # Marked, so that the watchdog of a killed run also ends an `ip` that is still about to make it.
        shell.run(["ip", "netns", "add", name], where=self.surroundings())
        shell.run(["ip", "-n", name, "link", "set", "lo", "up"])
        return name

    def surroundings(self, netns: str | None = None, env: Mapping[str, str] | None = None) -> shell.Surroundings:
        """Return surroundings that mark a process as this run's."""
        return shell.Surroundings({**(env or {}), shell.MARKER: self.run_id}, netns)

    def start(
        self,
        argv: shell.Argv,
        *,
        where: shell.Surroundings | None = None,
        output: shell.Sink = None,
        pipe: bool = False,
    ) -> subprocess.Popen[bytes]:
        """Start a process that is killed at the latest when this janitor closes."""
        asked = where or shell.HERE
        marked = self.surroundings(asked.netns, asked.env)
        process = shell.start(argv, where=marked, output=output, pipe=pipe)
        self._processes.append(process)
        return process

"""Clean up after a run, however it ended. Runs as a process of its own; standard library only.

It reads lines `dir PATH`, `netns NAME`, `link NAME`, `cgroup NAME` from its standard input, a pipe whose other end
only the run holds. When that end closes (the run is done, or was killed), it kills what still carries
the run's mark in its environment or lives in one of the run's namespaces, then deletes what it read.

    python watchdog.py RUN_ID      (started by `mininet_scenarios.janitor`)
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

MARKER = "RINGFENCE_RUN"
DEADLINE_S = 30.0
ROOTS = (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*/"))
"""One hierarchy (cgroup v2), or one a controller (v1)."""
LOOKS = 3


def marked(mark: bytes) -> set[int]:
    """Return the processes, but this one, whose environment holds `mark`."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:  # it ended meanwhile, or is none of ours
                continue
            if mark in environment.split(b"\0"):
                found.add(int(entry.name))
    return found


def inside(namespace: str) -> set[int]:
    """Return the processes that live in a named network namespace."""
    listed = ip("netns", "pids", namespace)
    return {int(word) for word in listed.split()}


def ip(*words: str) -> str:
    """Run `ip`; that a thing is gone already is no error here."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    return done.stdout


def kill_all(mark: bytes, namespaces: list[str]) -> None:
    """Kill until several looks in a row find nothing: a process that is just starting a program shows no mark."""
    quiet, deadline = 0, time.monotonic() + DEADLINE_S
    while quiet < LOOKS and time.monotonic() < deadline:
        alive = marked(mark).union(*(inside(name) for name in namespaces))
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        quiet = 0 if alive else quiet + 1
        time.sleep(0.02)


def remove_cgroup(name: str) -> None:
    """Remove a control group and those below it from every hierarchy, once the last of its processes is gone."""
    deadline = time.monotonic() + DEADLINE_S
    while found := [path for root in ROOTS for path in root.glob(name) if path.is_dir()]:
        for path in found:
            for below in [*sorted(path.rglob("*/"), reverse=True), path]:
                try:
                    below.rmdir()
                except OSError:  # a process is just ending in it
                    continue
        if time.monotonic() > deadline:
            return
        time.sleep(0.02)


def main() -> None:
    """Wait for the end of the run, then remove what it made."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    made: dict[str, list[str]] = {"dir": [], "netns": [], "link": [], "cgroup": []}
    for line in sys.stdin:
        kind, _, name = line.rstrip("\n").partition(" ")
        made[kind].append(name)
    kill_all(f"{MARKER}={sys.argv[1]}".encode(), made["netns"])
    for name in made["link"]:
        ip("link", "del", name)
    for name in made["netns"]:
        ip("netns", "del", name)
    for name in made["cgroup"]:
        remove_cgroup(name)
    for name in made["dir"]:
        shutil.rmtree(name, ignore_errors=True)


if __name__ == "__main__":
    main()

"""`ringfence run` and `ringfence docker-driver`: become the controller, or Docker's driver."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from cli.exits import Exit, Failure

if TYPE_CHECKING:
    import argparse

PROGRAMS = {"run": "ryu_apps.main", "docker-driver": "docker_driver"}


def command_line(args: argparse.Namespace) -> list[str]:
    """Return the command that starts the program."""
    # -P: a module in the working directory must not become part of the program.
    line = [sys.executable, "-P", "-m", PROGRAMS[args.command]]
    if args.config:
        line += ["--config", args.config]
    if args.print_config:
        line.append("--print-config")
    return line


def run(args: argparse.Namespace) -> Exit:
    """Replace this process by the program, so that signals and exit codes are the program's own."""
    line = command_line(args)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execv(line[0], line)  # noqa: S606 - no shell is wanted
    except OSError as error:
        remedy = "reinstall ringfence with the Python that runs it"
        raise Failure(Exit.BROKEN, f"cannot run {line[0]}: {error.strerror}", remedy) from error

"""`ringfence run`: become the controller."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from cli.exits import Exit, Failure

if TYPE_CHECKING:
    import argparse

CONTROLLER = "ryu_apps.main"


def command_line(args: argparse.Namespace) -> list[str]:
    """Return the command that starts the controller."""
    # -P: a module in the working directory must not become part of the controller.
    line = [sys.executable, "-P", "-m", CONTROLLER]
    if args.config:
        line += ["--config", args.config]
    if args.print_config:
        line.append("--print-config")
    return line


def run(args: argparse.Namespace) -> Exit:
    """Replace this process by the controller, so that signals and exit codes are the controller's own."""
    line = command_line(args)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execv(line[0], line)  # noqa: S606 - no shell is wanted
    except OSError as error:
        remedy = "reinstall ringfence with the Python that runs it"
        raise Failure(Exit.BROKEN, f"cannot run {line[0]}: {error.strerror}", remedy) from error

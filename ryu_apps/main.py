"""`python -m ryu_apps.main`, which `ringfence run` becomes: the controller in one process."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence

MODULE = "ryu_apps.segmentation"
BAD_CONFIG = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the controller until SIGTERM or SIGINT; return the exit code.

    0: stopped as asked, or the configuration was printed. 2: bad configuration. 3: another instance
    holds the store. 4: the store cannot be used. 5: an address is in use.
    """
    parser = argparse.ArgumentParser(prog="ringfence run", description="Run the controller in the foreground.")
    parser.add_argument("--config", metavar="FILE", help="YAML configuration; default: RINGFENCE_CONFIG, then /etc")
    parser.add_argument("--print-config", action="store_true", help="print the effective configuration and stop")
    arguments = parser.parse_args(argv)
    if arguments.config:
        os.environ["RINGFENCE_CONFIG"] = arguments.config
    if arguments.print_config:
        return print_config()
    return run()


def print_config() -> int:
    """Print the effective configuration, each key with a comment."""
    from ryu_apps.config import ConfigError, load, render_commented  # noqa: PLC0415 - the controller patches first

    try:
        sys.stdout.write(render_commented(load(None, os.environ)))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return BAD_CONFIG
    return 0


def run() -> int:
    """Run the application as `ryu-manager` would."""
    gc.disable()  # a start makes much and drops little; the application lets the collector go on
    from ryu_apps import eventlet_hook  # noqa: PLC0415 - as below

    eventlet_hook.quiet()
    from ryu_apps import resolving  # noqa: PLC0415 - only the controller needs it

    eventlet = resolving.load()
    # Before anything else is imported, as ryu-manager does: locks made earlier would block every green thread.
    eventlet.monkey_patch()
    from ryu_apps import framework  # noqa: PLC0415 - after the patch

    framework.run_app(MODULE)
    return 0


if __name__ == "__main__":
    sys.exit(main())

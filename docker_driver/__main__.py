"""`python -m docker_driver`, which `ringfence docker-driver` becomes."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from docker_driver.config import ConfigError, describe, load

BAD_CONFIG, BAD_STATE, NO_SOCKET = 2, 4, 5
"""Exit codes, as those of `ringfence run`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the driver until SIGTERM or SIGINT; return the exit code.

    0: stopped as asked. 2: bad configuration. 4: the state cannot be used, or another driver uses it.
    5: the plugin socket cannot be made.
    """
    parser = argparse.ArgumentParser(prog="ringfence docker-driver", description="Run the Docker network driver.")
    parser.add_argument("--config", metavar="FILE", type=Path, help="YAML; default /etc/ringfence/docker.yaml, if any")
    parser.add_argument("--print-config", action="store_true", help="print every key with its default and stop")
    asked = parser.parse_args(argv)
    if asked.print_config:
        sys.stdout.write(describe())
        return 0
    try:
        config = load(asked.config)
    except ConfigError as error:
        return _complain(str(error), BAD_CONFIG)
    logging.basicConfig(
        level=config.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    from docker_driver.daemon import Daemon  # noqa: PLC0415 - `--print-config` and help need none of it
    from docker_driver.state import StateError  # noqa: PLC0415 - as above

    try:
        daemon = Daemon(config)
    except StateError as error:
        return _complain(str(error), BAD_STATE)
    except OSError as error:
        return _complain(f"{config.socket}: {error.strerror}: run as root, or set socket", NO_SOCKET)
    daemon.run()
    return 0


def _complain(text: str, code: int) -> int:
    sys.stderr.write(f"ringfence docker-driver: {text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())

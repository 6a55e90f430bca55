"""Runs pytest in a sandbox, where dockerd finds our driver and nothing of the machine's; see test_real_daemon.py."""

import os
import sys

import pytest

from mininet_scenarios import sandbox


def main():
    child = os.fork()
    if child:
        reap(child)
    sandbox.enter()
    sys.exit(
        pytest.main(["-p", "no:cacheprovider", "-p", "no:logging", "-p", "tests.docker.inside_fixtures", *sys.argv[1:]])
    )


def reap(child):
    """Be process 1: a killed dockerd's containerd would stay as a zombie, which the next dockerd takes for alive."""
    while True:
        pid, status = os.wait()
        if pid == child:
            sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()

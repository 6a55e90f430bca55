"""Runs pytest in a sandbox, where dockerd finds our driver and nothing of the machine's; see test_real_daemon.py."""

import sys

import pytest

from mininet_scenarios import sandbox


def main():
    sandbox.enter()
    sys.exit(pytest.main(["-p", "no:cacheprovider", "-p", "no:logging", *sys.argv[1:]]))


if __name__ == "__main__":
    main()

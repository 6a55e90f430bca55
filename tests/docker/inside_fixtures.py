"""Fixtures of everything that runs inside a sandbox; `inside.py` loads them as a plugin."""

import pytest

from mininet_scenarios.janitor import Janitor
from tests.docker.inside_kit import ALLOW, Docker, until
from tests.soak.conftest import effort, figure  # noqa: F401 - fixtures


@pytest.fixture(scope="module")
def host():
    with Janitor() as janitor, Docker(janitor) as host:
        # Wide enough for a thousand starts in the ten minutes that released addresses rest.
        host.network("lan", "--subnet", "10.1.0.0/20", "--ipv6", "--subnet", "fd00:1::/64")
        host.apply(ALLOW)
        yield host
        host.check()


@pytest.fixture(autouse=True)
def clean(host):
    """After each test all containers are removed, and nothing of them may be left."""
    yield
    if names := host.docker("ps", "-aq").split():
        host.remove(*names)
    left = until(lambda: not host.our_ports() and not host.our_interfaces())
    assert left, (host.our_ports(), host.our_interfaces(), host.last_words())

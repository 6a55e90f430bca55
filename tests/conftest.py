"""Fixtures for tests with real parts: private Open vSwitch, namespaces, unique names.

Nothing here touches the machine's own Open vSwitch. What a fixture makes is gone afterwards, also
when pytest is killed. RINGFENCE_KEEP=1 keeps the directories (logs, databases).

Hypothesis draws the same examples in every run, so that a red run is red again; RINGFENCE_SOAK=1
lets it search anew. The machine may be busy, so how long an example takes is no failure.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from mininet_scenarios.janitor import Janitor
from mininet_scenarios.private_ovs import PrivateOvs, missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

os.environ["LC_ALL"] = "C.UTF-8"  # programs that tests start say the same whatever this machine's language is

for profile, repeats in (("repeatable", True), ("searching", False)):
    settings.register_profile(profile, derandomize=repeats, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("searching" if os.environ.get("RINGFENCE_SOAK") == "1" else "repeatable")


@pytest.fixture(scope="session")
def real_parts() -> None:
    """Skip, with the reason, where no private Open vSwitch can run."""
    why = missing()
    if why is not None:
        pytest.skip(why)


@pytest.fixture(scope="session")
def session_janitor(real_parts) -> Iterator[Janitor]:
    """What lasts for the whole session."""
    with Janitor() as janitor:
        yield janitor


@pytest.fixture
def janitor(real_parts) -> Iterator[Janitor]:
    """What lasts for one test: `janitor.netns()`, `.directory()`, `.start(argv)`, `.fresh("v")` for names."""
    with Janitor() as janitor:
        yield janitor


@pytest.fixture(scope="session")
def session_ovs(session_janitor) -> Iterator[PrivateOvs]:
    """One switch for many tests: each makes and deletes a bridge of its own (`unique_bridge`)."""
    with PrivateOvs(session_janitor) as ovs:
        yield ovs


@pytest.fixture
def ovs(janitor) -> Iterator[PrivateOvs]:
    """A switch for one test, in a namespace of its own; a crash of it fails the test."""
    with PrivateOvs(janitor) as ovs:
        yield ovs


@pytest.fixture
def unique_bridge(session_ovs, session_janitor) -> Iterator[str]:
    """An empty userspace bridge (secure, no controller) of the session's switch."""
    name = session_janitor.fresh("b")
    session_ovs.vsctl("add-br", name, "--", "set", "bridge", name, "datapath_type=netdev", "fail_mode=secure")
    yield name
    session_ovs.check()
    session_ovs.vsctl("del-br", name)


@pytest.fixture
def make_netns(janitor) -> Callable[[], str]:
    """A function that makes a network namespace with its loopback up."""
    return janitor.netns

"""What the reconciler remembers of switches that nobody wants, and of one that another controller took over."""

from __future__ import annotations

import pytest

from ryu_apps.convergence import Desired
from ryu_apps.link import Refused
from ryu_apps.reconciler import Reconciler
from ryu_apps.session import Listener, Role
from ryu_apps.switches import Switches
from tests.fakes.fake_switch import FakeSwitch, until
from topology.frozen import FrozenMap

OURS = 7


@pytest.fixture
def reconciler():
    return Reconciler(generation=5, verify_interval_s=60.0)


@pytest.fixture
def switches(reconciler):
    return Switches(reconciler, Listener(), None, ())


def connect(switches: Switches, dpid: int, switch: FakeSwitch) -> FakeSwitch:
    switches.admit(switch, dpid, 0)
    switch.plug(lambda frame: switches.frame(switch, frame), lambda: switches.gone(switch))
    switches.ready(switch, dpid, {})
    return switch


def role(reconciler: Reconciler, dpid: int) -> Role | None:
    return next((state.role for state in reconciler.states() if state.dpid == dpid), None)


def test_a_stranger_that_left_is_forgotten(reconciler, switches) -> None:
    for dpid in range(100, 120):
        switch = connect(switches, dpid, FakeSwitch())
        assert until(lambda dpid=dpid: role(reconciler, dpid) is Role.MASTER)
        switch.shut("gone")
        switches.gone(switch)
    assert until(lambda: not reconciler.states())


def test_who_was_taken_over_stays_so_while_the_switch_is_away(reconciler, switches) -> None:
    """The generation of a running controller never rises, so nothing has changed when the switch comes back."""
    reconciler.want(OURS, Desired(1, 1, FrozenMap()))
    switch = FakeSwitch()
    switch.generation = 9
    connect(switches, OURS, switch)
    assert until(lambda: role(reconciler, OURS) is Role.STALE)
    switch.shut("gone")
    switches.gone(switch)
    assert until(lambda: not reconciler.states()[0].connected)
    assert role(reconciler, OURS) is Role.STALE
    assert reconciler.superseded()


def test_a_stranger_cannot_claim_that_we_were_taken_over(reconciler, switches) -> None:
    reconciler.want(OURS, Desired(1, 1, FrozenMap()))
    switch = FakeSwitch()
    switch.generation = 9
    connect(switches, OURS + 1, switch)
    assert until(lambda: role(reconciler, OURS + 1) is Role.STALE)
    assert not reconciler.superseded()


def test_one_connection_holds_one_datapath_id(switches) -> None:
    greedy, honest = FakeSwitch(), FakeSwitch()
    switches.admit(greedy, OURS, 0)
    switches.admit(greedy, OURS, 0)
    with pytest.raises(Refused, match="second id"):
        switches.admit(greedy, OURS + 1, 0)
    switches.admit(honest, OURS + 1, 0)

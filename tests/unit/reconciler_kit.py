"""A reconciler, a small program, and one fake switch whose connections come and go."""

from __future__ import annotations

from intent.compiler.fields import ETH_TYPE, IN_PORT, REG, Slice
from intent.compiler.flow import FlowBody, FlowKey, Goto, Load, OutputReg, Program, exact, match_of
from intent.compiler.verdict import meters
from ryu_apps import timers
from ryu_apps.convergence import Desired
from ryu_apps.reach import flows_by_port
from ryu_apps.reconciler import Reconciler
from ryu_apps.session import Listener
from ryu_apps.switches import Switches
from tests.fakes.fake_switch import FakeSwitch, until
from topology.frozen import FrozenMap

DPID = 7
OUT = Slice(REG[5], 0, 16)


def program(*ofports: int) -> Program:
    """A small pipeline: each port may send to each other."""
    flows = {FlowKey(0, 10, match_of([exact(IN_PORT, p)])): FlowBody((Goto(1),), p) for p in ofports}
    for p in ofports:
        flows[FlowKey(1, 10, match_of([exact(ETH_TYPE, 0x800 + p)]))] = FlowBody((Load(OUT, p), Goto(2)), p)
    flows[FlowKey(2, 1, ())] = FlowBody((OutputReg(OUT),), 0)
    return flows


class Bench:
    """A reconciler and one switch whose connections come and go."""

    def __init__(self, interval_s: float = 60.0, generation: int = 5) -> None:
        self.reconciler = Reconciler(generation, interval_s)
        bench = self

        class Wake(Listener):
            def ports_changed(self, session):
                bench.reconciler.wake(session.dpid)

            def became_stale(self, session):
                bench.reconciler.wake(session.dpid)

        self.switches = Switches(self.reconciler, Wake(), None, ())
        self.epoch = 0

    def connect(self, switch: FakeSwitch, ports: dict[int, str] | None = None) -> FakeSwitch:
        self.switches.admit(switch, DPID, 0)
        switch.plug(lambda frame: self.switches.frame(switch, frame), lambda: self.switches.gone(switch))
        self.switches.ready(switch, DPID, ports or {p: f"v{p}" for p in range(1, 9)})
        return switch

    def want(self, wanted: Program, revision: int = 1, ports: tuple[int, ...] = ()) -> None:
        self.epoch += 1
        names, held = FrozenMap({p: f"v{p}" for p in ports}), FrozenMap(wanted)
        desired = Desired(
            self.epoch, revision, held, names, flows_by_port(wanted), meters(wanted), timers.timed(wanted)
        )
        self.reconciler.want(DPID, desired)

    def state(self):
        return self.reconciler.states()[0]

    def realized(self, revision: int = 1) -> bool:
        return until(lambda: self.reconciler.is_realized(revision))

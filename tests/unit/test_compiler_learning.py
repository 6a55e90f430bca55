"""What the controller is shown to learn from is limited in the switch."""

from __future__ import annotations

from intent.compiler import IdMap, allocate, compile_program, cookie
from intent.compiler.cookie import Kind
from intent.compiler.flow import Meter
from intent.compiler.verdict import PORT_REJECTS, SAMPLE_METERS, SAMPLES, SWITCH_METER, meters
from intent.model import Intents, Network
from topology.model import Inventory, Location, UnaddressedPort

DPID, OFPORT = 1, 9


def test_every_flow_to_learn_from_goes_through_its_ports_meter() -> None:
    intents = Intents(networks={"lan": Network("lan", learn=frozenset({"arp", "nd"}))})
    port = UnaddressedPort("e", "lan", "02:00:00:00:00:01", Location(DPID, OFPORT, "v", "uid"))
    inventory = Inventory(unaddressed=(port,))
    program = compile_program(intents, inventory, DPID, allocate(intents, inventory, IdMap(), 0.0))
    origins = [(cookie.decode(body.cookie), body.actions) for body in program.values()]
    shown = [actions for origin, actions in origins if origin is not None and origin.kind is Kind.LEARN]
    assert len(shown) == 3
    assert {actions[0] for actions in shown} == {Meter(SWITCH_METER + OFPORT)}
    samples = dict.fromkeys(SAMPLE_METERS.values(), SAMPLES)
    assert meters(program) == {SWITCH_METER + OFPORT: PORT_REJECTS, **samples}

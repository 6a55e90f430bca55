"""What a scenario expects is computed: states, cells, frames; and frames are what they say on the wire."""

import struct

import pytest

from mininet_scenarios import expectation, forging, scenario
from mininet_scenarios.agent import checksum, flow_of
from mininet_scenarios.expectation import Judge, cells, initial
from topology.packet import ETH_ARP, Outcome


def test_a_step_takes_effect_part_by_part():
    told = scenario.load("churn")
    world = initial(told)
    assert world.plugged == {"web1", "app1", "db1", "outsider"}
    last = told.steps[-1]
    parts = [(part, after) for step in told.steps for part, after in [*world.after(step)][-1:]]
    assert parts[0][1].plugged == {"web1", "app1", "db1", "outsider", "guest1", "guest2"}
    for step in told.steps:
        for _, after in world.after(step):
            world = after
    assert world == initial(told)
    assert [len(part.delete) for part, _ in initial(told).after(last)] == [1, 1, 1, 0]


def test_relabelling_changes_the_labels_that_are_judged():
    told = scenario.load("flat_lan")
    world = initial(told)
    for step in told.steps:
        for _, after in world.after(step):
            world = after
    assert world.inventory().endpoints["desk2"].labels["kind"] == "printer"
    assert initial(told).inventory().endpoints["desk2"].labels["kind"] == "desk"


def test_cells_are_all_pairs_of_a_family():
    told = scenario.load("dual_stack")
    asked = cells(initial(told), told.probes)
    assert len(asked) == len(set(asked)) == (4 * 3 + 18) * len(told.probes)
    assert all((":" in c.src) == (":" in c.dst) and c.source != c.destination for c in asked)


def test_an_unidentified_port_is_no_endpoint():
    world = initial(scenario.load("three_tier"))
    assert "rogue" in world.plugged
    assert "rogue" not in world.inventory().endpoints
    assert "rogue" not in world.live()
    judge = Judge(world)
    assert {judge.expect(c).outcome for c in cells(world, [scenario.probe("icmp")]) if "rogue" in c.source} == {
        "blocked"
    }


def test_every_expectation_has_a_reason():
    told = scenario.load("three_tier")
    world = initial(told)
    judge = Judge(world)
    whys = {judge.expect(c).why for c in cells(world, told.probes)}
    assert "deny by the posture of network shop" in whys
    assert any(why.startswith("allow by administration/") for why in whys)


@pytest.fixture(scope="module")
def forged():
    told = scenario.load("spoofing")
    return Judge(initial(told)), list(forging.forgeries(initial(told), told.forge))


def test_each_frame_can_be_told_from_the_others(forged):
    _, frames = forged
    wires = [one.to_bytes() for one in frames]
    for one in frames:
        assert sum(one.needle in wire for wire in wires) == 1
    assert max(map(len, wires)) < 128
    assert len(frames) > 400


def test_only_honest_frames_are_delivered(forged):
    judge, frames = forged
    delivered = [one for one in frames if judge.verdict(one.frame).fate.outcome is Outcome.DELIVER]
    assert delivered
    assert all("honest" in one.title for one in delivered)


def test_addresses_and_ports_stand_where_receivers_look(forged):
    for one in forged[1]:
        wire, frame = one.to_bytes(), one.frame
        flow = flow_of(wire) if frame.src is not None and frame.vlan is None else None
        if flow is None:
            continue
        assert flow[:3] == (frame.protocol, str(frame.src), str(frame.dst))
        if frame.sport is not None:
            assert flow[3:] == (frame.sport, frame.dport)


def test_checksums_are_right(forged):
    for one in forged[1]:
        wire, frame = one.to_bytes(), one.frame
        if frame.src is None or frame.eth_type == ETH_ARP or frame.vlan is not None:
            continue
        if frame.src.version == 4:
            assert checksum(wire[14:34]) == 0
            addresses, payload = wire[26:34], wire[34:]
        else:
            addresses, payload = wire[22:54], wire[54:]
        pseudo = b"" if frame.protocol == 1 else addresses + struct.pack("!IHBB", len(payload), 0, 0, frame.protocol)
        assert checksum(pseudo + payload) == 0, one.title


def test_a_document_without_a_name_is_refused():
    told = scenario.parse(
        "x",
        {
            "description": "d",
            "workloads": [{"name": "a", "network": "n", "mac": "02:00:00:00:00:01", "addresses": ["10.0.0.1"]}],
            "intents": [{"kind": "Network"}],
        },
    )
    with pytest.raises(expectation.ScenarioError, match=r"x\.intents\[0\]: needs kind and name"):
        initial(told)

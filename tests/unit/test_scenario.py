"""The scenario format: what comes with the package reads, wrong files are refused with their place."""

import copy

import pytest
import yaml

from mininet_scenarios import scenario
from mininet_scenarios.values import ScenarioError

WEB = {"name": "web1", "network": "shop", "mac": "02:00:00:00:00:01", "addresses": ["10.1.0.1", "fd00::1"]}
APP = {"name": "app1", "network": "shop", "mac": "02:00:00:00:00:02", "addresses": ["10.1.0.2"]}
GOOD = {
    "description": "Two workloads.",
    "workloads": [WEB, APP],
    "probes": ["tcp/80", "udp/53", "icmp"],
    "intents": [{"kind": "Network", "name": "shop"}],
}


def changed(**keys):
    return {**copy.deepcopy(GOOD), **keys}


@pytest.mark.parametrize("name", scenario.names())
def test_every_scenario_of_the_package_reads(name):
    told = scenario.load(name)
    assert told.name == name
    assert len(told.workloads) > 1
    assert told.probes
    assert {d["kind"] for d in told.intents} >= {"Network", "Policy"}


def test_the_five_scenarios_are_there():
    assert set(scenario.names()) >= {"three_tier", "flat_lan", "dual_stack", "spoofing", "churn"}


def test_what_ovsdb_is_told():
    workload = scenario.parse("x", changed(workloads=[{**WEB, "labels": {"app": "shop"}, "ports": {"http": "tcp/80"}}]))
    assert workload.workloads["web1"].external_ids() == {
        "iface-id": "web1",
        "attached-mac": "02:00:00:00:00:01",
        "ringfence:ip": "10.1.0.1,fd00::1",
        "ringfence:network": "shop",
        "ringfence:label/app": "shop",
        "ringfence:port/http": "tcp/80",
    }
    assert workload.workloads["web1"].document("br-ring") is None


@pytest.mark.parametrize("source", ["api", "none"])
def test_ovsdb_is_told_nothing_where_it_is_not_the_source(source):
    workload = scenario.parse("x", changed(workloads=[{**WEB, "source": source}])).workloads["web1"]
    assert workload.external_ids() == {}
    document = workload.document("br-ring")
    assert (document is not None) == (source == "api")
    if document is not None:
        assert document["binding"] == {"bridge": "br-ring", "interface": "web1"}


WRONG = [
    ([], "x: write a mapping of keys"),
    (changed(surprise=1), "x.surprise: unknown key"),
    ({k: v for k, v in GOOD.items() if k != "intents"}, "x.intents: missing"),
    (changed(description=7), "x.description: write a text"),
    (changed(workloads={}), "x.workloads: write a list of mappings"),
    (changed(workloads=[WEB, WEB]), "x.workloads: a name occurs twice"),
    (changed(workloads=[{**WEB, "name": "web-1"}]), "x.workloads[0].name: 'web-1' is not a name"),
    (changed(workloads=[{**WEB, "name": "a" * 15}]), "x.workloads[0].name"),
    (changed(workloads=[{**WEB, "mac": "02:00:00:00:00"}]), "x.workloads[0].mac"),
    (changed(workloads=[{**WEB, "addresses": ["10.1.0.256"]}]), "x.workloads[0].addresses: '10.1.0.256'"),
    (changed(workloads=[{**WEB, "ports": {"http": "80"}}]), "x.workloads[0].ports: '80' is not a port"),
    (changed(workloads=[{**WEB, "source": "luck"}]), "x.workloads[0].source: 'luck': one of ovsdb, api, none"),
    (changed(probes=["tcp/0"]), "probe 'tcp/0'"),
    (changed(probes=["tcp/65536"]), "probe 'tcp/65536'"),
    (changed(probes=["sctp/1"]), "probe 'sctp/1'"),
    (changed(probes="icmp"), "x.probes: write a list of texts"),
    (changed(unplugged=["nobody"]), "x.unplugged: there is no workload 'nobody'"),
    (changed(steps=[{"name": "s", "plug": ["nobody"]}]), "x.steps[0]: there is no workload 'nobody'"),
    (changed(steps=[{"name": "s", "delete": ["Policy"]}]), "x.steps[0].delete: 'Policy': write Kind/name"),
    (changed(steps=[{"name": "s", "relabel": {"web1": ["a"]}}]), "x.steps[0].relabel: write a mapping"),
    (
        changed(workloads=[{**WEB, "source": "api"}], steps=[{"name": "s", "relabel": {"web1": {"a": "b"}}}]),
        "x.steps[0].relabel: the labels of web1 are not OVSDB's",
    ),
    (changed(forge={"senders": ["web1"], "victims": ["eve"], "targets": []}), "x.forge: there is no workload 'eve'"),
    (changed(forge={"senders": [], "victims": [], "targets": [], "kinds": ["magic"]}), "x.forge.kinds: 'magic'"),
    (changed(churn={"rounds": True, "port": 53}), "x.churn.rounds: write a number"),
    (changed(steps=[{"name": "s", "fault": "cut-tunnel"}]), "x.steps[0].fault: there is no host ''"),
    (changed(steps=[{"name": "s", "fault": "kill-host/one"}]), "x.steps[0].fault: there is no host 'one'"),
    (changed(steps=[{"name": "s", "fault": "luck/one"}]), "x.steps[0].fault: 'luck/one': write kind/host"),
    (
        changed(conversations=[{"client": "web1", "server": "eve", "over": "tcp/80"}]),
        "x.conversations: there is no workload 'eve'",
    ),
    (
        changed(conversations=[{"client": "web1", "server": "web1", "over": "icmp"}]),
        "x.conversations[0].over: write tcp/80",
    ),
    (changed(bridge="br ring"), "x.bridge: 'br ring' is not a bridge name"),
]


@pytest.mark.parametrize(("data", "message"), WRONG)
def test_what_is_wrong_is_refused_with_its_place(data, message):
    with pytest.raises(ScenarioError) as refused:
        scenario.parse("x", data)
    assert str(refused.value).startswith(message)


def test_files_are_found_by_path_and_bounded(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(GOOD))
    assert scenario.load(str(path)).name == "mine"
    path.write_text("# " + "x" * scenario.MAX_BYTES)
    with pytest.raises(ScenarioError, match="longer than"):
        scenario.load(str(path))
    path.write_text("a: [")
    with pytest.raises(ScenarioError, match="no valid YAML"):
        scenario.load(str(path))
    with pytest.raises(ScenarioError, match=r"known scenarios: .*three_tier"):
        scenario.load("nowhere")


def test_a_probe_may_go_to_many():
    told = scenario.probe("udp/53@FF05::1:3")
    assert (told.port, told.group, str(told)) == (53, "ff05::1:3", "udp/53@ff05::1:3")
    for wrong in ("tcp/53@239.1.2.3", "udp/53@10.1.2.3", "udp/53@", "udp/53@here", "tcp/53@"):
        with pytest.raises(ScenarioError):
            scenario.probe(wrong)

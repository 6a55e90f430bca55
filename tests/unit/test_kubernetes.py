"""Imported policies mean what Kubernetes says they mean, and an import leaves alone what is not its own."""

import json

import pytest

from intent.kubernetes import read_objects, translate
from intent.schema import DocumentError, dump_document, parse_documents, to_intents
from tests.unit.kubernetes_kit import (
    CLUSTER,
    STRANGER,
    Cluster,
    cluster_policy,
    imported,
    namespace,
    objects,
    pod,
    policy,
)

EVERY = {"podSelector": {}}
TO_A = {"podSelector": {"matchLabels": {"app": "a"}}}


def named(documents, kind):
    return {doc.name: doc for doc in documents if doc.kind == kind}


# -- NetworkPolicy ----------------------------------------------------------------------------------


def test_without_policies_everybody_may_do_everything():
    cluster = Cluster()
    assert {cluster.says(a, b) for a in ("x.a", "y.a", STRANGER) for b in ("x.b", "192.0.2.1")} == {"allow"}


@pytest.mark.parametrize(
    ("spec", "isolated"),
    [
        ({}, {"ingress"}),
        ({"ingress": [], "egress": []}, {"ingress"}),
        ({"policyTypes": []}, {"ingress"}),
        ({"egress": [{"ports": [{"port": 1}]}]}, {"ingress", "egress"}),
        ({"policyTypes": ["Egress"]}, {"egress"}),
        ({"policyTypes": ["Egress", "Ingress"]}, {"ingress", "egress"}),
        ({"policyTypes": ["Egress"], "ingress": [{}]}, {"egress"}),
        ({"policyTypes": ["Ingress"], "egress": [{}]}, {"ingress"}),
    ],
)
def test_directions_follow_the_policy_types_as_the_api_server_fills_them_in(spec, isolated):
    cluster = Cluster(policy({**EVERY, **spec}))
    assert (cluster.says("y.a", "x.a") == "deny") == ("ingress" in isolated)
    assert (cluster.says("x.a", "y.a") == "deny") == ("egress" in isolated)


@pytest.mark.parametrize("rule", [{}, {"from": []}, {"ports": []}, {"from": None, "ports": None}])
def test_what_a_rule_leaves_out_or_empty_means_every_one(rule):
    cluster = Cluster(policy({**EVERY, "ingress": [rule]}))
    assert {cluster.says(a, "x.a", 5) for a in ("x.b", "y.a", STRANGER, "192.0.2.1")} == {"allow"}


@pytest.mark.parametrize(
    ("peer", "who"),
    [
        (TO_A, {"x.a"}),
        (EVERY, {"x.a", "x.b"}),
        ({"namespaceSelector": {}}, {"x.a", "x.b", "y.a"}),
        ({"namespaceSelector": {}, **TO_A}, {"x.a", "y.a"}),
        ({"namespaceSelector": {"matchLabels": {"team": "red"}}}, {"x.a", "x.b"}),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "y"}}}, {"y.a"}),
        ({"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}}, {"y.a"}),
        (
            {"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["red"]}]}},
            {"y.a"},
        ),
        ({"podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["a"]}]}}, {"x.b"}),
        ({"podSelector": {"matchExpressions": [{"key": "app", "operator": "Exists", "values": []}]}}, {"x.a", "x.b"}),
        ({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.1.0/31"]}}, {"x.b", "y.a", STRANGER}),
        ({"ipBlock": {"cidr": "0.0.0.0/0"}}, {"x.a", "x.b", "y.a", STRANGER, "192.0.2.1"}),
    ],
    ids=str,
)
def test_peers_are_pods_of_the_policys_namespace_or_the_selected_ones_and_never_strangers(peer, who):
    target = pod("t", "x", "10.0.1.9")
    chosen = {"podSelector": {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}}
    cluster = Cluster(policy({**chosen, "ingress": [{"from": [peer]}]}), extra=[target])
    everybody = ("x.a", "x.b", "y.a", STRANGER, "192.0.2.1")
    assert {name for name in everybody if cluster.says(name, "x.t") == "allow"} == who


@pytest.mark.parametrize(
    ("port", "opens"),
    [
        ({}, {(6, 80), (6, 8080), (6, 99)}),
        ({"protocol": "UDP"}, {(17, 80), (17, 99)}),
        ({"port": 80}, {(6, 80)}),
        ({"port": 80, "endPort": 90, "protocol": "UDP"}, {(17, 80)}),
        ({"port": 90, "endPort": 90}, set()),
        ({"port": "web"}, {(6, 8080)}),
        ({"port": "web", "protocol": "SCTP"}, set()),
        ({"port": 99, "protocol": "SCTP"}, {(132, 99)}),
    ],
    ids=str,
)
def test_ports_are_numbers_ranges_or_what_the_destination_calls_so(port, opens):
    cluster = Cluster(policy({**EVERY, "ingress": [{"ports": [port]}]}))
    asked = [(6, 80), (6, 8080), (6, 99), (17, 80), (17, 99), (132, 99)]
    assert {(pr, po) for pr, po in asked if cluster.says("y.a", "x.b", po, pr) == "allow"} == opens


# -- ClusterNetworkPolicy -----------------------------------------------------------------------------

FROM_ALL = [{"namespaces": {}}]


def test_admin_comes_before_network_policies_and_baseline_after():
    deny, accept = ({"action": action, "from": FROM_ALL} for action in ("Deny", "Accept"))
    isolate, admit = policy(EVERY), policy({**EVERY, "ingress": [{}]})
    assert Cluster(cluster_policy(ingress=[accept]), isolate).says("y.a", "x.a") == "allow"
    assert Cluster(cluster_policy(ingress=[deny]), admit).says("y.a", "x.a") == "deny"
    assert Cluster(cluster_policy(tier="Baseline", ingress=[deny]), admit).says("y.a", "x.a") == "allow"
    assert Cluster(cluster_policy(tier="Baseline", ingress=[accept]), isolate).says("y.a", "x.a") == "deny"
    assert Cluster(cluster_policy(tier="Baseline", ingress=[deny])).says("y.a", "x.a") == "deny"


def test_the_first_rule_decides_and_pass_goes_on_with_the_next_tier():
    rules = [{"action": action, "from": FROM_ALL} for action in ("Pass", "Deny")]
    assert Cluster(cluster_policy(ingress=rules)).says("y.a", "x.a") == "allow"
    assert Cluster(cluster_policy(ingress=rules[::-1])).says("y.a", "x.a") == "deny"
    assert Cluster(cluster_policy(ingress=rules), policy(EVERY)).says("y.a", "x.a") == "deny"
    later = cluster_policy("late", priority=7, ingress=[{"action": "Accept", "from": FROM_ALL}])
    sooner = cluster_policy("soon", priority=6, ingress=[{"action": "Deny", "from": FROM_ALL}])
    assert Cluster(later, sooner).says("y.a", "x.a") == "deny"


def test_subjects_peers_and_protocols_narrow_a_rule():
    only_a = {"pods": {"namespaceSelector": {"matchLabels": {"team": "red"}}, **TO_A}}
    ranged = {"udp": {"destinationPort": {"range": {"start": 5, "end": 9}}}}
    protocols = [{"destinationNamedPort": "web"}, ranged, {"sctp": {"destinationPort": {"number": 3}}}]
    rule = {"action": "Deny", "to": [{"networks": ["192.0.2.0/24"]}, {"namespaces": {}}]}
    cluster = Cluster(cluster_policy(subject=only_a, egress=[rule]))
    assert [cluster.says("x.a", to) for to in ("192.0.2.1", "y.a", "198.51.100.1")] == ["deny", "deny", "allow"]
    assert cluster.says("y.a", "192.0.2.1") == "allow"
    inward = {"action": "Deny", "from": [only_a], "protocols": protocols}
    cluster = Cluster(cluster_policy(ingress=[inward]))
    asked = [(6, 8080), (6, 80), (17, 5), (17, 10), (132, 3)]
    assert [cluster.says("x.a", "x.b", po, pr) for pr, po in asked] == ["deny", "allow", "deny", "allow", "deny"]
    assert cluster.says("y.a", "x.b", 8080) == "allow"


# -- beside what is there ---------------------------------------------------------------------------


def test_importing_again_changes_nothing():
    first = imported(policy(EVERY))
    again = translate(objects(*CLUSTER, policy(EVERY)), first)
    assert not again.deletes
    before = {(d.kind, d.name): dump_document(d) for d in first}
    assert all(before[d.kind, d.name] == dump_document(d) for d in again.puts)


def test_rules_that_a_cluster_policy_lost_are_deleted_and_no_others():
    rule = {"action": "Deny", "from": FROM_ALL}
    others = [cluster_policy("c.d", ingress=[rule, rule]), cluster_policy("other", ingress=[rule, rule])]
    first = imported(cluster_policy(ingress=[rule, rule]), *others)
    again = translate(objects(cluster_policy(tier="Baseline", ingress=[rule])), first)
    assert again.deletes == (("Policy", "cnp.c.ingress-1"),)
    assert named(again.puts, "Policy")["cnp.c.ingress-0"].tier == "k8s-baseline"


def test_a_namespace_alone_relabels_its_pods_that_are_there():
    first = imported()
    again = translate(objects(namespace("x", new="1")), first)
    assert named(again.puts, "Endpoint").keys() == {"x.a", "x.b"}
    labels = named(again.puts, "Endpoint")["x.a"].labels
    wanted = {"app": "a", "k8s/namespace": "x", "namespace/new": "1", "namespace.kubernetes.io/metadata.name": "x"}
    assert labels == wanted
    to_intents({(d.kind, d.name): d for d in (*first, *again.puts)}.values())
    assert not named(translate(objects(namespace("x", team="red")), first).puts, "Endpoint")


@pytest.mark.parametrize(
    ("theirs", "path"),
    [
        ("{kind: Endpoint, name: x.a, binding: {ifaceId: v1}}", "Pod/x/a.metadata.name"),
        (
            "{kind: Policy, name: np.x.p, rules: [{action: allow}]}",
            "NetworkPolicy/x/p.metadata.name",
        ),
        ("{kind: Network, name: pods}", "Network/pods.posture"),
        ("{kind: Tiers, name: default, tiers: [{name: kubernetes}]}", "Tiers/default.tiers"),
        ("{kind: Tiers, name: default, tiers: [{name: k8s-admin, isolating: true}]}", "Tiers/default.tiers"),
        ("{kind: Tiers, name: default, tiers: [{name: k8s-baseline}, {name: k8s-admin}]}", "Tiers/default.tiers"),
        (
            f"{{kind: Tiers, name: default, tiers: {json.dumps([{'name': f't{n}'} for n in range(14)])}}}",
            "Tiers/default.tiers",
        ),
    ],
)
def test_what_people_wrote_is_not_overwritten(theirs, path):
    with pytest.raises(DocumentError) as refused:
        translate(objects(*CLUSTER, policy(EVERY)), parse_documents(theirs, source="theirs"))
    assert path in {problem.path for problem in refused.value.problems}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a application z", "a application K z"),
        ("a baseline z", "a K baseline z"),
        ("baseline application", "baseline application K"),
        ("a b", "a b K"),
        ("a k8s-admin b kubernetes c", "a k8s-admin b kubernetes k8s-baseline c"),
        ("a kubernetes b", "a k8s-admin kubernetes k8s-baseline b"),
        ("a k8s-baseline b", "a k8s-admin kubernetes k8s-baseline b"),
    ],
)
def test_the_tiers_join_those_that_are_there(before, after):
    tiers = [{"name": name, "isolating": name == "kubernetes"} for name in before.split()]
    there = parse_documents(json.dumps({"kind": "Tiers", "name": "default", "tiers": tiers}), source="theirs")
    (made,) = named(translate(objects(*CLUSTER), there).puts, "Tiers").values()
    assert [t.name for t in made.tiers] == after.replace("K", "k8s-admin kubernetes k8s-baseline").split()
    assert [t.name for t in made.tiers if t.isolating] == ["kubernetes"]
    assert not named(translate(objects(*CLUSTER), [made]).puts, "Tiers")


def test_the_network_may_be_another_and_may_be_there():
    theirs = parse_documents("{kind: Network, name: blue, posture: allow, subnets: [10.0.0.0/8]}", source="theirs")
    made = translate(objects(*CLUSTER), theirs, network="blue").puts
    assert not named(made, "Network")
    assert {e.network for e in named(made, "Endpoint").values()} == {"blue"}
    with pytest.raises(DocumentError, match="network: 'No!' is no name"):
        translate(objects(), network="No!")


# -- reading ----------------------------------------------------------------------------------------


def test_lists_are_read_typed_or_not():
    bare = [{key: value for key, value in p.items() if key not in ("kind", "apiVersion")} for p in CLUSTER[2:]]
    pods = {"apiVersion": "v1", "kind": "PodList", "metadata": {"resourceVersion": ""}, "items": bare}
    mixed = {"apiVersion": "v1", "kind": "List", "items": [*CLUSTER[:2]]}
    found = read_objects(json.dumps([pods, mixed, {"apiVersion": "v1", "kind": "List"}]), source="t")
    assert [o.top for o in found] == ["Pod/x/a", "Pod/x/b", "Pod/y/a", "Namespace/x", "Namespace/y"]


def test_what_the_server_writes_is_no_intent():
    written = {"uid": "u", "resourceVersion": "1", "creationTimestamp": None, "annotations": {"a": "b"}}
    object_ = policy(EVERY)
    served = {**object_, "metadata": {**object_["metadata"], **written}, "status": {"conditions": [{"type": "x"}]}}
    assert imported(served)[-1].name == "np.x.p"


def test_objects_without_a_namespace_are_in_default():
    alone = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "p"}, "spec": EVERY}
    assert translate(objects(alone)).puts[-1].name == "np.default.p"


def test_ports_of_containers_that_stay_and_both_addresses_are_taken():
    container = {
        "ports": [{"name": "web", "containerPort": 80}, {"containerPort": 9}, {"name": "web", "containerPort": 80}]
    }
    inits = [
        {"restartPolicy": "Always", "ports": [{"name": "side", "containerPort": 5, "protocol": "UDP", "hostPort": 1}]},
        {"ports": [{"name": "gone", "containerPort": 6}]},
    ]
    found = {
        **pod("p", "x", "10.0.0.9"),
        "spec": {"containers": [container], "initContainers": inits, "nodeName": "n"},
        "status": {"podIP": "10.0.0.9", "podIPs": [{"ip": "10.0.0.9"}, {"ip": "fd00::9"}], "phase": "Running"},
    }
    made = named(translate(objects(namespace("x"), found)).puts, "Endpoint")["x.p"]
    assert made.ports == {"web": "tcp/80", "side": "udp/5"}
    assert made.addresses == ("10.0.0.9", "fd00::9")
    pending = {**found, "status": {"phase": "Pending", "podIP": ""}}
    assert named(translate(objects(namespace("x"), pending)).puts, "Endpoint")["x.p"].addresses is None
    del pending["status"]
    assert named(translate(objects(namespace("x"), pending)).puts, "Endpoint")["x.p"].addresses is None

"""What cannot be expressed, or is no object of Kubernetes, is refused with its path and a remedy."""

import json

import pytest

from intent.kubernetes import read_objects, reading, translate
from intent.schema import DocumentError, SyntaxRefusedError
from intent.schema.loading import Raw
from tests.unit.kubernetes_kit import CLUSTER, cluster_policy, namespace, pod, policy

EVERY = {"podSelector": {}}
FROM_ALL = [{"namespaces": {}}]
LONG = "a" * 250


def rule(**fields):
    return policy({**EVERY, "ingress": [fields]})


def selecting(**selector):
    return policy({"podSelector": selector})


def outward(**fields):
    return cluster_policy(egress=[{"action": "Accept", "to": FROM_ALL, **fields}])


def ports(what):
    return outward(protocols=[{"tcp": {"destinationPort": what}}])


def altered(found, part, **fields):
    return {**found, part: {**found[part], **fields}}


POD = pod("a", "x", "10.0.1.1", [("web", 80)], app="a")
IN, OUT = "NetworkPolicy/x/p.spec.ingress[0]", "ClusterNetworkPolicy/c.spec.egress[0]"
PROTOCOL = f"{OUT}.protocols[0]"
REFUSED = [
    # what it is
    ({}, "documents[0].apiVersion"),
    ({"apiVersion": "v1"}, "documents[0].kind"),
    (3, "documents[0]"),
    ({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}, "Service/s.kind"),
    ({"apiVersion": "v1", "kind": ["Pod"]}, "documents[0].kind"),
    ({**policy(EVERY), "apiVersion": "extensions/v1beta1"}, "NetworkPolicy/x/p.apiVersion"),
    ({**cluster_policy(), "apiVersion": "policy.networking.k8s.io/v1alpha1"}, "ClusterNetworkPolicy/c.apiVersion"),
    ({"apiVersion": "v1", "kind": "List", "items": 3}, "documents[0].items"),
    ({"apiVersion": "v1", "kind": "List", "item": []}, "documents[0].item"),
    ({"apiVersion": "v1", "kind": "List", "items": ["x"]}, "documents[0].items[0]"),
    (
        {"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "List"}]},
        "documents[0].items[0].kind",
    ),
    (
        {"apiVersion": "v1", "kind": "PodList", "items": [{"metadata": {"name": "A"}}]},
        "documents[0].items[0].metadata.name",
    ),
    # metadata
    ({**policy(EVERY), "metadata": {}}, "documents[0].metadata.name"),
    ({**policy(EVERY), "metadata": {"name": "p", "namespace": "No"}}, "documents[0].metadata.namespace"),
    (altered(policy(EVERY), "metadata", lables={}), "NetworkPolicy/x/p.metadata.lables"),
    (altered(cluster_policy(), "metadata", namespace="x"), "ClusterNetworkPolicy/c.metadata.namespace"),
    (namespace("x.y"), "Namespace/x.y.metadata.name"),
    (namespace("x", **{"-": "1"}), 'Namespace/x.metadata.labels["-"]'),
    (namespace("x", **{"a" * 250 + "/b": "1"}), None),
    (namespace("x", team="not a value"), "Namespace/x.metadata.labels.team"),
    (namespace("x", team=None), "Namespace/x.metadata.labels.team"),
    ({**policy(EVERY), "extra": 1}, "NetworkPolicy/x/p.extra"),
    # pods
    (altered(POD, "metadata", labels={"k8s/x": "1"}), 'Pod/x/a.metadata.labels["k8s/x"]'),
    (altered(POD, "metadata", labels={"namespace.a/x": "1"}), 'Pod/x/a.metadata.labels["namespace.a/x"]'),
    (altered(POD, "metadata", labels={"ringfence/name": "1"}), 'Pod/x/a.metadata.labels["ringfence/name"]'),
    (altered(POD, "metadata", labels={f"l{n}": "1" for n in range(70)}), "Pod/x/a"),
    (altered(POD, "metadata", name=LONG + ".bb"), f"Pod/x/{LONG}.bb"),
    (altered(POD, "metadata", namespace="unknown"), "Pod/unknown/a.metadata.namespace"),
    (altered(POD, "spec", hostNetwork=True), "Pod/x/a.spec"),
    (
        altered(POD, "spec", containers=[{"ports": [{"containerPort": 0}]}]),
        "Pod/x/a.spec.containers[0].ports[0].containerPort",
    ),
    (
        altered(POD, "spec", containers=[{"ports": [{"containerPort": 70000}]}]),
        "Pod/x/a.spec.containers[0].ports[0].containerPort",
    ),
    (
        altered(POD, "spec", containers=[{"ports": [{"port": 1, "containerPort": 1}]}]),
        "Pod/x/a.spec.containers[0].ports[0].port",
    ),
    (altered(POD, "spec", containers=[{"ports": [{"name": "w", "containerPort": n}]} for n in (1, 2)]), "Pod/x/a.spec"),
    (altered(POD, "status", phase="Succeeded"), "Pod/x/a.status"),
    (altered(POD, "status", podIPs=[{"ip": "10.0.0.300"}]), "Pod/x/a.status.podIPs[0].ip"),
    (altered(POD, "status", podIPs=[{"ip": "224.0.0.1"}]), "Pod/x/a.status.podIPs[0].ip"),
    # selectors
    (selecting(matchLabel={}), "NetworkPolicy/x/p.spec.podSelector.matchLabel"),
    (
        selecting(matchLabels={"namespace/team": "x"}),
        'NetworkPolicy/x/p.spec.podSelector.matchLabels["namespace/team"]',
    ),
    (selecting(matchLabels={"a": "b c"}), "NetworkPolicy/x/p.spec.podSelector.matchLabels.a"),
    (
        selecting(matchExpressions=[{"key": "a", "operator": "Gt", "values": ["1"]}]),
        "NetworkPolicy/x/p.spec.podSelector.matchExpressions[0].operator",
    ),
    (
        selecting(matchExpressions=[{"key": "a", "operator": "In"}]),
        "NetworkPolicy/x/p.spec.podSelector.matchExpressions[0]",
    ),
    (
        selecting(matchExpressions=[{"key": "a", "operator": "Exists", "values": ["1"]}]),
        "NetworkPolicy/x/p.spec.podSelector.matchExpressions[0]",
    ),
    (
        selecting(matchExpressions=[{"key": "k8s/namespace", "operator": "Exists"}]),
        "NetworkPolicy/x/p.spec.podSelector.matchExpressions[0].key",
    ),
    (selecting(matchExpressions=[{"key": f"k{n}", "operator": "Exists"} for n in range(65)]), "NetworkPolicy/x/p"),
    # NetworkPolicy
    ({k: v for k, v in policy(EVERY).items() if k != "spec"}, "NetworkPolicy/x/p.spec"),
    (policy({**EVERY, "policyTypes": ["ingress"]}), "NetworkPolicy/x/p.spec.policyTypes[0]"),
    (policy({**EVERY, "ingress": {}}), "NetworkPolicy/x/p.spec.ingress"),
    (policy({**EVERY, "egress": [{"from": []}]}), "NetworkPolicy/x/p.spec.egress[0].from"),
    (rule(**{"from": [{}]}), f"{IN}.from[0]"),
    (rule(**{"from": [{"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}}]}), f"{IN}.from[0]"),
    (rule(**{"from": [{"ipBlock": {}}]}), f"{IN}.from[0].ipBlock.cidr"),
    (rule(**{"from": [{"ipBlock": {"cidr": "10.0.0.0"}}]}), f"{IN}.from[0].ipBlock.cidr"),
    (rule(**{"from": [{"ipBlock": {"cidr": "10.0.0.1/8"}}]}), f"{IN}.from[0].ipBlock.cidr"),
    (rule(**{"from": [{"ipBlock": {"cidr": "10.0.0.0/33"}}]}), f"{IN}.from[0].ipBlock.cidr"),
    (rule(**{"from": [{"ipBlock": {"cidr": "::ffff:10.0.0.0/104"}}]}), f"{IN}.from[0].ipBlock.cidr"),
    (rule(**{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}}]}), f"{IN}.from[0].ipBlock"),
    (rule(**{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8"]}}]}), f"{IN}.from[0].ipBlock"),
    (rule(**{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["fd00::/8"]}}]}), f"{IN}.from[0].ipBlock"),
    (rule(ports=[{"port": 0}]), f"{IN}.ports[0].port"),
    (rule(ports=[{"port": 65536}]), f"{IN}.ports[0].port"),
    (rule(ports=[{"port": True}]), f"{IN}.ports[0].port"),
    (rule(ports=[{"port": "80"}]), f"{IN}.ports[0].port"),
    (rule(ports=[{"port": "80-90"}]), f"{IN}.ports[0].port"),
    (rule(ports=[{"port": "a--b"}]), f"{IN}.ports[0].port"),
    (rule(ports=[{"port": 90, "endPort": 80}]), f"{IN}.ports[0]"),
    (rule(ports=[{"port": "web", "endPort": 80}]), f"{IN}.ports[0]"),
    (rule(ports=[{"endPort": 80}]), f"{IN}.ports[0]"),
    (rule(ports=[{"protocol": "tcp"}]), f"{IN}.ports[0].protocol"),
    (rule(ports=[{"protocol": "ICMP"}]), f"{IN}.ports[0].protocol"),
    (policy(EVERY, name=LONG), f"NetworkPolicy/x/{LONG}"),
    # ClusterNetworkPolicy
    (cluster_policy(tier="NetworkPolicy"), "ClusterNetworkPolicy/c.spec.tier"),
    (cluster_policy(priority=1001), "ClusterNetworkPolicy/c.spec.priority"),
    (cluster_policy(priority=-1), "ClusterNetworkPolicy/c.spec.priority"),
    (cluster_policy(priority="1"), "ClusterNetworkPolicy/c.spec.priority"),
    (
        cluster_policy(subject={"namespaces": {}, "pods": {"namespaceSelector": {}, **EVERY}}),
        "ClusterNetworkPolicy/c.spec.subject",
    ),
    (cluster_policy(subject={"pods": EVERY}), "ClusterNetworkPolicy/c.spec.subject.pods.namespaceSelector"),
    (cluster_policy(subject={"networks": ["10.0.0.0/8"]}), "ClusterNetworkPolicy/c.spec.subject.networks"),
    (cluster_policy(ingress=[{"action": "Deny", "from": FROM_ALL}] * 26), "ClusterNetworkPolicy/c.spec.ingress"),
    (cluster_policy(ingress=[{"action": "Deny"}]), "ClusterNetworkPolicy/c.spec.ingress[0].from"),
    (
        cluster_policy(ingress=[{"action": "Deny", "from": [{"networks": ["10.0.0.0/8"]}]}]),
        "ClusterNetworkPolicy/c.spec.ingress[0].from[0].networks",
    ),
    (outward(action="Allow"), f"{OUT}.action"),
    (outward(name="x" * 101), f"{OUT}.name"),
    (outward(name="\x1b[31m"), f"{OUT}.name"),
    (outward(to=[]), f"{OUT}.to"),
    (outward(to=[{}]), f"{OUT}.to[0]"),
    (outward(to=[{"namespaces": {}, "networks": ["10.0.0.0/8"]}]), f"{OUT}.to[0]"),
    (outward(to=[{"nodes": {}}]), f"{OUT}.to[0].nodes"),
    (outward(to=[{"domainNames": ["example.com"]}]), f"{OUT}.to[0].domainNames"),
    (outward(to=[{"networks": []}]), f"{OUT}.to[0].networks"),
    (outward(to=[{"networks": ["10.0.0.0/8"]}], protocols=[{"destinationNamedPort": "web"}]), OUT),
    (outward(protocols=[]), f"{OUT}.protocols"),
    (outward(protocols=[{}]), PROTOCOL),
    (outward(protocols=[{"tcp": {}}]), f"{PROTOCOL}.tcp.destinationPort"),
    (outward(protocols=[{"icmp": {}}]), f"{PROTOCOL}.icmp"),
    (ports({}), f"{PROTOCOL}.tcp.destinationPort"),
    (ports({"number": 0}), f"{PROTOCOL}.tcp.destinationPort.number"),
    (ports({"number": 1, "range": {"start": 1, "end": 2}}), f"{PROTOCOL}.tcp.destinationPort"),
    (ports({"range": {"start": 2, "end": 2}}), f"{PROTOCOL}.tcp.destinationPort.range"),
    (cluster_policy(name=LONG, ingress=[{"action": "Deny", "from": FROM_ALL}]), f"ClusterNetworkPolicy/{LONG}"),
]


@pytest.mark.parametrize(("given", "path"), REFUSED, ids=[f"{n}-{path}"[:60] for n, (_, path) in enumerate(REFUSED)])
def test_it_is_refused_with_its_path_and_a_remedy(given, path):
    with pytest.raises(DocumentError) as refused:
        translate(read_objects(json.dumps([given, namespace("other"), *_namespace_of(given)]), source="test"))
    problems = refused.value.problems
    assert path is None or path in {problem.path for problem in problems}, problems
    assert all(problem.message and problem.remedy for problem in problems)


def _namespace_of(given):
    return [] if isinstance(given, dict) and given.get("kind") == "Namespace" else [namespace("x")]


def test_every_problem_of_every_object_is_told_at_once_and_with_its_line():
    text = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: p}
spec:
  podSelector: {}
  ingress:
  - ports:
    - port: 70000
    - protocol: GRE
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Secret
  metadata: {name: s}
"""
    with pytest.raises(DocumentError) as refused:
        read_objects(text, source="file.yaml")
    told = [(problem.path, problem.source, problem.line) for problem in refused.value.problems]
    assert told == [
        ("NetworkPolicy/default/p.spec.ingress[0].ports[0].port", "file.yaml", 8),
        ("NetworkPolicy/default/p.spec.ingress[0].ports[1].protocol", "file.yaml", 9),
        ("Secret/s.kind", "file.yaml", 15),
    ]


def test_null_is_as_good_as_absent():
    peer = {"namespaces": {}, "nodes": None, "networks": None, "domainNames": None}
    assert translate(read_objects(json.dumps(outward(to=[peer], protocols=None)), source="test")).puts


def test_what_has_no_words_of_its_own_yet_is_told_in_pydantics():
    entry = reading._Entry(Raw({}, "test", 0), "documents[0]")
    (problem,) = reading._problem(entry, {"type": "new", "loc": ("a",), "input": 1, "msg": "Wrong"})
    assert (problem.path, problem.message) == ("documents[0].a", "1: Wrong")


def test_an_object_may_be_there_once():
    with pytest.raises(DocumentError, match="two objects NetworkPolicy/x/p"):
        read_objects(json.dumps([*CLUSTER, policy(EVERY), policy(EVERY)]), source="test")


@pytest.mark.parametrize("text", ["a: &x [1]\nb: *x\n", "[" * 100_000, "{" * 50, b"\xff\xfe", "x: !!python/none y"])
def test_hostile_text_is_refused_before_it_is_built(text):
    with pytest.raises(SyntaxRefusedError):
        read_objects(text, source="test")


def test_problems_are_bounded_and_others_may_run_meanwhile():
    breaths = []
    bad = [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"s{n}"}} for n in range(1000)]
    with pytest.raises(DocumentError) as refused:
        read_objects(json.dumps(bad), source="test", breathe=lambda: breaths.append(1))
    assert len(refused.value.problems) == 100
    assert len(breaths) >= 5


def test_relabelling_beyond_what_an_endpoint_may_carry_is_refused():
    there = translate(read_objects(json.dumps(CLUSTER), source="test")).puts
    many = namespace("x", **{f"l{n}": "1" for n in range(70)})
    with pytest.raises(DocumentError, match=r"Endpoint/x\.a\.labels"):
        translate(read_objects(json.dumps(many), source="test"), there)


RUBBISH = (
    None,
    True,
    0,
    -1,
    2**63,
    1.5,
    "",
    "x",
    "\x00",
    "a" * 400,
    [],
    [[]],
    {},
    {"a": {}},
    ["x", 1],
    {"from": 1},
    [None],
)


def _places(value, place=()):
    yield place
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield from _places(inner, (*place, step))


def _put(value, place, what):
    if not place:
        return what
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = _put(copy[place[0]], place[1:], what)
    return copy


def test_rubbish_anywhere_is_refused_or_read_and_never_a_fault():
    peer = {"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}, **EVERY}
    one = rule(**{"from": [peer, {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]}, ports=[{"port": 80}])
    two = outward(to=[{"pods": peer}], protocols=[{"tcp": {"destinationPort": {"range": {"start": 1, "end": 2}}}}])
    whole = [{"apiVersion": "v1", "kind": "List", "items": [namespace("x", a="b"), POD, one, two]}]
    translate(read_objects(json.dumps(whole), source="test"))
    problems = [p for place in list(_places(whole))[1:] for what in RUBBISH for p in _told(_put(whole, place, what))]
    assert len(problems) > 1000
    assert all(problem.path and problem.remedy for problem in problems)


def _told(values):
    try:
        translate(read_objects(json.dumps(values), source="test"))
    except DocumentError as error:
        return error.problems
    return ()

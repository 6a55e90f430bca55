"""What people write by the habit of other tools is answered with how it is written here."""

from datetime import UTC, datetime

import pytest

from intent.schema import parse_documents, to_intents
from intent.schema.changes import Delete, Put
from intent.schema.problems import DocumentError
from intent.store import Store

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def remedy_of(text: str) -> str:
    with pytest.raises(DocumentError) as refused:
        to_intents(parse_documents(text, source="t"))
    (problem,) = refused.value.problems
    return problem.remedy


@pytest.mark.parametrize(
    ("service", "remedy"),
    [
        ("80", "say of which protocol: `tcp/80` or `udp/80`"),
        ("'80'", "say of which protocol: `tcp/80` or `udp/80`"),
        ("'tcp:80'", "did you mean `tcp/80`?"),
        ("tcp-80", "did you mean `tcp/80`?"),
        ("80/tcp", "did you mean `tcp/80`?"),
        ("UDP 53", "did you mean `udp/53`?"),
        ("TCP/80-90", "did you mean `tcp/80-90`?"),
        ("tpc/80", "did you mean `tcp/80`?"),
        ("ICMPv6", "did you mean `icmpv6`?"),
        ("'tcp/80,443'", "list each: `tcp/80`, `tcp/443`"),
        ("'tcp/,x'", "list each: `tcp/80`, …"),
        ("http", "write it as `tcp/80`, `tcp/8000-8099`, `udp`, `icmp/8`, `proto/47` or `any`"),
        ("x/80", "write it as `tcp/80`, `tcp/8000-8099`, `udp`, `icmp/8`, `proto/47` or `any`"),
    ],
)
def test_a_service_never_loses_its_port_to_a_remedy(service, remedy):
    assert remedy_of(f"{{kind: Service, name: s, matches: [{service}]}}") == remedy


@pytest.mark.parametrize(
    ("peer", "remedy"),
    [
        ("world", "write `{world: true}`"),
        ("web", "write `{group: web}`, `{endpoint: web}` or `{labels: {KEY: VALUE}}`"),
        ("10.1.0.1", "write `{cidr: 10.1.0.1/32}`"),
        ("10.1.0.0/24", "write `{cidr: 10.1.0.0/24}`"),
        ("'fd00:1::1'", "write `{cidr: fd00:1::1/128}`"),
        ("bad", "write `{group: bad}`, `{endpoint: bad}` or `{labels: {KEY: VALUE}}`"),
        ("app=web", "write `{group: NAME}`, `{endpoint: NAME}` or `{labels: {KEY: VALUE}}`"),
    ],
)
def test_a_peer_that_is_a_mere_word(peer, remedy):
    assert remedy_of(f"{{kind: Policy, name: p, rules: [{{action: allow, from: [{peer}]}}]}}") == remedy
    assert remedy_of(f"{{kind: Group, name: g, members: [{peer}]}}") == remedy


@pytest.mark.parametrize(
    ("word", "meant"), [("drop", "deny"), ("Allow", "allow"), ("permit", "allow"), ("REJECT", "reject")]
)
def test_an_action_of_another_product(word, meant):
    assert remedy_of(f"{{kind: Policy, name: p, rules: [{{action: {word}}}]}}") == f"did you mean `{meant}`?"


def test_an_operator_in_another_case_and_a_mode_by_another_name():
    expression = "{key: a, operator: notin, values: [b]}"
    assert remedy_of(f"{{kind: Group, name: g, members: [{{expressions: [{expression}]}}]}}") == "did you mean `NotIn`?"
    assert "`observe`" in remedy_of("{kind: Policy, name: p, mode: audit, rules: [{action: deny}]}")
    assert "'enforce'" in remedy_of("{kind: Policy, name: p, mode: perhaps, rules: [{action: deny}]}")


def test_an_object_of_kubernetes_is_sent_to_the_importer():
    policy = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: x}, spec: {podSelector: {}}}"
    assert "ringfence import k8s" in remedy_of(policy)


def test_who_still_names_what_would_be_deleted_is_not_told_to_declare_it(tmp_path):
    text = (
        "{kind: Group, name: web, members: [{labels: {a: b}}]}\n---\n"
        "{kind: Policy, name: p, rules: [{action: allow, from: [{group: web}]}]}"
    )
    with Store(tmp_path / "store.db") as store:
        puts = [Put(document) for document in parse_documents(text, source="t")]
        store.apply(puts, author="", at=NOW, message="", expected_revision=None)
        with pytest.raises(DocumentError) as refused:
            store.preview([Delete("Group", "web")])
    (problem,) = refused.value.problems
    assert problem.path == "Policy/p.rules[0].from[0].group"
    assert problem.message == "it names the group 'web', which there would not be"
    assert "change or delete this document as well" in problem.remedy

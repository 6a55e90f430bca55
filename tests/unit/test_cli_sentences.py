"""What a list of documents says of each, in words."""

import pytest
import yaml

from cli import sentences
from cli.answer import Answer


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("rules: [{action: deny}]", "deny everyone to everyone: everything"),
        (
            "rules: [{action: allow, from: [{group: web}, {endpoint: a}], to: [{labels: {a: b}}], services: [tcp/80]}]",
            "allow group web or endpoint a to a=b: tcp/80",
        ),
        (
            "rules: [{action: allow, from: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}], services: [{service: s}]}]",
            "allow 10.0.0.0/8 except 10.1.0.0/16 to everyone: service s",
        ),
        (
            "subject: {labels: {}}\ningress: [{action: deny, from: [{world: true}]}]\negress: [{action: allow}]",
            "deny world to every endpoint: everything; allow every endpoint to everyone: everything",
        ),
        ("subject: {labels: {a: b}}\ndirections: [ingress]", "isolates a=b (ingress)"),
        (
            "rules: [{action: pass, from: [{expressions: [{key: e, operator: NotIn, values: [x, y]}, *f]}]}]".replace(
                "*f", "{key: f, operator: Exists}"
            ),
            "pass e not in (x, y) and f is set to everyone: everything",
        ),
    ],
)
def test_a_policy_in_words(rule, said):
    document = Answer(yaml.safe_load(f"kind: Policy\nname: p\n{rule}\n"), "p")
    assert sentences.row("policies", document) == ("p", "application", "1000", "enforce", "", said)


def test_groups_and_services_in_words_and_the_rest_by_their_fields():
    texts = [
        "{kind: Group, name: g, members: [{labels: {a: b}}, {group: h}]}",
        "{kind: Service, name: s, matches: [tcp/80, {service: t}]}",
        "{kind: Network, name: n, posture: allow}",
    ]
    rows = [sentences.row("all", Answer(yaml.safe_load(text), "d"))[2] for text in texts]
    assert rows == ["a=b or group h", "tcp/80, service t", 'posture="allow"']

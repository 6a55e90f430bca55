"""A denied connection names the rules that came nearest to allowing it, and what keeps each from it."""

from datetime import UTC, datetime

import pytest

from intent.api.nearest import MAX_NEAR
from intent.api.scene import Scene
from intent.api.verdicts import verdict
from intent.schema import parse_documents, to_intents
from tests.unit.cli_kit import endpoint
from topology.model import Inventory

NOW = datetime(2026, 1, 2, tzinfo=UTC)
BASE = "{kind: Network, name: shop}"
RULE = "{name: r, action: allow, from: [{labels: {tier: web}}], to: [{labels: {tier: app}}], services: [tcp/8080]}"


def near(policies: list[str], service: str = "tcp/8080", ends: tuple[str, str] = ("web-1", "app-1")):
    text = "\n---\n".join([BASE, *policies])
    inventory = Inventory({e.name: e for e in (endpoint("web-1", 1), endpoint("app-1", 2), endpoint("db-1", 3))})
    intents = to_intents(parse_documents(text, source="test"))
    answer = verdict(Scene(intents, inventory, NOW), ends, service, "")
    return [(n.policy, n.differs, n.says) for n in answer.openings[0].nearest]


def policy(rule: str = RULE, name: str = "p", **fields: str) -> str:
    more = "".join(f"{key}: {value}\n" for key, value in fields.items())
    return f"kind: Policy\nname: {name}\n{more}rules: [{rule}]"


@pytest.mark.parametrize(
    ("documents", "service", "ends", "said"),
    [
        ([policy()], "tcp/8081", ("web-1", "app-1"), ("p", "services", "tcp/8080")),
        ([policy()], "tcp/8080", ("db-1", "app-1"), ("p", "from", "tier=web")),
        ([policy()], "tcp/8080", ("web-1", "db-1"), ("p", "to", "tier=app")),
        ([policy(mode="observe")], "tcp/8080", ("web-1", "app-1"), ("p", "standing", "mode observe")),
        (
            [policy(expires="2026-01-01T00:00:00Z")],
            "tcp/8080",
            ("web-1", "app-1"),
            ("p", "standing", "expired 2026-01-01T00:00:00+00:00"),
        ),
        (
            [policy(), policy("{action: deny}", "no", tier="security")],
            "tcp/8080",
            ("web-1", "app-1"),
            ("p", "order", "tier application, order 1000"),
        ),
        (
            ["kind: Policy\nname: p\nsubject: {labels: {tier: db}}\negress: [{action: allow}]"],
            "tcp/1",
            ("web-1", "app-1"),
            ("p", "subject", "tier=db"),
        ),
        (
            ["{kind: Service, name: s, matches: [tcp/1, udp/2]}", policy(RULE.replace("tcp/8080", "{service: s}"))],
            "tcp/8080",
            ("web-1", "app-1"),
            ("p", "services", "service s (tcp/1, udp/2)"),
        ),
    ],
    ids=["services", "from", "to", "mode", "expired", "order", "subject", "named service"],
)
def test_it_says_what_keeps_a_rule_from_allowing(documents, service, ends, said):
    assert near(documents, service, ends) == [said]


def test_what_is_allowed_and_what_misses_two_things_has_no_near_rule():
    assert near([policy()]) == []
    assert near([policy()], "tcp/1", ("db-1", "app-1")) == []


def test_where_a_rule_denies_only_what_fits_wholly_is_near():
    deny = policy("{action: deny}", "no", tier="security")
    assert near([policy(), deny], "tcp/8081") == []


def test_an_ingress_rule_is_not_near_to_what_the_egress_denies():
    one_sided = "kind: Policy\nname: p\nsubject: {labels: {tier: app}}\ningress: [{action: allow}]"
    assert near([one_sided]) == []


def test_few_are_named_and_the_most_particular_first():
    anybody = "{action: allow, services: [tcp/53]}"
    documents = [policy(anybody, f"a{n}") for n in range(9)]
    found = near([*documents, policy(RULE, "z")], "tcp/8081")
    assert len(found) == MAX_NEAR
    assert found[0] == ("z", "services", "tcp/8080")


def test_a_long_list_is_cut_and_says_so():
    services = ", ".join(f"tcp/{n}" for n in range(1, 8))
    assert near([policy(RULE.replace("tcp/8080", services))]) == [
        ("p", "services", "tcp/1, tcp/2, tcp/3, tcp/4, 3 more")
    ]

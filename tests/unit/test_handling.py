"""Queues and mirrors: what people may write, what of it becomes meters, and whose word counts of two."""

import dataclasses

import pytest

from intent.compiler import IdMap, allocate, compile_program
from intent.compiler.compile import CompileError
from intent.compiler.engine import Engine
from intent.compiler.handling import MAX_OFPORT, QUEUES, Care, Shape, Tended
from intent.compiler.tables import Table
from intent.compiler.verdict import QUEUE_METERS, meters
from intent.schema import parse_documents, to_intents
from intent.schema.problems import DocumentError
from intent.semantics import Handling, judge
from ryu_apps.outline import Outline
from scripts.example import DPID, read
from tests.unit.semantics_kit import NOW
from topology.packet import TCP, Opening

SHOP = """
kind: Network
name: shop
---
{kind: Endpoint, name: web, network: shop, labels: {tier: web}, mac: "02:00:00:00:00:01", addresses: [10.1.0.1],
 binding: {bridge: br-ring, interface: v1}}
---
{kind: Endpoint, name: app, network: shop, labels: {tier: app}, mac: "02:00:00:00:00:02", addresses: [10.1.0.2],
 binding: {bridge: br-ring, interface: v2}}
---
{kind: Queue, name: bulk, maxRate: 20000000}
---
{kind: Queue, name: gold, maxRate: 64001}
---
{kind: Mirror, name: ids, binding: {bridge: br-ring, interface: tap0}}
---
"""
ONE_SIDED = """
{kind: Policy, name: out, subject: {labels: {tier: web}}, egress: [{action: allow, queue: bulk, mirror: ids}]}
---
{kind: Policy, name: in, subject: {labels: {tier: app}}, ingress: [{action: allow, queue: gold}]}
"""
RULE = "{{kind: Policy, name: {name}, order: {order}, rules: [{{name: r, action: allow, {what}}}]}}\n---\n"


def policy(name, what, order=1000):
    return RULE.format(name=name, order=order, what=what)


def program(text):
    example = read(SHOP + text, source="test")
    ids = allocate(*example, IdMap(), 0)
    return compile_program(*example, DPID, ids), ids


def handlings(text):
    intents, inventory = read(SHOP + text, source="test")
    web, app = (inventory.endpoints[name].addresses[0] for name in ("web", "app"))
    return judge(intents, inventory, Opening("shop", web, app, TCP, 40000, 873), now=NOW).handlings


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        (policy("p", "queue: bulk").replace("allow", "deny"), "Policy/p.rules[0]", "`queue` goes with `allow`"),
        (policy("p", "mirror: ids").replace("allow", "pass"), "Policy/p.rules[0]", "`mirror` goes with `allow`"),
        (policy("p", "queue: gols"), "Policy/p.rules[0].queue", "there is no queue 'gols'"),
        (policy("p", "mirror: idd"), "Policy/p.rules[0].mirror", "there is no mirror 'idd'"),
        ("{kind: Queue, name: q, maxRate: 63999}", "Queue/q.maxRate", "64000"),
        ("{kind: Mirror, name: m, binding: {bridge: br-ring, interface: v1}}", "Endpoint/web.binding", "mirror `m`"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_its_place(text, path, message):
    with pytest.raises(DocumentError) as refused:
        to_intents(parse_documents(SHOP + text, source="test"))
    (problem,) = refused.value.problems
    assert problem.path == path
    assert message in problem.message


def test_there_are_no_more_queues_than_a_switch_can_tell_apart():
    text = "---\n".join(f"{{kind: Queue, name: q{n}, maxRate: 64000}}\n" for n in range(15))
    with pytest.raises(DocumentError) as refused:
        to_intents(parse_documents(SHOP + text, source="test"))
    assert [p.path for p in refused.value.problems] == ["Queue/q14"]


def test_a_rule_keeps_its_derived_name_unless_what_it_wants_changes():
    plain, queued = (
        to_intents(parse_documents(SHOP + policy("p", what).replace("name: r, ", ""), source="test"))
        for what in ("services: [tcp/80]", "services: [tcp/80], queue: bulk")
    )
    assert plain.policies["p"].rules[0].name != queued.policies["p"].rules[0].name


def test_without_a_rule_that_names_one_a_queue_and_a_mirror_cost_nothing():
    bare, _ = program(policy("p", "services: [tcp/80]"))
    assert not {Table.QUEUE, Table.MIRROR} & {key.table for key in bare}
    assert max(meters(bare)) < QUEUE_METERS
    with_rule, _ = program(policy("p", "services: [tcp/80], queue: bulk, mirror: ids"))
    assert bare.items() - with_rule.items() == {
        (key, body) for key, body in bare.items() if any(t.field.name == "conj_id" for t in key.match)
    }, "only the decisions differ"


def test_each_port_has_a_meter_for_each_queue_in_force_with_its_rate_in_kilobits_rounded_up():
    flows, ids = program(
        policy("p", "services: [tcp/80], queue: bulk") + policy("q", "services: [tcp/81], queue: gold")
    )
    wanted = {
        QUEUE_METERS + port * QUEUES + ids.number("queue", name): rate
        for port in (1, 2)
        for name, rate in (("bulk", 20_000), ("gold", 65))
    }
    assert {number: rate for number, rate in meters(flows).items() if number >= QUEUE_METERS} == wanted
    assert Outline.of(flows).meters == meters(flows)


def test_a_port_beyond_the_meters_has_no_queues():
    care = Care(shapes=(Shape(1, 10),))
    assert list(care.flows(Tended(MAX_OFPORT)))
    assert not list(care.flows(Tended(MAX_OFPORT + 1)))


def test_a_new_rate_changes_meters_and_nothing_of_the_rules():
    before = read(SHOP + policy("p", "queue: bulk"), source="test")
    queues = {**before.intents.queues, "bulk": dataclasses.replace(before.intents.queues["bulk"], max_rate=10**6)}
    engine = Engine(IdMap())
    engine.update(*before, [DPID], 0)
    outline = Outline.of(engine.program(DPID))
    done = engine.update(dataclasses.replace(before.intents, queues=queues), before.inventory, [DPID], 1)
    delta = done.deltas[DPID]
    assert not done.ids
    assert {flow.key.table for flow in (*delta.adds, *delta.changes)} == {Table.QUEUE}
    after = outline.after(delta)
    assert after.meters == meters(engine.program(DPID))
    assert {rate for number, rate in after.meters.items() if number >= QUEUE_METERS} == {1000}


def test_a_rule_that_names_what_there_is_not_is_no_program():
    example = read(SHOP + policy("p", "queue: bulk"), source="test")
    ids = allocate(*example, IdMap(), 0)
    with pytest.raises((CompileError, KeyError)):
        compile_program(dataclasses.replace(example.intents, queues={}), example.inventory, DPID, ids)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (policy("p", "services: [tcp/80], queue: bulk"), {Handling()}),
        (policy("p", "queue: bulk, mirror: ids"), {Handling("bulk", "ids")}),
        (policy("p", "queue: bulk") + policy("q", "queue: gold", order=999), {Handling("gold")}),
        (policy("p", "queue: bulk") + policy("q", "mirror: ids"), {Handling("bulk"), Handling(None, "ids"),
                                                                  Handling("bulk", "ids")}),
        (
            ONE_SIDED,
            {Handling("gold", "ids")},
        ),
    ],
)  # fmt: skip
def test_what_the_ingress_decider_says_goes_before_what_the_egress_decider_says(text, expected):
    assert handlings(text) == expected

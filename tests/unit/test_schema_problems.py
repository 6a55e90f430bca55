"""What the schema refuses is told with its place, its line and a remedy; hostile text costs little."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intent.schema import (
    MAX_BYTES,
    DocumentError,
    SyntaxRefusedError,
    dump_document,
    parse_documents,
    parse_single,
    to_intents,
)
from intent.schema.problems import MAX_PROBLEMS


def read(text):
    return parse_documents(text, source="t.yaml")


def test_plain_yaml_words_keep_their_meaning():
    (document,) = read("kind: Endpoint\nname: e\nlabels: {a: '80', b: no, c: on, d: 010}\nbinding: {ifaceId: 12:30:45}")
    assert document.labels == {"a": "80", "b": "no", "c": "on", "d": "010"}
    assert document.binding.iface_id == "12:30:45"


def problems(text):
    with pytest.raises(DocumentError) as caught:
        to_intents(read(text))
    return caught.value.problems


def test_every_problem_is_told_with_line_and_remedy():
    first, second, third = problems(
        "kind: Network\nname: n\npostur: deny\n---\nkind: Policy\nname: p\nrules:\n- action: allow\n"
        "  from:\n  - {grop: web}\n  services: [tcp/70000]\n"
    )
    assert (first.path, first.source, first.line, first.remedy) == (
        "Network/n.postur",
        "t.yaml",
        3,
        "did you mean `posture`?",
    )
    assert (second.path, second.line, second.remedy) == (
        "Policy/p.rules[0].from[0].grop",
        10,
        "did you mean `group`?",
    )
    assert (third.path, third.line) == ("Policy/p.rules[0].services[0]", 11)
    assert "1 to 65535" in third.remedy


def test_unknown_names_are_told_with_the_nearest_known_one():
    text = "- {kind: Group, name: web, members: [{world: true}]}\n"
    text += "- {kind: Group, name: all, members: [{group: wbe}, {group: nothing-like-it}]}"
    near, far = problems(text)
    assert (near.line, near.remedy) == (2, "did you mean `web`?")
    assert "kind: Group" in far.remedy


def test_a_cycle_is_shown():
    text = "".join(f"- {{kind: Group, name: g{i}, members: [{{group: g{(i + 1) % 3}}}]}}\n" for i in range(3))
    (cycle,) = problems(text)
    assert cycle.message == "the group contains itself: g0 -> g1 -> g2 -> g0"


def chain(length, member="{group: g%d}"):
    inner = "".join(f"- {{kind: Group, name: g{i}, members: [{member % (i + 1)}]}}\n" for i in range(length - 1))
    return inner + f"- {{kind: Group, name: g{length - 1}, members: [{{world: true}}]}}"


def test_groups_nest_up_to_a_bound():
    assert len(to_intents(read(chain(32))).groups) == 32
    (deep,) = problems(chain(33))
    assert (deep.path, deep.message) == ("Group/g0", "the group is nested more than 32 deep")
    assert len(problems(chain(3000))) > 1


def test_groups_that_would_mean_billions_are_refused():
    assert to_intents(read(chain(14, "{group: g%d}, {endpoint: e}")))
    bomb = "".join(
        f"- {{kind: Service, name: s{i}, matches: [{{service: s{i + 1}}}, {{service: s{i + 1}}}]}}\n" for i in range(30)
    )
    (first, *_) = problems(bomb + "- {kind: Service, name: s30, matches: [tcp]}")
    assert (first.path, "16384" in first.message) == ("Service/s16", True)


def test_a_document_may_leave_out_what_the_address_says():
    document = parse_single("posture: allow", ("Network", "n"), source="body")
    assert dump_document(document) == {"kind": "Network", "name": "n", "posture": "allow"}


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("kind: Group", "Network/n.kind"),
        ("name: m", "Network/n.name"),
        ("- {}\n- {}", "documents"),
        ("", "documents"),
        ("hello", "documents"),
    ],
)
def test_a_document_for_another_place_is_refused(text, path):
    with pytest.raises(DocumentError) as caught:
        parse_single(text, ("Network", "n"), source="body")
    assert caught.value.problems[0].path == path


def test_the_number_of_problems_is_bounded():
    text = "\n".join(f"- {{kind: Group, name: g{i}, members: [{{group: none-{i}}}]}}" for i in range(1000))
    assert len(problems(text)) == MAX_PROBLEMS
    assert len(problems(text.replace("group", "grop"))) == MAX_PROBLEMS


def test_a_text_over_the_limit_is_not_looked_at():
    with pytest.raises(SyntaxRefusedError, match="larger"):
        parse_documents(b"x" * (MAX_BYTES + 1), source="t")


def test_others_run_while_a_large_text_is_read():
    breaths = []
    text = "---\n".join(f"kind: Network\nname: n{i}\n" for i in range(500))
    parse_documents(text, source="t", breathe=lambda: breaths.append(1))
    assert len(breaths) > 20


def test_a_value_that_is_no_scalar_of_the_language_is_refused():
    endpoint = "kind: Endpoint\nname: e\nbinding: {ifaceId: e}\n"
    for field in ("addresses: [nonsense]", "addresses: ['fe80::1%eth0']", "addresses: ['::ffff:10.0.0.1']"):
        assert problems(endpoint + field)[0].path == "Endpoint/e.addresses[0]"
    assert problems(endpoint + "ports: {UPPER: tcp/80}")[0].path == "Endpoint/e.ports.UPPER"
    for cidr in ("nonsense", "10.0.0.0/255.0.0.0", "1:2:3/64"):
        text = f"{{kind: Network, name: n, subnets: ['{cidr}']}}"
        assert problems(text)[0].path == "Network/n.subnets[0]"
    for instant in ("2027-13-01T00:00:00Z", "2027-01-01"):
        assert problems(f"{{kind: Policy, name: p, rules: [{{action: deny}}], expires: {instant}}}")[0].path.endswith(
            "expires"
        )
    for match in ("icmp/8/0/0", "proto", "any/1", "tcp/", "tcp/ 80", "TCP/80", "tcp/80/", "tcp/٣", "proto/٣"):
        assert problems(f"{{kind: Service, name: s, matches: ['{match}']}}")[0].path == "Service/s.matches[0]"


@pytest.mark.parametrize("unit", ["[", "{a: ", "- ", "? ", "a: [b, ", '"', "&a [", "!!x "])
def test_hostile_text_is_refused_quickly(unit):
    began = time.process_time()
    with pytest.raises(SyntaxRefusedError):
        parse_documents((unit * (200_000 // len(unit))).encode(), source="t")
    assert time.process_time() - began < 5


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_text_is_read_or_refused(text):
    try:
        to_intents(parse_documents(text, source="t"))
    except DocumentError as error:
        assert error.problems  # noqa: PT017 (either outcome is right, no other is)


@pytest.mark.parametrize(
    "schedule",
    [
        "{zone: ../etc/passwd, windows: [{days: [monday], start: '09:00', end: '17:00'}]}",
        "{zone: UTC, windows: [{days: [monday], start: '09:00', end: '09:00'}]}",
        "{zone: UTC, windows: [{days: [monday], start: '9:00', end: '25:00'}]}",
    ],
)
def test_a_bad_schedule_is_refused(schedule):
    with pytest.raises(DocumentError, match="schedule"):
        read(f"{{kind: Policy, name: p, rules: [{{action: deny}}], schedule: {schedule}}}")


@pytest.mark.parametrize("clock", ["25:00", "8:30", "08:60", "24:01", "0\uff18:30", "08:30\\n"])
def test_a_time_of_day_is_asked_for_by_an_example(clock):
    window = f'{{days: [monday], start: "{clock}", end: "17:00"}}'
    schedule = f"{{zone: UTC, windows: [{window}]}}"
    (problem,) = problems(f"{{kind: Policy, name: p, rules: [{{action: deny}}], schedule: {schedule}}}")
    assert problem.path == "Policy/p.schedule.windows[0].start"
    assert problem.message.endswith("is no time of day")
    assert problem.remedy == "write it as `08:30`, from `00:00` to `24:00`"


def test_two_rules_of_one_name_and_a_subject_without_rules_are_refused():
    rules = "[{name: r, action: deny}, {name: s, action: deny}, {name: r, action: allow}]"
    assert [p.path for p in problems(f"{{kind: Policy, name: p, rules: {rules}}}")] == ["Policy/p.rules[2].name"]
    (alone,) = problems("{kind: Policy, name: p, subject: {labels: {a: b}}}")
    assert "directions" in alone.remedy


def test_json_is_bounded_as_yaml_is():
    for text in (
        json.dumps({f"k{n}": 1 for n in range(600)}),
        json.dumps({"kind": "Group", "name": "g", "members": [{"labels": {f"k{n}": "v" for n in range(600)}}]}),
    ):
        with pytest.raises(SyntaxRefusedError, match="512 keys"):
            read(text)

"""What a document is worth now, what was accepted with a warning, and deleting many at once."""

import dataclasses
import json
from datetime import timedelta

import pytest

from tests.unit.api_kit import SITE, Api, switch
from tests.unit.kubernetes_kit import CLUSTER
from topology.model import Report

RULE = "rules: [{name: r, action: allow}]"
HOURS = "schedule: {zone: Europe/Berlin, windows: [{days: [%s], start: '%s', end: '%s'}]}"
"""The clock of these tests stands at 12:00 on Monday, 1 June 2026; a zone is at UTC unless a test says more."""

NOT_IN_FORCE = [
    ("expires: 2026-06-01T11:59:59Z", "expired at 2026-06-01T11:59:59Z"),
    ("expires: 2026-06-01T12:00:00Z", "expired at 2026-06-01T12:00:00Z"),
    ("mode: 'off'", "off: it decides nothing"),
    ("mode: observe", "observed: it changes no verdict"),
    ("mode: observe, expires: 2026-01-01T00:00:00Z", "expired at 2026-01-01T00:00:00Z"),
    (HOURS % ("monday", "12:30", "13:00"), "outside its window until 2026-06-01 12:30 in Europe/Berlin"),
    (HOURS % ("monday", "08:00", "12:00"), "outside its window until 2026-06-08 08:00 in Europe/Berlin"),
    (HOURS % ("friday, sunday", "22:00", "02:00"), "outside its window until 2026-06-05 22:00 in Europe/Berlin"),
    (HOURS % ("monday", "24:00", "01:00"), "outside its window until 2026-06-02 00:00 in Europe/Berlin"),
    (
        HOURS % ("tuesday", "08:00", "09:00") + ", expires: 2026-06-02T08:00:00Z",
        "outside its window, and it expires at 2026-06-02T08:00:00Z, before the next one",
    ),
]
IN_FORCE = [
    "order: 7",
    "expires: 2026-06-01T12:00:01Z",
    HOURS % ("monday", "12:00", "12:01"),
    HOURS % ("sunday", "13:00", "12:30"),
]


@pytest.fixture
def api(tmp_path):
    api = Api(tmp_path)
    assert api.apply(SITE).status_code == 200
    api.world.switch_list = [switch(1, 1)]
    return api


def standing(api, kind, name):
    intents = api.get("/v1/status").json["intents"]
    (found,) = [(i["inForce"], i["note"]) for i in intents if (i["kind"], i["name"]) == (kind, name)]
    return found


@pytest.mark.parametrize(("fields", "note"), NOT_IN_FORCE, ids=[note for _, note in NOT_IN_FORCE])
def test_a_policy_that_does_not_count_says_why(api, fields, note):
    assert api.apply(f"{{kind: Policy, name: p, {RULE}, {fields}}}").status_code == 200
    assert standing(api, "Policy", "p") == (False, note)
    alone = api.get("/v1/policies/p/status").json
    assert (alone["inForce"], alone["note"]) == (False, note)


@pytest.mark.parametrize("fields", IN_FORCE)
def test_a_policy_that_counts_has_nothing_to_say(api, fields):
    assert api.apply(f"{{kind: Policy, name: p, {RULE}, {fields}}}").status_code == 200
    assert standing(api, "Policy", "p") == (True, "")


def test_a_window_opens_by_the_clock_of_its_zone(api, monkeypatch):
    monkeypatch.setattr(api.world, "offsets", lambda zones, _now: dict.fromkeys(zones, timedelta(hours=13)))
    api.apply(f"{{kind: Policy, name: p, {RULE}, {HOURS % ('tuesday', '08:00', '09:00')}}}")
    assert standing(api, "Policy", "p") == (False, "outside its window until 2026-06-02 08:00 in Europe/Berlin")


def test_an_endpoint_that_is_not_there_says_why(api):
    assert standing(api, "Endpoint", "web-1") == (True, "")
    for name, binding in (("new-1", "{ifaceId: n}"), ("gone", "{ifaceId: g}"), ("far", "{bridge: b, interface: v7}")):
        api.apply(f"{{kind: Endpoint, name: {name}, network: shop, binding: {binding}}}")
    unaddressed = "it has no address yet: it is denied until one is declared or learned"
    assert standing(api, "Endpoint", "new-1") == (False, unaddressed)
    assert standing(api, "Endpoint", "gone") == (False, "no port of ours is iface-id g: it is not plugged in")
    assert standing(api, "Endpoint", "far") == (False, "no port of ours is b/v7: it is not plugged in")
    lost = Report("endpoint gone", "10.1.0.1 is held by endpoint web-1", "change one")
    api.world.present = dataclasses.replace(api.world.present, reports=(lost,))
    assert standing(api, "Endpoint", "gone") == (False, "10.1.0.1 is held by endpoint web-1")


def test_the_description_has_both_fields(api):
    schema = api.get("/openapi.json").json["components"]["schemas"]["IntentStatusAnswer"]["properties"]
    assert schema["inForce"]["type"] == "boolean"
    assert "Why" in schema["note"]["description"]


# -- warnings ----------------------------------------------------------------------------------


@pytest.mark.parametrize("query", [{}, {"dry_run": "1"}])
def test_a_policy_that_is_over_is_accepted_with_a_warning(api, query):
    over = f"kind: Policy\nname: p\n{RULE}\nexpires: 2026-06-01T12:00:00Z"
    answer = api.apply(over, **query)
    assert answer.status_code == 200
    (warning,) = answer.json["warnings"]
    assert (warning["path"], warning["line"]) == ("Policy/p.expires", 4)
    assert warning["message"] == "it expired at 2026-06-01T12:00:00Z: the policy is not in force"
    assert warning["remedy"]
    assert api.apply(over.replace("12:00:00Z", "12:00:01Z"), **query).json["warnings"] == []


def kubernetes(api, *objects, **query):
    return api.client.simulate_post("/v1/import/kubernetes", body=json.dumps(objects), params=query).json


def test_pods_that_an_import_moves_are_told_of(api):
    assert kubernetes(api, *CLUSTER)["warnings"] == []
    moved, unused = kubernetes(api, *CLUSTER[:3], network="blue")["warnings"], "no document uses it any more"
    assert [w["path"] for w in moved] == ["Network/pods"]
    assert moved[0]["message"].startswith("1 endpoint moves from it to `blue`: x.a")
    assert unused not in moved[0]["message"]
    last = kubernetes(api, *CLUSTER, network="blue", dry_run="1")["warnings"]
    assert [w["path"] for w in last] == ["Network/pods", "Network/pods"]
    assert last[0]["message"].startswith("2 endpoints move from it to `blue`: x.b, y.a")
    assert (last[1]["message"], last[1]["remedy"]) == (unused, "delete it, unless ports name it themselves")
    assert kubernetes(api, *CLUSTER, network="blue")["committed"]
    assert kubernetes(api, *CLUSTER, network="blue")["warnings"] == []


# -- networks that there are not ---------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/matrix?service=icmp&network=", "/v1/live/endpoints?network="])
def test_a_network_that_is_unknown_is_no_empty_answer(api, path):
    assert api.get(path + "shop").status_code == 200
    answer = api.get(path + "shpo")
    assert answer.status_code == 422
    (error,) = answer.json["errors"]
    assert error["path"] == "query.network"
    assert error["message"] == "there is no network 'shpo'"
    assert error["remedy"] == "did you mean `shop`?"
    assert api.get(path + "elsewhere").json["errors"][0]["remedy"] == "there are office, shop"


# -- deleting many -----------------------------------------------------------------------------


def delete(api, body, **query):
    return api.client.simulate_post("/v1/delete", body=body, params=query)


def test_many_documents_are_deleted_as_one_revision(api):
    answer = delete(api, SITE, author="ann", message="all of it")
    assert (answer.status_code, answer.json["revision"]) == (200, 2)
    assert {d["outcome"] for d in answer.json["documents"]} == {"deleted"}
    assert api.store.documents() == []
    assert api.store.revisions()[0].message == "all of it"


def test_deleting_reads_only_kind_and_name(api):
    twice = '[{"kind": "Policy", "name": "web-to-app", "x": 1}, {"kind": "Policy", "name": "web-to-app"}]'
    assert [d["name"] for d in delete(api, twice).json["documents"]] == ["web-to-app"]


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        ("kind: Group\nname: web", 422, "Policy/web-to-app.rules[0].from[0].group"),
        ("---", 400, "body"),
        ("3", 422, "documents[0]"),
        ("- kind: Group\n  name: web\n- name: x", 422, "documents[1].kind"),
        ("kind: Grup\nname: web", 422, "documents[0].kind"),
        ("kind: Group", 422, "documents[0].name"),
        ("kind: Group\nname: [web]", 422, "documents[0].name"),
        ("kind: Group\nname: " + "x" * 254, 422, "documents[0].name"),
        ("a: &b 1", 400, "documents[0].a"),
    ],
)
def test_what_cannot_be_deleted_deletes_nothing(api, body, status, path):
    before = api.contents()
    answer = delete(api, body)
    assert (answer.status_code, answer.json["errors"][0]["path"]) == (status, path), answer.text
    assert api.contents() == before


def test_every_document_that_is_missing_is_named_and_may_be_ignored(api):
    before = api.contents()
    names = "kind: Group\nname: wbe\n---\nkind: Policy\nname: web-to-app\n---\nkind: Service\nname: none"
    answer = delete(api, names)
    assert answer.status_code == 404
    assert [(e["path"], e["line"]) for e in answer.json["errors"]] == [("Group/wbe", 1), ("Service/none", 7)]
    assert answer.json["errors"][0]["remedy"] == "did you mean `web`?"
    assert api.contents() == before
    ignored = delete(api, names, missing="ignore").json
    assert [d["name"] for d in ignored["documents"]] == ["web-to-app"]
    nothing = delete(api, names, missing="ignore").json
    assert (nothing["documents"], nothing["committed"]) == ([], False)


def test_a_dry_run_of_a_deletion_changes_nothing(api):
    before = api.contents()
    answer = delete(api, "kind: Policy\nname: web-to-app", dry_run="1").json
    assert (answer["revision"], answer["committed"]) == (2, False)
    assert api.contents() == before


# -- counters ----------------------------------------------------------------------------------


def test_a_counted_rule_is_shown_with_its_action(api):
    rules = api.get("/v1/counters").json["rules"]
    assert {r["action"] for r in rules} == {None}, "no policy of now has a rule of that name"
    api.apply(SITE.replace("name: ask", "name: r"))
    rules = api.get("/v1/counters").json["rules"]
    assert {r["action"] for r in rules} == {"allow"}

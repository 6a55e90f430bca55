"""A revision is taken back wholly or not at all, and a dry run shows what would be otherwise."""

import pytest

from intent.store import Store
from tests.unit.api_kit import Api

GROUP = "{kind: Group, name: web, members: [{labels: {tier: %s}}]}"
USER = "{kind: Policy, name: p, rules: [{action: allow, from: [{group: web}]}]}"


@pytest.fixture
def api(tmp_path):
    api = Api(tmp_path)
    yield api
    api.store.close()


def applied(api, text, **query):
    answer = api.apply(text, **query)
    assert answer.status_code == 200, answer.text
    return answer.json


def revert(api, number, **query):
    return api.client.simulate_post(f"/v1/revisions/{number}/revert", params=query)


def groups(api):
    return [item["document"] for item in api.get("/v1/groups").json["items"]]


def test_what_was_created_is_deleted_and_what_was_changed_or_deleted_is_as_before(api):
    applied(api, GROUP % "a")
    first = groups(api)
    applied(api, f"{GROUP % 'b'}\n---\n{{kind: Service, name: s, matches: [tcp/1]}}")
    assert revert(api, 2, author="ann", message="oops").status_code == 200
    assert groups(api) == first
    assert api.get("/v1/services").json["items"] == []
    newest = api.get("/v1/revisions", limit=1).json["items"][0]
    assert (newest["number"], newest["author"], newest["message"]) == (3, "ann", "oops")
    assert revert(api, 3).json["revision"] == 4  # a revert is a revision as any other
    assert groups(api) == [{**first[0], "members": [{"labels": {"tier": "b"}}]}]
    api.client.simulate_delete("/v1/groups/web")
    assert revert(api, 5).json["documents"][0]["outcome"] == "created"


def test_what_is_back_already_changes_nothing(api):
    applied(api, GROUP % "a")
    assert revert(api, 1).json["committed"]
    answer = revert(api, 1)
    assert (answer.status_code, answer.json["committed"], answer.json["documents"]) == (200, False, [])


def test_a_document_that_changed_again_keeps_the_revision_in_force(api):
    applied(api, GROUP % "a")
    applied(api, f"{GROUP % 'b'}\n---\n{{kind: Service, name: s, matches: [tcp/1]}}")
    applied(api, GROUP % "c")
    before = api.contents()
    answer = revert(api, 2)
    assert answer.status_code == 412
    (error,) = answer.json["errors"]
    assert error["path"] == "Group/web"
    assert "revert the later revision first" in error["remedy"]
    assert api.contents() == before


@pytest.mark.parametrize("created", [True, False])
def test_a_document_that_changes_while_it_is_taken_back_keeps_that(api, monkeypatch, created):
    """Between what is read of it and the write another write may come."""
    applied(api, GROUP % "a")
    if not created:
        applied(api, GROUP % "b")
    apply = Store.apply

    def late(store, *changes, **about):
        monkeypatch.setattr(Store, "apply", apply)
        applied(api, GROUP % "c")
        return apply(store, *changes, **about)

    monkeypatch.setattr(Store, "apply", late)
    assert revert(api, 1 if created else 2).status_code == 412
    assert groups(api)[0]["members"] == [{"labels": {"tier": "c"}}]


def test_others_run_while_much_is_taken_back(api):
    applied(api, "\n---\n".join(f"{{kind: Service, name: s{n}, matches: [tcp/1]}}" for n in range(100)))
    before = api.world.breaths
    assert revert(api, 1).json["committed"]
    assert api.world.breaths - before == 5


def test_what_others_name_is_not_taken_from_them(api):
    applied(api, GROUP % "a")
    applied(api, USER)
    before = api.contents()
    answer = revert(api, 1)
    assert (answer.status_code, answer.json["errors"][0]["path"]) == (422, "Policy/p.rules[0].from[0].group")
    assert api.contents() == before


@pytest.mark.parametrize("number", ["0", "2", "x", "-1", "1.0", "9" * 400, "٣"])
def test_a_revision_that_there_is_not(api, number):
    applied(api, GROUP % "a")
    assert revert(api, number).status_code == 404


def test_a_dry_run_says_what_would_be_otherwise_and_changes_nothing(api):
    applied(api, f"{GROUP % 'a'}\n---\n{{kind: Service, name: s, matches: [tcp/1]}}")
    before = api.contents()
    answer = applied(api, f"{GROUP % 'b'}\n---\n{{kind: Service, name: s, matches: [tcp/1]}}", dry_run="1")
    (change,) = answer["changes"]
    assert (change["kind"], change["name"]) == ("Group", "web")
    assert change["before"]["members"] == [{"labels": {"tier": "a"}}]
    assert change["after"]["members"] == [{"labels": {"tier": "b"}}]
    gone = revert(api, 1, dry_run="1").json["changes"]
    assert {(c["name"], c["after"]) for c in gone} == {("s", None), ("web", None)}
    assert api.contents() == before
    assert applied(api, GROUP % "b")["changes"] == []


def test_the_store_may_be_held_to_a_revision(api):
    applied(api, GROUP % "a")
    assert revert(api, 1, expected_revision=7).status_code == 412

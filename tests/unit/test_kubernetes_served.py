"""Importing over REST and from the command line."""

import dataclasses
import json

import pytest
import yaml

from cli.exits import Exit
from cli.main import main
from intent.api import Limits, Ports, make_app
from intent.store import Store
from tests.unit.api_kit import Api
from tests.unit.cli_kit import TOKEN, World, served
from tests.unit.kubernetes_kit import CLUSTER, cluster_policy, policy

DENY = {"action": "Deny", "from": [{"namespaces": {}}]}
PATH = "/v1/import/kubernetes"


def body(*objects):
    return json.dumps([*objects])


@pytest.fixture
def api(tmp_path):
    return Api(tmp_path)


def post(api, *objects, **query):
    return api.client.simulate_post(PATH, body=body(*objects), params=query)


def test_objects_are_put_as_one_revision_and_again_as_none(api):
    answer = post(api, *CLUSTER, policy({"podSelector": {}}), author="ann").json
    assert (answer["revision"], answer["committed"]) == (1, True)
    made = {f"{d['kind']}/{d['name']}" for d in answer["documents"]}
    assert made == {"Tiers/default", "Network/pods", "Endpoint/x.a", "Endpoint/x.b", "Endpoint/y.a", "Policy/np.x.p"}
    again = post(api, *CLUSTER, policy({"podSelector": {}})).json
    assert (again["revision"], again["committed"]) == (1, False)
    nothing = post(api, CLUSTER[0])
    assert (nothing.status_code, nothing.json["committed"]) == (200, False)


def test_rules_that_are_gone_are_deleted_in_the_same_revision(api):
    post(api, cluster_policy(ingress=[DENY, DENY]))
    answer = post(api, cluster_policy(ingress=[DENY])).json
    outcomes = {d["name"]: d["outcome"] for d in answer["documents"]}
    assert outcomes == {"cnp.c.ingress-0": "unchanged", "cnp.c.ingress-1": "deleted"}
    assert answer["revision"] == 2


def test_a_refusal_names_the_path_and_changes_nothing(api):
    post(api, *CLUSTER)
    before = api.contents()
    answer = post(api, policy({"podSelector": {}, "ingress": [{"ports": [{"port": 0}]}]}), policy({}, name="q"))
    assert answer.status_code == 422
    assert answer.json["errors"][0]["path"] == "NetworkPolicy/x/p.spec.ingress[0].ports[0].port"
    assert api.client.simulate_post(PATH, body="a: &b 1").status_code == 400
    assert api.client.simulate_post(PATH, body="---").status_code == 400
    assert post(api, *CLUSTER, network="No!").status_code == 422
    assert post(api, *CLUSTER, color="red").status_code == 400
    assert post(api, *CLUSTER, network="other", dry_run="1").json["committed"] is False
    assert api.contents() == before


def test_what_is_written_meanwhile_counts(api, monkeypatch):
    def write():
        assert api.apply("{kind: Network, name: pods}").status_code == 200

    # The first breath is taken before the objects are read, the second before they are translated.
    moments = iter([None, write])

    def breathe():
        if (happens := next(moments, None)) is not None:
            happens()

    monkeypatch.setattr(api.world, "breathe", breathe)
    answer = post(api, *CLUSTER)
    assert answer.status_code == 422
    assert answer.json["errors"][0]["path"] == "Network/pods.posture"


def test_openapi_shows_it(api):
    assert "requestBody" in api.get("/openapi.json").json["paths"][PATH]["post"]


def test_the_command_sends_files_and_says_what_became_of_them(tmp_path, monkeypatch, capsys):
    with Store(tmp_path / "store.db") as store:
        world = World(store)
        others = (world,) * (len(dataclasses.fields(Ports)) - 1)
        app = make_app(Ports(store, *others), token=TOKEN, limits=Limits())
        (tmp_path / "token").write_text(TOKEN)
        monkeypatch.setenv("RINGFENCE_TOKEN_FILE", str(tmp_path / "token"))
        cluster, bad = tmp_path / "cluster.yaml", tmp_path / "bad.yaml"
        cluster.write_text(yaml.safe_dump_all(CLUSTER))
        bad.write_text(yaml.safe_dump(policy({"podSelector": {}, "ingres": []})))
        with served(app) as url:
            monkeypatch.setenv("RINGFENCE_SERVER", url)
            assert main(["import", "k8s", str(cluster), "--network", "blue", "--wait", "-m", "moved"]) == Exit.OK
            assert "Endpoint/x.a created" in capsys.readouterr().out
            assert main(["import", "k8s", str(cluster), str(bad)]) == Exit.REFUSED
            said = capsys.readouterr().err
            assert "NetworkPolicy/x/p.spec.ingres" in said
            assert "bad.yaml:" in said
            assert store.revision == 1
            assert main(["import", "nova", str(cluster)]) == Exit.USAGE
        assert not world.faults
        assert store.revisions()[0].message == "moved"

"""The API does what /openapi.json says: documents, revisions, status, verdicts."""

import re

import pytest

from intent.api import Limits, make_app
from intent.api.operations import OPERATIONS
from intent.schema import StoreUnavailableError
from tests.unit.api_kit import SITE, Api, switch


@pytest.fixture
def api(tmp_path):
    api = Api(tmp_path)
    assert api.apply(SITE).status_code == 200
    return api


def test_apply_says_what_became_of_each_document(tmp_path):
    api = Api(tmp_path)
    first = api.apply(SITE, author="ann", message="begin").json
    assert (first["revision"], first["committed"]) == (1, True)
    assert {d["outcome"] for d in first["documents"]} == {"created"}
    again = api.apply(SITE).json
    assert (again["revision"], again["committed"]) == (1, False)
    assert {d["outcome"] for d in again["documents"]} == {"unchanged"}
    third = api.apply(SITE.replace("name: office", "name: office, posture: allow")).json
    assert [d["name"] for d in third["documents"] if d["outcome"] == "changed"] == ["office"]
    assert third["revision"] == 2
    page = api.get("/v1/revisions", limit=1).json
    assert page["before"] == 2
    assert page["items"][0]["changes"] == [
        {
            "kind": "Network",
            "name": "office",
            "before": {"kind": "Network", "name": "office"},
            "after": {"kind": "Network", "name": "office", "posture": "allow"},
        }
    ]
    oldest = api.get("/v1/revisions", before=2).json
    assert oldest["before"] is None
    assert [(r["author"], r["message"], r["at"]) for r in oldest["items"]] == [("ann", "begin", "2026-06-01T12:00:00Z")]


def test_apply_reads_json_too(tmp_path):
    api = Api(tmp_path)
    answer = api.apply('[{"kind": "Network", "name": "n"}, {"kind": "Network", "name": "m"}]')
    assert [d["name"] for d in answer.json["documents"]] == ["n", "m"]


def test_a_dry_run_answers_alike_and_changes_nothing(api):
    before = api.contents()
    answer = api.apply("{kind: Network, name: lab}", dry_run="1").json
    assert answer["documents"] == [{"kind": "Network", "name": "lab", "outcome": "created", "revision": 2}]
    assert (answer["committed"], answer["dryRun"], answer["realized"]) == (False, True, None)
    assert api.contents() == before


def test_apply_waits_until_the_switches_confirmed(api):
    api.world.switch_list = [switch(1, 1), switch(2, 1)]
    answer = api.apply("{kind: Network, name: lab}", wait="realized", timeout="2.5").json
    assert api.world.waits == [(2, 2.5)]
    assert answer["realized"] == {"phase": "realized", "realized": 2, "switches": 2, "reason": ""}
    pending = api.apply("{kind: Network, name: lab2}").json["realized"]
    assert (pending["phase"], pending["realized"]) == ("pending", 0)


def test_status_is_realized_only_when_every_switch_confirmed(api):
    def phase():
        status = api.get("/v1/policies/web-to-app/status").json
        return status["phase"], status["realized"], status["switches"], status["reason"]

    assert phase() == ("pending", 0, 0, "no switch is managed yet")
    api.world.switch_list = [switch(1, 1), switch(2, None)]
    assert phase() == ("pending", 1, 2, "")
    api.world.switch_list = [switch(1, 1), switch(2, 0, problem="table full")]
    assert phase() == ("failed", 1, 2, "switch 0000000000000002: table full")
    api.world.switch_list = [switch(1, 1), switch(2, 1)]
    assert phase() == ("realized", 2, 2, "")
    api.world.failed = {("Policy", "web-to-app"): "too many bands"}
    assert phase() == ("failed", 2, 2, "Policy/web-to-app: too many bands")
    whole = api.get("/v1/status").json
    assert (whole["revision"], whole["endpoints"], whole["realized"]["phase"]) == (1, 3, "failed")
    assert {i["name"]: i["phase"] for i in whole["intents"]}["shop"] == "realized"


def test_a_document_is_put_read_and_deleted_under_its_etag(api):
    created = api.client.simulate_put("/v1/groups/db", body="members: [{labels: {tier: db}}]")
    assert (created.status_code, created.headers["etag"]) == (201, '"2"')
    read = api.get("/v1/groups/db")
    assert read.headers["etag"] == '"2"'
    assert read.json["document"] == {"kind": "Group", "name": "db", "members": [{"labels": {"tier": "db"}}]}
    same = api.client.simulate_put("/v1/groups/db", json=read.json["document"], headers={"If-Match": '"2"'})
    assert (same.status_code, same.json["committed"]) == (200, False)
    changed = api.client.simulate_put(
        "/v1/groups/db", json={"members": [{"world": True}]}, headers={"If-Match": "*"}, params={"author": "bob"}
    )
    assert (changed.status_code, changed.headers["etag"]) == (200, '"3"')
    listed = api.get("/v1/groups").json
    assert [item["document"]["name"] for item in listed["items"]] == ["db", "web"]
    stale = api.client.simulate_delete("/v1/groups/db", headers={"If-Match": '"2"'})
    assert stale.status_code == 412
    deleted = api.client.simulate_delete("/v1/groups/db", headers={"If-Match": '"3"'})
    assert deleted.json["documents"][0]["outcome"] == "deleted"
    assert api.get("/v1/groups/db").status_code == 404
    recreated = api.client.simulate_put(
        "/v1/groups/db", body="members: [{world: true}]", headers={"If-None-Match": "*"}
    )
    assert recreated.status_code == 201


def test_live_endpoints_and_switches_are_listed(api):
    api.world.switch_list = [switch(0xAB, 1, flows=90)]
    live = api.get("/v1/live/endpoints").json
    assert [e["name"] for e in live["items"]] == ["app-1", "new-1", "pc-1", "web-1"]
    assert live["items"][0]["addresses"] == ["10.1.0.2", "fd00:1::2"]
    assert live["items"][0]["ports"] == {"http": ["tcp/8000"]}
    assert live["items"][0]["location"] == {"dpid": "0000000000000001", "ofport": 2, "interface": "v2"}
    assert live["reports"][0]["remedy"] == "give it its own"
    assert [e["name"] for e in api.get("/v1/live/endpoints", network="office").json["items"]] == ["pc-1"]
    assert api.get("/v1/switches").json["items"][0] == {
        "dpid": "00000000000000ab",
        "bridge": "br-ring",
        "host": "tcp:h",
        "connected": True,
        "revision": 1,
        "flows": 90,
        "problem": "",
        "portless": None,
    }


def verdict(api, from_, to, service, **more):
    answer = api.get("/v1/verdict", **{"from": from_, "to": to, "service": service}, **more)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_a_verdict_names_the_deciding_rule_on_both_sides(api):
    answer = verdict(api, "web-1", "app-1", "tcp/8080")
    assert answer["verdict"] == "allow"
    (opening,) = answer["openings"]
    assert (opening["from"], opening["to"]) == (
        {"address": "10.1.0.1", "endpoint": "web-1"},
        {"address": "10.1.0.2", "endpoint": "app-1"},
    )
    rule = {"policy": "web-to-app", "rule": "ask", "owner": "shop-team", "description": "web may ask app"}
    rule |= {"queue": None, "mirror": None}
    assert opening["egress"]["rules"] == opening["ingress"]["rules"] == [rule]
    assert (opening["ingress"]["tier"], opening["ingress"]["order"]) == ("application", 1000)


def test_a_verdict_by_posture_names_the_network(api):
    (opening,) = verdict(api, "app-1", "10.1.0.1", "tcp/80")["openings"]
    assert (opening["verdict"], opening["decidedBy"]) == ("deny", "egress")
    assert (opening["egress"]["by"], opening["egress"]["network"]) == ("posture", "shop")


def test_a_verdict_about_world_has_one_judgement(api):
    (opening,) = verdict(api, "10.9.9.9", "app-1", "tcp/http")["openings"]
    assert (opening["from"]["endpoint"], opening["egress"], opening["verdict"]) == (None, None, "deny")


def test_a_verdict_by_isolation_names_its_policies(api):
    api.apply(
        "- {kind: Tiers, name: default, tiers: [{name: application}, {name: pods, isolating: true}]}\n"
        "- {kind: Policy, name: lock, tier: pods, subject: {labels: {tier: app}}, directions: [ingress]}"
    )
    (opening,) = verdict(api, "web-1", "app-1", "icmp")["openings"]
    assert opening["ingress"] == {
        "action": "deny",
        "by": "isolation",
        "tier": "pods",
        "order": None,
        "rules": [],
        "isolatedBy": ["lock"],
        "network": None,
    }


def test_a_verdict_on_a_service_judges_each_of_its_matches(api):
    answer = verdict(api, "web-1", "app-1", "web")
    assert [(o["service"], o["verdict"]) for o in answer["openings"]] == [("tcp/80", "allow"), ("tcp/http", "allow")]
    api.apply(
        "{kind: Service, name: two, matches: [tcp/80, {service: three}]}\n---\n"
        "{kind: Service, name: three, matches: [udp/53]}"
    )
    assert verdict(api, "web-1", "app-1", "two")["verdict"] == "mixed"


def test_a_packet_that_opens_nothing_is_denied_and_says_so(api):
    (opening,) = verdict(api, "web-1", "app-1", "icmp/0")["openings"]
    assert (opening["verdict"], opening["reason"]) == ("deny", "no packet of this kind opens a connection")


def test_nothing_passes_between_networks(api):
    answer = verdict(api, "web-1", "pc-1", "tcp/80")
    assert answer["verdict"] == "deny"
    assert "different networks" in answer["reason"]


def test_a_router_lets_policy_decide_between_networks(api):
    api.apply(
        "{kind: Network, name: shop, subnets: [10.1.0.0/24], gateways: [10.1.0.254]}\n---\n"
        "{kind: Network, name: office, subnets: [10.9.0.0/24], gateways: [10.9.0.254]}\n---\n"
        "{kind: Router, name: edge, networks: [shop, office]}"
    )
    (opening,) = verdict(api, "web-1", "pc-1", "tcp/80")["openings"]
    assert (opening["verdict"], opening["decidedBy"], opening["egress"]["network"]) == ("deny", "egress", "shop")
    assert api.get("/v1/matrix", service="tcp/8080").json["verdicts"][2][1] == "deny"
    assert [item["document"]["name"] for item in api.get("/v1/routers").json["items"]] == ["edge"]


def test_the_network_settles_an_ambiguous_pair_of_addresses(api):
    (opening,) = verdict(api, "10.1.0.1", "10.1.0.3", "tcp/80", network="shop")["openings"]
    assert (opening["from"]["endpoint"], opening["to"]["endpoint"]) == ("web-1", None)


def test_the_matrix_has_a_cell_for_each_pair(api):
    before = api.world.breaths
    answer = api.get("/v1/matrix", service="tcp/8080").json
    assert answer["endpoints"] == ["app-1", "pc-1", "web-1"]
    assert answer["verdicts"] == [
        ["-", "unreachable", "deny"],
        ["unreachable", "-", "unreachable"],
        ["allow", "unreachable", "-"],
    ]
    assert api.world.breaths - before == 3
    assert api.get("/v1/matrix", service="tcp/8080", network="shop").json["verdicts"] == [["-", "deny"], ["allow", "-"]]
    assert api.get("/v1/matrix", service="tcp/http").json["verdicts"][0][2] == "unreachable"


def test_a_matrix_too_large_is_refused(tmp_path):
    api = Api(tmp_path, Limits(matrix_pairs=4))
    answer = api.get("/v1/matrix", service="tcp/80")
    assert (answer.status_code, answer.json["errors"][0]["path"]) == (422, "query.network")


def test_a_full_disk_is_a_503(api, monkeypatch):
    def full(*_args, **_kwargs):
        raise StoreUnavailableError("disk full")

    monkeypatch.setattr(api.store, "apply", full)
    answer = api.apply("{kind: Network, name: lab}")
    assert (answer.status_code, answer.json["errors"][0]["message"]) == (503, "disk full")


def test_health_and_description_need_no_token(api):
    for path in ("/v1/health", "/openapi.json"):
        assert api.client.simulate_get(path, headers={"Authorization": ""}).status_code == 200


def test_a_short_token_is_refused():
    with pytest.raises(ValueError, match="token"):
        make_app(None, token="short")


def test_the_description_has_every_route_and_every_route_answers(api):
    described = api.get("/openapi.json").json
    assert (described["openapi"], described["info"]["version"]) == ("3.1.0", "1.2.3")
    assert set(described["paths"]) == set(OPERATIONS)
    for path, methods in OPERATIONS.items():
        for method in ("GET", "PUT", "POST", "DELETE"):
            answer = api.client.simulate_request(method, path.replace("{name}", "nothing"), headers={"If-Match": "x"})
            assert (answer.status_code == 405) == (method not in methods), (method, path, answer.status_code)
    schemas = described["components"]["schemas"]
    references = set(re.findall(r"#/components/schemas/([A-Za-z]+)", api.get("/openapi.json").text))
    assert references <= set(schemas)
    assert schemas["PolicyDoc"]["additionalProperties"] is False

"""`ringfence why` tells what stops a connection from what is only odd; a table of answers stands for the controller."""

import copy
import json

import pytest

from cli.answer import Answer
from cli.exits import Exit, Failure
from cli.parser import build
from cli.why import why

SINCE = "2026-01-01T00:00:00Z"


def party(name: str, address: str) -> dict:
    return {"endpoint": name, "address": address}


def end(name: str, number: int) -> dict:
    return {
        "name": name,
        "state": "up",
        "since": SINCE,
        "labels": {"tier": name[:-2], "ringfence/name": name},
        "addresses": [f"10.1.0.{number}"],
        "host": "h1",
        "dpid": "00ab",
        "interface": f"v{number}",
    }


RULE = {"policy": "to-db", "rule": "sql", "owner": "ops", "description": ""}
ALLOW = {"action": "allow", "by": "rules", "tier": "application", "order": 1000, "rules": [RULE], "isolatedBy": []}
POSTURE = {"action": "deny", "by": "posture", "network": "shop", "rules": [], "isolatedBy": []}
OPENING = {
    "from": party("app-1", "10.1.0.1"),
    "to": party("db-1", "10.1.0.2"),
    "service": "tcp/5432",
    "verdict": "allow",
    "decidedBy": "ingress",
    "egress": ALLOW,
    "ingress": ALLOW,
}
DENIED = {**OPENING, "verdict": "deny", "decidedBy": "egress", "egress": POSTURE, "ingress": POSTURE}
NEAR = {"policy": "p", "rule": "r", "owner": "", "differs": "to", "says": "tier=web"}


class Controller:
    """Answers from a table; a value that is a failure is raised."""

    def __init__(self) -> None:
        table = {
            "/v1/verdict": {"verdict": "allow", "reason": "", "openings": [OPENING]},
            "/v1/status": {"revision": 7, "reports": []},
            "/v1/topology": {"endpoints": [end("app-1", 1), end("db-1", 2), end("web-1", 3)]},
            "/v1/switches": {"items": [self.switch("00ab"), {**self.switch("00cd"), "connected": False}]},
            "/v1/revisions": {"items": [{"number": 7, "at": SINCE, "author": "ann", "changes": [], "message": "lock"}]},
            "/v1/endpoints/app-1/counters": {"since": SINCE, "rates": {"rxPackets": 2.0}, "reasons": []},
        }
        unknown = Failure(Exit.NOT_FOUND, "nothing is known yet")
        self.answers = copy.deepcopy(table) | {"/v1/endpoints/db-1/counters": unknown}

    @staticmethod
    def switch(dpid: str) -> dict:
        return {"dpid": dpid, "bridge": "br", "host": "h1", "connected": True, "revision": 7, "problem": ""}

    def get(self, path: str, _query: object = None) -> Answer:
        found = self.answers[path]
        if isinstance(found, Failure):
            raise found
        return Answer(found, path)


@pytest.fixture
def controller() -> Controller:
    return Controller()


def asked(controller: Controller, capsys, *more: str) -> tuple[Exit, str]:
    code = why(controller, build().parse_args(["why", "app-1", "db-1", "tcp/5432", *more]))
    return code, capsys.readouterr().out


def test_what_is_allowed_and_whole_says_where_else_to_look(controller, capsys):
    code, out = asked(controller, capsys)
    assert code == Exit.OK
    assert "ALLOWED: policy allows it, and the switches hold what policy says" in out
    assert "app-1     up" in out
    assert "web-1" not in out
    assert "lock" in out


def test_a_denial_by_posture_points_at_the_nearest_rule(controller, capsys):
    controller.answers["/v1/verdict"] = {"verdict": "deny", "openings": [{**DENIED, "nearest": [NEAR]}]}
    code, out = asked(controller, capsys)
    assert code == Exit.NEGATIVE
    assert "nearest: rule r of policy p allows, but its `to` is tier=web" in out
    assert "STOPS IT: no rule allows it" in out
    assert "ALLOWED" not in out


def test_a_denial_by_a_rule_names_its_policy(controller, capsys):
    opening = {**DENIED, "egress": {**ALLOW, "action": "deny"}}
    controller.answers["/v1/verdict"] = {"verdict": "deny", "openings": [opening]}
    assert "STOPS IT: policy denies it: to-db\n  see `ringfence get policy to-db`" in asked(controller, capsys)[1]


def test_networks_that_are_apart_stop_it(controller, capsys):
    controller.answers["/v1/verdict"] = {"verdict": "deny", "reason": "different networks", "openings": []}
    assert "STOPS IT: different networks" in asked(controller, capsys)[1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"connected": False}, "is away"),
        ({"problem": "refused"}, "refused"),
        ({"revision": 6}, "not yet at revision 7"),
        ({"revision": None}, "not yet at revision 7"),
    ],
    ids=["away", "problem", "behind", "never"],
)
def test_a_switch_that_does_not_hold_it_stops_it(controller, change, said, capsys):
    controller.answers["/v1/switches"]["items"][0] |= change
    code, out = asked(controller, capsys)
    assert code == Exit.NEGATIVE
    assert said in out
    assert "00cd" not in out  # neither end is there


@pytest.mark.parametrize(("change", "said"), [({"state": "down"}, "db-1 is down"), ({"addresses": []}, "no address")])
def test_an_end_that_is_not_there_stops_it(controller, change, said, capsys):
    controller.answers["/v1/topology"]["endpoints"][1] |= change
    code, out = asked(controller, capsys)
    assert (code, said in out) == (Exit.NEGATIVE, True)


def test_drops_and_reports_of_the_ends_are_shown_and_stop_nothing_by_themselves(controller, capsys):
    reasons = [
        {"figure": "dropped", "reason": "guard source", "packets": 9},
        {"figure": "kept", "reason": "posture shop", "packets": 4},
    ]
    controller.answers["/v1/endpoints/app-1/counters"]["reasons"] = reasons
    about = {"subject": "interface br/v2", "problem": "is odd", "remedy": "mend it"}
    other = {"subject": "interface br/v22", "problem": "is another's", "remedy": "no"}
    controller.answers["/v1/status"]["reports"] = [about, other]
    code, out = asked(controller, capsys)
    assert code == Exit.OK
    assert "LOOK AT: interface br/v2: is odd\n  mend it" in out
    assert "another's" not in out
    assert "dropped by guard source: 9 sent by app-1" in out
    assert "dropped by posture shop: 4 sent to app-1" in out
    controller.answers["/v1/verdict"] = {"verdict": "deny", "openings": [DENIED]}
    assert "dropped by posture" not in asked(controller, capsys)[1]  # that is what the verdict says


def test_who_is_not_live_is_looked_for_among_the_reports(controller):
    controller.answers["/v1/verdict"] = Failure(Exit.REFUSED, "the controller says 422")
    report = {"subject": "interface br/v9", "problem": "there is no network 'shop'", "remedy": "apply one"}
    controller.answers["/v1/status"]["reports"] = [report]
    with pytest.raises(Failure) as refused:
        why(controller, build().parse_args(["why", "app-1", "db-1", "tcp/5432"]))
    assert "interface br/v9: there is no network 'shop' (apply one)" in refused.value.remedy


def test_programs_get_all_of_it(controller, capsys):
    controller.answers["/v1/switches"]["items"][0]["connected"] = False
    code, out = asked(controller, capsys, "--json")
    assert code == Exit.NEGATIVE
    found = json.loads(out)
    assert set(found) == {"verdict", "endpoints", "counters", "switches", "revisions", "findings"}
    assert found["findings"][0]["certain"] is True

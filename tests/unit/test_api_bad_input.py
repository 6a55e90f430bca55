"""Whatever a client sends that is wrong is refused with a place and a remedy, and changes nothing."""

import io
import json
from http import HTTPStatus

import falcon.testing
import pytest

from tests.unit.api_kit import SITE, TOKEN, Api

EP = "{kind: Endpoint, name: %s, network: shop, mac: '%s', addresses: [%s], binding: {ifaceId: %s}}"
RULE = "kind: Policy\nname: p\nrules:\n- action: allow\n"

BODIES = {
    "malformed YAML": ("kind: [", 400, "documents[0].kind[0]"),
    "malformed JSON": ('{"kind": "Group",', 400, "documents[0]"),
    "not UTF-8": (b"kind: \xff\xfe", 400, "documents"),
    "control characters": ("kind: a\x00b", 400, "documents"),
    "empty": ("", 411, "header.Content-Length"),
    "only comments": ("# nothing\n---\n", 400, "body"),
    "a scalar": ("hello", 422, "documents[0]"),
    "YAML bomb": ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]", 400, "documents[0].a"),
    "alias alone": ("a: *b", 400, "documents[0].a"),
    "YAML tag": ("a: !!python/object/apply:os.system [x]", 400, "documents[0].a"),
    "duplicate key": ("kind: Group\nkind: Group", 400, "documents[0]"),
    "duplicate JSON key": ('{"kind": "Group", "kind": "Group"}', 400, "documents"),
    "key no string": ("kind: Group\n80: x", 400, "documents[0]"),
    "nested too deep": ("[" * 40 + "]" * 40, 400, "documents"),
    "nested far too deep": ("[" * 100_000, 400, "documents"),
    "JSON number of 5000 digits": ('{"order": ' + "9" * 5000 + "}", 400, "documents"),
    "JSON NaN": ('{"order": NaN}', 400, "documents"),
    "half a surrogate": ('{"kind": "Group", "name": "\\ud800"}', 400, "documents"),
    "1000 keys": ("{" + ", ".join(f"k{i}: 1" for i in range(1000)) + "}", 400, "documents[0]"),
    "no kind": ("name: x", 422, "documents[0].kind"),
    "unknown kind": ("kind: Polcy\nname: x", 422, "documents[0].kind"),
    "kind no string": ("kind: [Policy]\nname: x", 422, "documents[0].kind"),
    "no name": ("kind: Network", 422, "documents[0].name"),
    "bad name": ("kind: Network\nname: Shop_1", 422, "Network/Shop_1.name"),
    "overlong name": (f"kind: Network\nname: {'a' * 254}", 422, "documents[0].name"),
    "unknown field": ("kind: Network\nname: n\npostur: deny", 422, "Network/n.postur"),
    "unknown field in a peer": (RULE + "  from: [{grop: web}]", 422, "Policy/p.rules[0].from[0].grop"),
    "bad posture": ("kind: Network\nname: n\nposture: maybe", 422, "Network/n.posture"),
    "unknown action": ("kind: Policy\nname: p\nrules: [{action: permit}]", 422, "Policy/p.rules[0].action"),
    "bad label key": (RULE + "  from: [{labels: {'a b': c}}]", 422, 'Policy/p.rules[0].from[0].labels["a b"]'),
    "bad label value": (RULE + "  from: [{labels: {a: 'b c'}}]", 422, "Policy/p.rules[0].from[0].labels.a"),
    "label value no string": (RULE + "  from: [{labels: {a: 1}}]", 422, "Policy/p.rules[0].from[0].labels.a"),
    "unknown operator": (
        RULE + "  from: [{expressions: [{key: a, operator: Is}]}]",
        422,
        "Policy/p.rules[0].from[0].expressions[0].operator",
    ),
    "In without values": (
        RULE + "  from: [{expressions: [{key: a, operator: In}]}]",
        422,
        "Policy/p.rules[0].from[0].expressions[0]",
    ),
    "Exists with values": (
        RULE + "  from: [{expressions: [{key: a, operator: Exists, values: [x]}]}]",
        422,
        "Policy/p.rules[0].from[0].expressions[0]",
    ),
    "unknown implied label": (
        RULE + "  from: [{labels: {ringfence/nam: x}}]",
        422,
        'Policy/p.rules[0].from[0].labels["ringfence/nam"]',
    ),
    "empty peer": (RULE + "  from: [{}]", 422, "Policy/p.rules[0].from[0]"),
    "two peers in one": (RULE + "  from: [{group: web, cidr: 10.0.0.0/8}]", 422, "Policy/p.rules[0].from[0]"),
    "world false": (RULE + "  from: [{world: false}]", 422, "Policy/p.rules[0].from[0].world"),
    "empty from": (RULE + "  from: []", 422, "Policy/p.rules[0].from"),
    "empty services": (RULE + "  services: []", 422, "Policy/p.rules[0].services"),
    "empty rules": ("kind: Policy\nname: p\nrules: []", 422, "Policy/p.rules"),
    "no rules": ("kind: Policy\nname: p", 422, "Policy/p"),
    "rules and subject": (RULE + "subject: {}", 422, "Policy/p"),
    "ingress without subject": ("kind: Policy\nname: p\ningress: [{action: deny}]", 422, "Policy/p"),
    "to in an ingress rule": (
        "kind: Policy\nname: p\nsubject: {}\ningress: [{action: deny, to: [{world: true}]}]",
        422,
        "Policy/p.ingress[0].to",
    ),
    "no rules outside isolation": ("kind: Policy\nname: p\nsubject: {}\ndirections: [ingress]", 422, "Policy/p"),
    "directions leave rules out": (
        "kind: Policy\nname: p\nsubject: {}\ndirections: [egress]\ningress: [{action: deny}]",
        422,
        "Policy/p",
    ),
    "two rules of one name": (
        RULE + "  name: x\n- {action: deny, name: x}",
        422,
        "Policy/p.rules[1].name",
    ),
    "bad CIDR": (RULE + "  from: [{cidr: 10.0.0.300/8}]", 422, "Policy/p.rules[0].from[0].cidr"),
    "host bits": (RULE + "  from: [{cidr: 10.0.0.1/8}]", 422, "Policy/p.rules[0].from[0].cidr"),
    "prefix of 33": (RULE + "  from: [{cidr: 10.0.0.0/33}]", 422, "Policy/p.rules[0].from[0].cidr"),
    "except outside": (
        RULE + "  from: [{cidr: 10.0.0.0/8, except: ['fd00::/64']}]",
        422,
        "Policy/p.rules[0].from[0].except[0]",
    ),
    "except without cidr": (RULE + "  from: [{group: web, except: [10.0.0.0/8]}]", 422, "Policy/p.rules[0].from[0]"),
    "port 70000": (RULE + "  services: [tcp/70000]", 422, "Policy/p.rules[0].services[0]"),
    "port 0": (RULE + "  services: [udp/0]", 422, "Policy/p.rules[0].services[0]"),
    "range backwards": (RULE + "  services: [tcp/90-80]", 422, "Policy/p.rules[0].services[0]"),
    "type with tcp": (RULE + "  services: [tcp/8/0]", 422, "Policy/p.rules[0].services[0]"),
    "port with icmp": (RULE + "  services: [icmp/8080]", 422, "Policy/p.rules[0].services[0]"),
    "range with icmp": (RULE + "  services: [icmp/8-10]", 422, "Policy/p.rules[0].services[0]"),
    "unknown protocol": (RULE + "  services: [tpc/80]", 422, "Policy/p.rules[0].services[0]"),
    "protocol 256": (RULE + "  services: [proto/256]", 422, "Policy/p.rules[0].services[0]"),
    "service a number": (RULE + "  services: [80]", 422, "Policy/p.rules[0].services[0]"),
    "unknown group": (RULE + "  from: [{group: wep}]", 422, "Policy/p.rules[0].from[0].group"),
    "unknown service": (RULE + "  services: [{service: wep}]", 422, "Policy/p.rules[0].services[0].service"),
    "unknown tier": ("kind: Policy\nname: p\ntier: aplication\nrules: [{action: deny}]", 422, "Policy/p.tier"),
    "unknown network": ("{kind: Endpoint, name: e, network: shp, binding: {ifaceId: e}}", 422, "Endpoint/e.network"),
    "group in itself": ("kind: Group\nname: a\nmembers: [{group: a}]", 422, "Group/a.members[0].group"),
    "cyclic services": (
        "- {kind: Service, name: a, matches: [{service: b}]}\n- {kind: Service, name: b, matches: [{service: a}]}",
        422,
        "Service/b.matches[0].service",
    ),
    "duplicate document": ("- {kind: Network, name: n}\n- {kind: Network, name: n}", 422, "Network/n.name"),
    "duplicate MAC": (EP % ("e", "02:00:00:00:00:01", "10.1.0.2", "e"), 422, "Endpoint/e.mac"),
    "duplicate address": (EP % ("e", "02:00:00:00:00:02", "10.1.0.1", "e"), 422, "Endpoint/e.addresses[0]"),
    "address twice": (EP % ("e", "02:00:00:00:00:02", "10.1.0.2, 10.1.0.2", "e"), 422, "Endpoint/e.addresses[1]"),
    "duplicate binding": (EP % ("e", "02:00:00:00:00:02", "10.1.0.2", "web-1"), 422, "Endpoint/e.binding"),
    "address outside": (EP % ("e", "02:00:00:00:00:02", "10.2.0.2", "e"), 422, "Endpoint/e.addresses[0]"),
    "multicast address": (EP % ("e", "02:00:00:00:00:02", "224.0.0.1", "e"), 422, "Endpoint/e.addresses[0]"),
    "multicast MAC": (EP % ("e", "01:00:00:00:00:02", "10.1.0.2", "e"), 422, "Endpoint/e.mac"),
    "bad MAC": (EP % ("e", "02-00-00-00-00-02", "10.1.0.2", "e"), 422, "Endpoint/e.mac"),
    "half a binding": ("kind: Endpoint\nname: e\nbinding: {bridge: br-ring}", 422, "Endpoint/e.binding"),
    "reserved label": (
        "kind: Endpoint\nname: e\nbinding: {ifaceId: e}\nlabels: {ringfence/name: x}",
        422,
        'Endpoint/e.labels["ringfence/name"]',
    ),
    "named port a range": (
        "kind: Endpoint\nname: e\nbinding: {ifaceId: e}\nports: {http: tcp/80-90}",
        422,
        "Endpoint/e.ports.http",
    ),
    "17 tiers": (
        "kind: Tiers\nname: default\ntiers: [" + ", ".join(f"{{name: t{i}}}" for i in range(17)) + "]",
        422,
        "Tiers/default.tiers",
    ),
    "a tier twice": ("kind: Tiers\nname: default\ntiers: [{name: a}, {name: a}]", 422, "Tiers/default.tiers[1].name"),
    "a tier in use gone": ("kind: Tiers\nname: default\ntiers: [{name: a}]", 422, "Policy/web-to-app.tier"),
    "order too large": (RULE + "order: 2147483648", 422, "Policy/p.order"),
    "order no number": (RULE + "order: first", 422, "Policy/p.order"),
    "order true": (RULE + "order: true", 422, "Policy/p.order"),
    "naive expiry": (RULE + "expires: 2027-01-01T00:00:00", 422, "Policy/p.expires"),
    "no expiry": (RULE + "expires: tomorrow", 422, "Policy/p.expires"),
    "no such mode": (RULE + "mode: watch", 422, "Policy/p.mode"),
    "no such action": (
        "kind: Policy\nname: p\nrules: [{action: refuse}]",
        422,
        "Policy/p.rules[0].action",
    ),
    "no such zone": (
        RULE + "schedule: {zone: Europe/Berlinn, windows: [{days: [monday], start: '09:00', end: '17:00'}]}",
        422,
        "Policy/p.schedule.zone",
    ),
    "an empty window": (
        RULE + "schedule: {zone: Europe/Berlin, windows: [{days: [monday], start: '09:00', end: '09:00'}]}",
        422,
        "Policy/p.schedule.windows[0]",
    ),
    "control characters in a text": (RULE + 'description: "a\\x1b[31m"', 422, "Policy/p.description"),
    "4097 rules": (
        "kind: Policy\nname: p\nrules: [" + "{action: deny}, " * 4097 + "]",
        422,
        "Policy/p.rules",
    ),
}


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    api = Api(tmp_path_factory.mktemp("api"))
    assert api.apply(SITE).status_code == 200
    return api


@pytest.mark.parametrize("case", BODIES)
def test_a_bad_body_is_refused_with_its_place_and_changes_nothing(api, case):
    text, status, path = BODIES[case]
    before = api.contents()
    answer = api.apply(text)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    errors = answer.json["errors"]
    assert path in [error["path"] for error in errors], errors
    assert all(error["message"] and error["remedy"] and len(json.dumps(error)) < 2048 for error in errors)
    assert api.contents() == before
    assert not api.world.reported


def test_there_are_at_least_forty_cases():
    assert len(BODIES) >= 40


def test_one_bad_document_among_good_ones_refuses_all(api):
    before = api.contents()
    answer = api.apply("- {kind: Network, name: n1}\n- {kind: Network, name: n2, posture: x}\n- {kind: Group, name: g}")
    assert [error["path"] for error in answer.json["errors"]] == ["Network/n2.posture", "Group/g.members"]
    assert [error["line"] for error in answer.json["errors"]] == [2, 3]
    assert api.contents() == before


@pytest.mark.parametrize(
    ("request_line", "headers", "refusal"),
    [
        (("GET", "/v1/policies"), {"Authorization": "Bearer " + "x" * 43}, (401, "header.Authorization")),
        (("GET", "/v1/policies"), {"Authorization": TOKEN}, (401, "header.Authorization")),
        (("GET", "/v1/policies"), {"Authorization": ""}, (401, "header.Authorization")),
        (("POST", "/v1/apply"), {"Authorization": "Bearer " + "x" * 43}, (401, "header.Authorization")),
        (("GET", "/v1/nothing"), {"Authorization": "Basic x"}, (401, "header.Authorization")),
        (("DELETE", "/v1/health"), {"Authorization": ""}, (401, "header.Authorization")),
        (("GET", "/v1/nothing"), {}, (404, "request")),
        (("GET", "/v1/policies/none"), {}, (404, "Policy/none")),
        (("DELETE", "/v1/policies/none"), {}, (404, "Policy/none")),
        (("GET", "/v1/policies/none/status"), {}, (404, "Policy/none")),
        (("PATCH", "/v1/policies/web-to-app"), {}, (405, "request")),
        (("GET", "/v1/policies?nmae=x"), {}, (400, "query.nmae")),
        (("GET", "/v1/revisions?limit=1000"), {}, (400, "query.limit")),
        (("GET", "/v1/revisions?limit=-1"), {}, (400, "query.limit")),
        (("GET", "/v1/revisions?limit=1&limit=2"), {}, (400, "query.limit")),
        (("GET", "/v1/revisions?before=x"), {}, (400, "query.before")),
        (("GET", "/v1/verdict?from=web-1&to=app-1"), {}, (400, "query.service")),
        (("GET", "/v1/verdict?from=web-9&to=app-1&service=tcp/80"), {}, (422, "query.from")),
        (("GET", "/v1/verdict?from=web-1&to=app-1&service=tcp/70000"), {}, (422, "query.service")),
        (("GET", "/v1/verdict?from=web-1&to=app-1&service=any"), {}, (422, "query.service")),
        (("GET", "/v1/verdict?from=web-1&to=app-1&service=tcp"), {}, (422, "query.service")),
        (("GET", "/v1/verdict?from=web-1&to=app-1&service=tcp/nope"), {}, (422, "query.service")),
        (("GET", "/v1/verdict?from=web-1&to=app-1&service=icmpv6"), {}, (422, "query.service")),
        (("GET", "/v1/verdict?from=10.9.0.1&to=10.9.0.2&service=icmp"), {}, (422, "query")),
        (("GET", "/v1/verdict?from=10.1.0.1&to=10.1.0.3&service=icmp"), {}, (422, "query.network")),
        (("GET", "/v1/verdict?from=web-1&to=10.9.0.2&service=icmp&network=office"), {}, (422, "query.network")),
        (("GET", "/v1/verdict?from=web-1&to=10.9.0.2&service=icmp&network=none"), {}, (422, "query.network")),
        (("POST", "/v1/apply?wait=realised"), {}, (400, "query.wait")),
        (("POST", "/v1/apply?dry_run=1&wait=realized"), {}, (400, "query.wait")),
        (("POST", "/v1/apply?timeout=3"), {}, (400, "query.timeout")),
        (("POST", "/v1/apply?wait=realized&timeout=1e9"), {}, (400, "query.timeout")),
        (("POST", "/v1/apply?wait=realized&timeout=99999"), {}, (400, "query.timeout")),
        (("POST", "/v1/apply?author=" + "a" * 200), {}, (400, "query.author")),
        (("POST", "/v1/apply?expected_revision=0"), {}, (412, "revision")),
        (("POST", "/v1/apply"), {"Content-Encoding": "gzip"}, (415, "header.Content-Encoding")),
        (("PUT", "/v1/networks/n2"), {"If-Match": '"9"'}, (412, "Network/n2")),
        (("PUT", "/v1/networks/shop"), {"If-None-Match": "*"}, (412, "Network/shop")),
        (("PUT", "/v1/networks/shop"), {"If-Match": '"99"'}, (412, "Network/shop")),
        (("PUT", "/v1/networks/shop"), {"If-Match": "W/1"}, (400, "header.If-Match")),
        (("PUT", "/v1/networks/shop"), {"If-None-Match": '"1"'}, (400, "header.If-None-Match")),
        (("PUT", "/v1/networks/none"), {"If-Match": "*"}, (412, "header.If-Match")),
        (("PUT", "/v1/networks/other"), {}, (422, "Network/other.name")),
        (("DELETE", "/v1/networks/office"), {"If-Match": '"99"'}, (412, "Network/office")),
        (("DELETE", "/v1/networks/shop"), {}, (422, "Endpoint/web-1.network")),
    ],
)
def test_a_bad_request_is_refused_and_changes_nothing(api, request_line, headers, refusal):
    (method, path), (status, place) = request_line, refusal
    bodies = {"/v1/networks/other": "{kind: Network, name: n2}", "/v1/networks/shop": "posture: allow"}
    body = bodies.get(path, "{kind: Network, name: n2}" if method == "POST" else "posture: deny")
    before = api.contents()
    path, _, query = path.partition("?")
    answer = api.client.simulate_request(method, path, query_string=query, headers=headers, body=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["errors"][0]["path"] == place
    assert answer.json["status"] == status
    assert api.contents() == before
    assert not api.world.reported


def test_a_question_that_means_too_many_packets_is_refused(api):
    matches = ", ".join(f"tcp/{port}" for port in range(1000, 1070))
    assert api.apply(f"{{kind: Service, name: many, matches: [{matches}]}}").status_code == HTTPStatus.OK
    answer = api.get("/v1/verdict", **{"from": "web-1", "to": "app-1", "service": "many"})
    assert (answer.status_code, answer.json["errors"][0]["path"]) == (422, "query")
    assert "64 packets" in answer.json["errors"][0]["message"]


@pytest.mark.parametrize(
    ("size", "error", "status"),
    [(50 * 2**20, AssertionError("the body was read"), "413"), (100, TimeoutError("it is silent"), "408")],
)
def test_a_body_of_50_mb_is_refused_before_a_byte_is_read_and_one_that_does_not_come_is_no_fault(
    api, size, error, status
):
    class Unread(io.RawIOBase):
        def read(self, *_):
            raise error

    before = api.contents()
    environ = falcon.testing.create_environ(
        "/v1/apply", method="POST", headers={"Authorization": f"Bearer {TOKEN}", "Content-Length": str(size)}
    )
    environ["wsgi.input"] = Unread()
    answer = falcon.testing.StartResponseMock()
    body = b"".join(api.app(environ, answer))
    assert answer.status.startswith(status)
    assert json.loads(body)["errors"][0]["path"] == "body"
    assert answer.headers_dict["connection"] == "close"
    assert api.contents() == before


@pytest.mark.parametrize(
    ("headers", "status"), [({}, 411), ({"Transfer-Encoding": "chunked"}, 411), ({"Content-Length": "x"}, 400)]
)
def test_a_body_of_unknown_length_is_not_read(api, headers, status):
    environ = falcon.testing.create_environ("/v1/apply", method="POST")
    environ |= {f"HTTP_{k.upper().replace('-', '_')}": v for k, v in headers.items()}
    environ["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
    environ.pop("CONTENT_LENGTH", None)
    if "Content-Length" in headers:
        environ["CONTENT_LENGTH"] = headers["Content-Length"]
    answer = falcon.testing.StartResponseMock()
    b"".join(api.app(environ, answer))
    assert answer.status.startswith(str(status))


def test_a_body_cut_short_is_refused(api):
    environ = falcon.testing.create_environ("/v1/apply", method="POST", body="kind: Network")
    environ["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
    environ["CONTENT_LENGTH"] = "1000"
    before = api.contents()
    answer = falcon.testing.StartResponseMock()
    b"".join(api.app(environ, answer))
    assert answer.status.startswith("400")
    assert api.contents() == before


def test_a_fault_shows_no_traceback_and_is_reported(api, monkeypatch):
    def fail():
        raise KeyError("secret detail")

    monkeypatch.setattr(api.world, "switches", fail)
    monkeypatch.setattr(api.world, "reported", [])
    answer = api.get("/v1/switches")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert [type(error) for error in api.world.reported] == [KeyError]

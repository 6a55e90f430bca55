"""`ringfence topology` and `events`: what people are shown of an answer, whatever is in it."""

from datetime import UTC, datetime

import pytest

from cli.answer import Answer
from cli.following import line
from cli.picture import age, dot, picture

NOW = datetime(2026, 5, 2, 3, 4, 5, tzinfo=UTC)
SINCE = {"state": "up", "since": "2026-05-02T03:00:00+00:00"}
DPID, FAR = "0000000000000001", "0000000000000002"
WHOLE = {
    "event": "5-9",
    "hosts": [{"name": "tcp:h", "version": "3.1.0", **SINCE}, {"name": "tcp:far", "version": "", **SINCE}],
    "bridges": [
        {"host": "tcp:h", "name": "br-ring", "dpid": DPID, "datapathType": "netdev", **SINCE},
        {"host": "tcp:h", "name": "br-else", "dpid": None, "datapathType": "", **SINCE, "state": "foreign"},
        {"host": "tcp:far", "name": "br-far", "dpid": FAR, "datapathType": "netdev", **SINCE, "state": "down"},
    ],
    "ports": [
        {"host": "tcp:h", "bridge": "br-ring", "name": name, "type": kind, "ofport": number, "role": role,
         "error": error, **SINCE}
        for name, kind, number, role, error in (
            ("up1", "", 3, "link", ""),
            ("v1", "", 1, "endpoint", ""),
            ("g0", "geneve", 4, "tunnel", ""),
            ("v9", "", None, "unknown", "no \x1b[31mdevice"),
            ("br-ring", "internal", 65534, "local", ""),
        )
    ],
    "links": [{"a": {"dpid": DPID, "ofport": 3}, "b": {"dpid": FAR, "ofport": 7}, **SINCE}],
    "tunnels": [
        {"host": "tcp:h", "bridge": "br-ring", "name": "g0", "type": "geneve", "remote": "192.0.2.1", **SINCE}
    ],
    "networks": [{"name": "shop", "endpoints": 1, "hosts": ["tcp:h"], **SINCE}],
    "endpoints": [
        {"name": "web", "network": "shop", "labels": {}, "mac": "02:00:00:00:00:01", "addresses": ["10.0.0.1"],
         "host": "tcp:h", "dpid": DPID, "ofport": 1, "interface": "v1", **SINCE}
    ],
}  # fmt: skip
PICTURE = r"""
host tcp:h Open vSwitch 3.1.0 up 4m5s
├─ bridge br-ring 0000000000000001 netdev up 4m5s
│  ├─   - v9  nobody known: denied  no \x1b[31mdevice  up 4m5s
│  ├─   1 v1  web (shop) 10.0.0.1  up 4m5s
│  ├─   3 up1  ── br-far of tcp:far port 7  up 4m5s
│  └─   4 g0  geneve tunnel  up 4m5s
└─ bridge br-else foreign 4m5s
host tcp:far up 4m5s
└─ bridge br-far 0000000000000002 netdev down 4m5s

links
  0000000000000001 port 3 ── 0000000000000002 port 7  up 4m5s

networks
  shop  1 endpoint on 1 host  up 4m5s
"""


def test_the_picture_is_a_tree_of_hosts_with_links_and_networks():
    shown = "\n".join(text.rstrip() for text in picture(Answer(WHOLE, "t"), NOW))
    assert shown == PICTURE.strip()


def test_the_graph_is_read_by_graphviz_and_names_cannot_break_out_of_it():
    evil = {**WHOLE, "endpoints": [{**WHOLE["endpoints"][0], "name": 'a\\"]; evil -- b; "'}]}
    text = "\n".join(dot(Answer(evil, "t")))
    assert f'"{DPID}" -- "{FAR}" [style=bold];' in text
    assert f'"{DPID}" -- "192.0.2.1" [label="geneve", style=dashed];' in text
    assert 'label="br-far", color=red' in text
    assert r'"endpoint a\\\"]; evil -- b; \""' in text
    assert "br-else" not in text


def test_an_empty_topology_is_an_empty_picture():
    assert list(picture(Answer({}, "t"), NOW)) == []
    assert next(dot(Answer({}, "t"))) == "graph ringfence {"


@pytest.mark.parametrize(
    ("since", "shown"),
    [
        ("2026-05-02T03:04:05+00:00", "0s"),
        ("2026-05-02T03:04:06+00:00", "0s"),
        ("2026-05-02T03:00:05+00:00", "4m"),
        ("2026-05-01T02:04:05+00:00", "1d1h"),
        ("2026-05-02T03:04:05", "?"),
        ("soon", "?"),
    ],
)
def test_ages_have_two_units_at_most(since, shown):
    assert age(since, NOW) == shown


def test_an_event_is_a_line_without_control_characters():
    event = {"id": "5-1", "at": "2026", "kind": "endpoint.came", "subject": "we\x1bb",
             "details": {"ofport": 1, "addresses": "10.0.0.1 ::1", "host": ""}}  # fmt: skip
    assert line(Answer(event, "e")) == '2026  endpoint.came  we\\x1bb ofport=1 addresses="10.0.0.1 ::1"'
    assert "look at `ringfence topology`" in line(Answer({**event, "kind": "reset"}, "e"))

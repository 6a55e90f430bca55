"""A server that lies, babbles or hangs never kills the client: it comes back, and finds the honest one."""

from __future__ import annotations

import json
import time

import pytest

from ovsdb import ConnectionLost, ProtocolError, TransactionError, open_session
from ovsdb.follow import NEVER
from tests.unit.ovsdb_kit import INITIAL, OTHER, QUICK, ROW, SINCE, Peer, Server, Watch, honest
from topology.events import BridgeRow, HostLost, HostResynced, InterfaceRow, RefusedRow, RowsChanged

MONITOR_ID = 1
RIGHT = BridgeRow(ROW, "br", external_ids={"ringfence": "me"})


def reply(result) -> bytes:
    return json.dumps({"id": MONITOR_ID, "result": [False, SINCE, result], "error": None}).encode()


def update(tables, name="ringfence") -> bytes:
    return json.dumps({"id": None, "method": "update3", "params": [name, SINCE, tables]}).encode()


def row(**columns) -> bytes:
    return reply({"Interface": {ROW: {"initial": {"name": "v", **columns}}}})


SYNC = reply(INITIAL)
UGLY = {
    "nothing at all": b"",
    "garbage": b"\x00\xff\x13garbage",
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "half JSON": SYNC[:-20],
    "half JSON, then silence is the end": b'{"id": 1, "result": {"Bri',
    "broken JSON": b'{"id": 1, "result": {,}, "error": null}',
    "a list": b"[1, 2]",
    "NaN": b'{"id": 1, "result": NaN, "error": null}',
    "a huge integer": b'{"id": ' + b"9" * 5000 + b"}",
    "bad UTF-8": b'{"id": "\xff\xfe"}',
    "nesting": b'{"a":' + b"[" * 100_000,
    "nesting of objects": b'{"a":' * 5000,
    "a huge message": b'{"a": "' + b"x" * (2 << 20),
    "a huge whole message": b'{"a": "' + b"x" * (2 << 20) + b'"}',
    "an error": b'{"id": 1, "result": null, "error": "unknown database"}',
    "an error object": b'{"id": 1, "result": null, "error": {"error": "syntax error"}}',
    "a method that is no string": b'{"id": null, "method": {"a": 1}, "params": []}',
    "an answer without a transaction": b'{"id": 1, "result": [false, {}], "error": null}',
    "an answer that is no list": b'{"id": 1, "result": {}, "error": null}',
    "a transaction that is none": b'{"id": 1, "result": [false, "x", {}], "error": null}',
    "a resumption of nothing": json.dumps({"id": 1, "result": [True, SINCE, {}], "error": None}).encode(),
    "an update of the other kind, malformed": SYNC + b'{"id": null, "method": "update2", "params": 5}',
    "a result that is a number": reply(7),
    "a result that is null": reply(None),
    "a table that is a list": reply({"Bridge": []}),
    "a table we do not monitor": reply({"Manager": {}}),
    "a row that is a string": reply({"Bridge": {ROW: "x"}}),
    "a row update that is a string": reply({"Bridge": {ROW: {"initial": "x"}}}),
    "a modify in the first answer": reply({"Bridge": {ROW: {"modify": {}}}}),
    "a UUID that is none": reply({"Bridge": {"x": {"initial": {}}}}),
    "a column we do not monitor": row(statistics=["map", []]),
    "a name that is a number": row(name=5),
    "an ofport that is a string": row(ofport="1"),
    "an ofport that is a boolean": row(ofport=True),
    "an ofport that is a set of two": row(ofport=["set", [1, 2]]),
    "an ofport beyond 64 bits": row(ofport=2**70),
    "an ofport that is a fraction": row(ofport=1.5),
    "a map that is a string": row(external_ids="x"),
    "a map with a triple": row(external_ids=["map", [["a", "b", "c"]]]),
    "a map of numbers": row(external_ids=["map", [["a", 1]]]),
    "a map that is a set": row(external_ids=["set", []]),
    "a set of wrong form": reply({"Bridge": {ROW: {"initial": {"ports": ["set", 7]}}}}),
    "a set of strings for UUIDs": reply({"Bridge": {ROW: {"initial": {"ports": ["set", ["x"]]}}}}),
    "a UUID with a newline": reply({"Bridge": {ROW: {"initial": {"ports": ["uuid", ROW + "\n"]}}}}),
    "a boolean that is a string": reply({"Controller": {ROW: {"initial": {"is_connected": "true"}}}}),
    "too many rows": reply({"Port": {f"{n:08x}{ROW[8:]}": {"initial": {"name": f"p{n}"}} for n in range(1001)}}),
    "an update before the answer": update({}),
    "an update of somebody else": SYNC + update({}, "other"),
    "an update without tables": SYNC + b'{"id": null, "method": "update3", "params": ["ringfence"]}',
    "a row twice": SYNC + update({"Bridge": {ROW: {"insert": {"name": "br"}}}}),
    "a change of a row never seen": SYNC + update({"Bridge": {OTHER: {"modify": {"name": "x"}}}}),
    "a change in another table": SYNC + update({"Port": {ROW: {"modify": {"name": "x"}}}}),
    "a delete of a row never seen": SYNC + update({"Bridge": {OTHER: {"delete": None}}}),
    "an update that is nothing": SYNC + update({"Bridge": {ROW: {}}}),
    "a cancelled monitor": SYNC + b'{"id": null, "method": "monitor_canceled", "params": ["ringfence"]}',
}


@pytest.mark.parametrize("ugly", UGLY.values(), ids=UGLY.keys())
def test_the_client_survives_and_finds_the_honest_server(ugly):
    def hostile(peer: Peer) -> None:
        peer.hear()
        if ugly:
            peer.raw(ugly)

    with Server(hostile, honest) as server, Watch(server.target) as watch:
        watch.until(lambda events: any(isinstance(e, HostLost) for e in events))
        last = watch.until(lambda events: events and isinstance(events[-1], HostResynced))[-1]
        assert last.rows == (RIGHT,)
        assert server.errors == []


def test_silence_ends_a_connection_and_echoes_keep_one():
    def silent(peer: Peer) -> None:
        peer.answer(INITIAL)
        while True:
            peer.hear()

    with Server(silent, honest) as server, Watch(server.target) as watch:
        watch.resyncs(2)
        lost = [e for e in watch.events if isinstance(e, HostLost)]
        assert "silent for 0.6 s" in lost[0].reason
        time.sleep(3 * QUICK.probe_s)
        assert len(watch.resyncs(2)) == 2


def test_a_server_that_cannot_resume_is_asked_for_everything_and_followed():
    """Open vSwitch before 2.12 knows `monitor_cond` and its `update2` only."""
    methods = []

    def old(peer: Peer) -> None:
        request = peer.hear()
        methods.append(request["method"])
        peer.say({"id": request["id"], "result": None, "error": {"error": "unknown method", "details": "no"}})
        methods.append(peer.answer(INITIAL)["method"])
        gone = {"Bridge": {ROW: {"delete": None}}}
        peer.say({"id": None, "method": "update2", "params": ["ringfence", gone]})
        peer.stay()

    with Server(old) as server, Watch(server.target) as watch:
        events = watch.until(lambda events: len(events) == 2)
    assert methods == ["monitor_cond_since", "monitor_cond"]
    assert events[0].rows == (RIGHT,)
    assert events[1] == RowsChanged(server.target, (), (ROW,))


def test_a_copy_that_does_not_fit_what_happened_since_is_thrown_away():
    """A server that goes on from our transaction with rows we never saw: everything is read anew."""
    asked = []

    def first(peer: Peer) -> None:
        asked.append(peer.answer(INITIAL)["params"][3])

    def lying(peer: Peer) -> None:
        request = peer.hear()
        asked.append(request["params"][3])
        peer.say({"id": request["id"], "result": [True, SINCE, {"Bridge": {OTHER: {"delete": None}}}], "error": None})

    def last(peer: Peer) -> None:
        asked.append(peer.answer(INITIAL)["params"][3])
        peer.stay()

    with Server(first, lying, last) as server, Watch(server.target) as watch:
        watch.resyncs(2)
        assert watch.client.resumed == 0
    assert asked == [NEVER, SINCE, NEVER]


def test_a_server_that_lives_but_never_answers_is_left():
    def mute(peer: Peer) -> None:
        peer.hear()
        peer.stay()

    with Server(mute, honest) as server, Watch(server.target) as watch:
        assert watch.resyncs(1)[0].rows == (RIGHT,)


def test_its_echoes_are_answered_and_its_requests_refused():
    heard = []

    def asking(peer: Peer) -> None:
        peer.answer(INITIAL)
        peer.say({"id": "e", "method": "echo", "params": ["\ud800", 1]})
        heard.append(peer.hear())
        peer.say({"id": 9, "method": "steal", "params": []})
        heard.append(peer.hear())
        peer.update({"Bridge": {ROW: {"delete": None}}})
        peer.stay()

    with Server(asking) as server, Watch(server.target) as watch:
        watch.until(lambda events: events and isinstance(events[-1], RowsChanged))
    assert heard[0] == {"id": "e", "result": ["\ud800", 1], "error": None}
    assert heard[1] == {"id": 9, "result": None, "error": "unknown method"}


def test_a_flood_of_echoes_to_a_client_that_is_not_read_ends_the_connection():
    def flood(peer: Peer) -> None:
        peer.answer(INITIAL)
        message = json.dumps({"id": 1, "method": "echo", "params": ["x" * 50_000]}).encode()
        while True:
            peer.raw(message)

    with Server(flood, honest) as server, Watch(server.target) as watch:
        watch.resyncs(2)
        assert any(isinstance(e, HostLost) and "does not read" in e.reason for e in watch.events)


def test_a_row_out_of_bounds_is_refused_alone_and_heals():
    many = ["map", [[f"k{n}", "v"] for n in range(600)]]

    def large(peer: Peer) -> None:
        rows = {ROW: {"initial": {"name": "v", "external_ids": many}}, OTHER: {"initial": {"name": "w"}}}
        peer.answer({"Interface": rows, "Port": {ROW[:-1] + "9": {"initial": {"name": "new\nline"}}}})
        peer.update({"Interface": {ROW: {"modify": {"external_ids": ["map", [[f"k{n}", "v"] for n in range(599)]]}}}})
        peer.update({"Interface": {ROW: {"modify": {"ofport": 70000}}}})
        peer.stay()

    with Server(large) as server, Watch(server.target) as watch:
        events = watch.until(lambda events: len(events) == 3)
    assert events[0].rows == (
        RefusedRow(ROW, "Interface", "v", "external_ids has over 512 keys"),
        InterfaceRow(OTHER, "w"),
        RefusedRow(ROW[:-1] + "9", "Port", "new?line", "the name must have 1 to 255 printable characters"),
    )
    assert events[1] == RowsChanged(server.target, (InterfaceRow(ROW, "v", external_ids={"k599": "v"}),))
    assert isinstance(events[2].rows[0], RefusedRow)


def test_a_state_that_grows_without_end_ends_the_connection():
    def growing(peer: Peer) -> None:
        peer.answer({"Interface": {ROW: {"initial": {"name": "v"}}}})
        for n in range(1000):
            peer.update({"Interface": {ROW: {"modify": {"external_ids": ["map", [[f"k{n}", "v" * 4000]]]}}}})

    with Server(growing, honest) as server, Watch(server.target) as watch:
        assert watch.resyncs(2)[1].rows == (RIGHT,)
        assert any(isinstance(e, HostLost) and "characters in them" in e.reason for e in watch.events)


def test_a_sink_that_fails_gets_the_whole_state_again():
    failures = [ValueError("once")]
    with Server(honest) as server:
        watch = Watch(server.target)
        take = watch.client._sink

        def fail_once(event):
            if isinstance(event, HostResynced) and failures:
                raise failures.pop()
            take(event)

        watch.client._sink = fail_once
        with watch:
            assert watch.resyncs(1)[0].rows == (RIGHT,)
        assert any(isinstance(e, HostLost) and "once" in e.reason for e in watch.events)


def test_nobody_there_is_told_once_and_tried_again():
    with Server(honest) as server:
        target = server.target
    with Watch(target) as watch:
        watch.until(lambda events: len(events) == 1)
        time.sleep(0.2)
        with pytest.raises(ConnectionLost, match=r"not connected: .*is ovsdb-server running there"):
            watch.client.transact([])
    assert [type(e) for e in watch.events] == [HostLost]


@pytest.mark.parametrize(
    ("result", "error", "word"),
    [
        ([{"error": "constraint violation", "details": "no such row"}], TransactionError, "no such row"),
        ([{}, None, {"error": "timed out"}], TransactionError, "timed out"),
        ([None], ProtocolError, "1 operations"),
        ([{}, {}], ProtocolError, "2 results"),
        ({}, ProtocolError, "list of objects"),
        ([1], ProtocolError, "list of objects"),
    ],
)
def test_results_of_transactions_are_checked(result, error, word):
    def answering(peer: Peer) -> None:
        peer.answer(result)
        peer.stay()

    with (
        Server(answering) as server,
        open_session(server.target, limits=QUICK) as session,
        pytest.raises(error, match=word),
    ):
        session.transact([{"op": "comment", "comment": ""}])


def test_calls_fail_when_the_connection_ends_or_no_answer_comes():
    def closing(peer: Peer) -> None:
        peer.hear()

    def mute(peer: Peer) -> None:
        peer.hear()
        peer.stay()

    with Server(closing, mute) as server:
        with open_session(server.target, limits=QUICK) as session:
            with pytest.raises(ConnectionLost, match="closed the connection"):
                session.transact([])
            with pytest.raises(ConnectionLost):
                session.transact([])
        with (
            open_session(server.target, limits=QUICK) as session,
            pytest.raises(ConnectionLost, match=r"no answer to transact within 0.1 s"),
        ):
            session.transact([], timeout_s=0.1)

"""What RFC 7047 says of types, conditions, mutations and monitors, asked of a real ovsdb-server through our client.

The schema is our own; the cases follow the RFC's sections and look at what their authors would get wrong.
"""

from __future__ import annotations

import contextlib
import json
import queue
import threading

import pytest

from ovsdb import ConnectionLost, ProtocolError, TransactionError, open_session
from ovsdb.columns import DEFAULTS, Kind, decode, encode
from ovsdb.session import DEFAULT_LIMITS, Session
from ovsdb.stream import Stream
from ovsdb.target import connect, parse_target
from tests.ovs.database_kit import Database

UID = "00000000-0000-4000-8000-000000000001"
SCHEMA = {
    "name": "Open_vSwitch",
    "version": "1.0.0",
    "tables": {
        "T": {
            "isRoot": True,
            "indexes": [["name"]],
            "columns": {
                "name": {"type": "string"},
                "i": {"type": "integer"},
                "r": {"type": "real"},
                "b": {"type": "boolean"},
                "ref": {"type": {"key": {"type": "uuid", "refTable": "T", "refType": "weak"}, "min": 0}},
                "set": {"type": {"key": "integer", "min": 0, "max": "unlimited"}},
                "map": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
                "numbered": {"type": {"key": "integer", "value": "uuid", "min": 0, "max": "unlimited"}},
                "few": {"type": {"key": {"type": "integer", "minInteger": 1, "maxInteger": 9}, "min": 0, "max": 2}},
            },
        }
    },
}


@pytest.fixture(scope="module")
def database(session_janitor, tmp_path_factory):
    schema = tmp_path_factory.mktemp("schema") / "s.ovsschema"
    schema.write_text(json.dumps(SCHEMA))
    database = Database(session_janitor, schema=str(schema)).start()
    yield database
    database.stop()


@pytest.fixture
def session(database):
    with open_session(database.target) as session:
        session.transact([{"op": "delete", "table": "T", "where": []}])
        yield session


def put(session: Session, **row) -> str:
    (result,) = session.transact([{"op": "insert", "table": "T", "row": row}])
    return result["uuid"][1]


def get(session: Session, column: str, where=()) -> list:
    (result,) = session.transact([{"op": "select", "table": "T", "where": list(where), "columns": [column]}])
    return [row[column] for row in result["rows"]]


@pytest.mark.parametrize(
    ("column", "kind", "value"),
    [
        ("name", Kind.STRING, 'quote " backslash \\ newline \n snowman \u2603'),
        ("i", Kind.INTEGER, -(2**63)),
        ("i", Kind.INTEGER, 2**63 - 1),
        ("b", Kind.BOOLEAN, True),
        ("ref", Kind.OPTIONAL_UUID, None),
        ("few", Kind.INTEGERS, frozenset({1, 9})),
        ("few", Kind.OPTIONAL_INTEGER, 5),
        ("few", Kind.OPTIONAL_INTEGER, None),
        ("set", Kind.INTEGERS, frozenset(range(100))),
        ("set", Kind.INTEGERS, frozenset()),
        ("map", Kind.MAP, {"": "empty key", "k": ""}),
        ("numbered", Kind.NUMBERED_UUIDS, {0: UID, 2**40: UID}),
    ],
)
def test_values_come_back_as_they_were_written(session, column, kind, value):
    put(session, **{column: encode(kind, value)})
    assert [decode(kind, raw) for raw in get(session, column)] == [value]


def test_what_a_row_does_not_mention_has_the_default(session):
    put(session)
    for column, kind in (("name", Kind.STRING), ("i", Kind.INTEGER), ("map", Kind.MAP), ("set", Kind.INTEGERS)):
        assert decode(kind, get(session, column)[0]) == DEFAULTS[kind]


CONDITIONS = [
    ([["i", "<", 2]], {"a"}),
    ([["i", "<=", 2]], {"a", "b"}),
    ([["i", "==", 2]], {"b"}),
    ([["i", "!=", 2]], {"a", "c"}),
    ([["i", ">=", 2]], {"b", "c"}),
    ([["i", ">", 2]], {"c"}),
    ([["set", "includes", ["set", [1, 2]]]], {"b", "c"}),
    ([["set", "excludes", ["set", [2]]]], {"a"}),
    ([["set", "includes", ["set", []]]], {"a", "b", "c"}),
    ([["map", "includes", ["map", [["k", "v"]]]]], {"b"}),
    ([["map", "==", ["map", []]]], {"a"}),
    ([["i", ">", 1], ["i", "<", 3]], {"b"}),
    ([], {"a", "b", "c"}),
]


@pytest.mark.parametrize(("where", "names"), CONDITIONS)
def test_conditions_select_what_section_5_1_says(session, where, names):
    put(session, name="a", i=1, set=["set", [1]])
    put(session, name="b", i=2, set=["set", [1, 2]], map=["map", [["k", "v"]]])
    put(session, name="c", i=3, set=["set", [1, 2, 3]], map=["map", [["k", "w"]]])
    assert set(get(session, "name", where)) == names


MUTATIONS = [
    ([["i", "+=", 5]], "i", 12),
    ([["i", "-=", 9]], "i", -2),
    ([["i", "*=", 3]], "i", 21),
    ([["i", "/=", 2]], "i", 3),
    ([["i", "%=", 4]], "i", 3),
    ([["set", "insert", ["set", [2, 3]]]], "set", ["set", [1, 2, 3]]),
    ([["set", "delete", ["set", [1, 9]]]], "set", 2),
    ([["set", "+=", 1]], "set", ["set", [2, 3]]),
    ([["map", "insert", ["map", [["k", "other"], ["n", "new"]]]]], "map", ["map", [["k", "v"], ["n", "new"]]]),
    ([["map", "delete", ["set", ["k"]]]], "map", ["map", []]),
    ([["map", "delete", ["map", [["k", "other"]]]]], "map", ["map", [["k", "v"]]]),
    ([["i", "+=", 1], ["i", "*=", 2]], "i", 16),
]


@pytest.mark.parametrize(("mutations", "column", "after"), MUTATIONS)
def test_mutations_do_what_section_5_1_says(session, mutations, column, after):
    put(session, name="a", i=7, set=["set", [1, 2]], map=["map", [["k", "v"]]])
    (result,) = session.transact([{"op": "mutate", "table": "T", "where": [], "mutations": mutations}])
    assert result == {"count": 1}
    assert get(session, column) == [after]


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        ({"op": "mutate", "table": "T", "where": [], "mutations": [["i", "/=", 0]]}, "domain error"),
        ({"op": "mutate", "table": "T", "where": [], "mutations": [["i", "*=", 2**40]]}, "range error"),
        ({"op": "insert", "table": "T", "row": {"few": 10}}, "constraint violation"),
        ({"op": "insert", "table": "T", "row": {"few": ["set", [1, 2, 3]]}}, "syntax error"),
        ({"op": "insert", "table": "T", "row": {"name": "a"}}, "constraint violation"),
        ({"op": "insert", "table": "T", "row": {"i": "one"}}, "syntax error"),
        ({"op": "insert", "table": "T", "row": {"nothing": 1}}, "unknown column"),
        ({"op": "select", "table": "Nothing", "where": []}, "syntax error"),
        ({"op": "abort"}, "aborted"),
        (
            {"op": "wait", "timeout": 0, "table": "T", "where": [], "columns": ["i"], "until": "==", "rows": []},
            "timed out",
        ),
        ({"op": "assert", "lock": "mine"}, "not owner"),
    ],
)
def test_an_error_undoes_the_whole_transaction_and_has_its_name(session, operation, error):
    put(session, name="a", i=2**40)
    before = {"op": "insert", "table": "T", "row": {"name": "first"}}
    with pytest.raises(TransactionError) as refused:
        session.transact([before, operation])
    assert refused.value.error == error
    assert get(session, "name") == ["a"]


def test_rows_of_one_transaction_refer_to_each_other_and_weak_references_go_with_what_they_name(session):
    session.transact(
        [
            {"op": "insert", "table": "T", "uuid-name": "x", "row": {"name": "x"}},
            {"op": "insert", "table": "T", "row": {"name": "y", "ref": ["named-uuid", "x"]}},
        ]
    )
    (uid,) = get(session, "_uuid", [["name", "==", "x"]])
    assert get(session, "ref", [["name", "==", "y"]]) == [uid]
    session.transact([{"op": "delete", "table": "T", "where": [["name", "==", "x"]]}])
    assert get(session, "ref", [["name", "==", "y"]]) == [["set", []]]


def test_methods_that_are_not_there_and_databases_that_are_not_are_told(session):
    with pytest.raises(ProtocolError, match="unknown method"):
        session.call("fly", [])
    with pytest.raises(ProtocolError, match="unknown database"):
        session.call("get_schema", ["Nothing"])
    assert session.call("echo", [1, "two"]) == [1, "two"]
    assert "Open_vSwitch" in session.call("list_dbs", [])


# -- monitors --------------------------------------------------------------------------------------


@pytest.fixture
def watched(database, session):
    """A second connection: what it is notified of, in order."""
    told: queue.Queue = queue.Queue()
    stream = Stream(connect(parse_target(database.target), None, 5), database.target)
    other = Session(stream, "other", DEFAULT_LIMITS, lambda method, params: told.put((method, params)))
    reader = threading.Thread(target=_run, args=(other,))
    reader.start()
    yield other, told
    other.close()
    reader.join(30)


def _run(session: Session) -> None:
    with contextlib.suppress(ConnectionLost):
        session.run()


def test_a_monitor_tells_the_columns_it_selected_one_notification_a_transaction(session, watched):
    other, told = watched
    put(session, name="a", i=1)
    (uid,) = (raw[1] for raw in get(session, "_uuid"))
    initial = other.call("monitor", ["Open_vSwitch", "m", {"T": {"columns": ["name"]}}])
    assert initial == {"T": {uid: {"new": {"name": "a"}}}}
    session.transact([{"op": "update", "table": "T", "where": [], "row": {"i": 2}}])
    session.transact(
        [
            {"op": "update", "table": "T", "where": [], "row": {"name": "b"}},
            {"op": "insert", "table": "T", "row": {"name": "c"}},
        ]
    )
    method, (name, tables) = told.get(timeout=30)
    assert (method, name, len(tables["T"])) == ("update", "m", 2), "the change of an unselected column is not told"
    assert tables["T"][uid] == {"old": {"name": "a"}, "new": {"name": "b"}}
    session.transact([{"op": "delete", "table": "T", "where": [["name", "==", "b"]]}])
    assert told.get(timeout=30)[1][1] == {"T": {uid: {"old": {"name": "b"}}}}


def test_select_leaves_kinds_of_changes_out_and_a_cancelled_monitor_is_silent(session, watched):
    other, told = watched
    select = {"initial": False, "insert": False, "modify": False, "delete": True}
    assert other.call("monitor", ["Open_vSwitch", "m", {"T": {"columns": ["name"], "select": select}}]) == {}
    put(session, name="a")
    session.transact([{"op": "update", "table": "T", "where": [], "row": {"name": "b"}}])
    session.transact([{"op": "delete", "table": "T", "where": []}])
    ((update,),) = (told.get(timeout=30)[1][1]["T"].values(),)
    assert update == {"old": {"name": "b"}}
    assert other.call("monitor_cancel", ["m"]) == {}
    put(session, name="c")
    assert other.call("echo", ["after it"]) == ["after it"]
    assert told.empty()
    with pytest.raises(ProtocolError, match="unknown monitor"):
        other.call("monitor_cancel", ["m"])


def test_a_conditional_monitor_tells_differences_and_rows_that_enter_and_leave(session, watched):
    other, told = watched
    put(session, name="a", i=1, set=["set", [1, 2]], map=["map", [["k", "v"]]])
    (uid,) = (raw[1] for raw in get(session, "_uuid"))
    request = {"T": [{"columns": ["name", "set", "map"], "where": [["i", "<", 5]]}]}
    (row,) = (r["initial"] for r in other.call("monitor_cond", ["Open_vSwitch", "m", request])["T"].values())
    assert row["name"] == "a"
    changes = [["set", "insert", 3], ["set", "delete", 1], ["map", "insert", ["map", [["n", "w"]]]]]
    session.transact([{"op": "mutate", "table": "T", "where": [], "mutations": changes}])
    method, (_, tables) = told.get(timeout=30)
    assert method == "update2"
    assert tables == {"T": {uid: {"modify": {"set": ["set", [1, 3]], "map": ["map", [["n", "w"]]]}}}}
    session.transact([{"op": "update", "table": "T", "where": [], "row": {"i": 9}}])
    assert told.get(timeout=30)[1][1] == {"T": {uid: {"delete": None}}}
    session.transact([{"op": "update", "table": "T", "where": [], "row": {"i": 0}}])
    assert told.get(timeout=30)[1][1]["T"][uid]["insert"]["name"] == "a"

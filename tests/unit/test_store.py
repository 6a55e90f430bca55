"""The store keeps documents, revisions and state: all or nothing, private, one instance at a time."""

import itertools
import json
import os
import sqlite3
import stat
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from intent.compiler import bands
from intent.schema import (
    NEVER,
    ConflictError,
    Delete,
    DocumentError,
    Outcome,
    Put,
    StoreUnavailableError,
    UnknownDocumentError,
    dump_document,
    parse_documents,
    room,
)
from intent.store import Store, StoreCorrupt, StoreError, StoreLocked, StoreTooNew, ensure_token
from intent.store import database as database_module

AT = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "store.db"


@pytest.fixture
def store(path):
    with Store(path) as store:
        yield store


def put(text, expected=None):
    return [Put(document, expected) for document in parse_documents(text, source="t.yaml")]


def apply(store, changes, **more):
    return store.apply(put(changes) if isinstance(changes, str) else changes, author="ann", at=AT, **more)


TWO = "- {kind: Network, name: n}\n- {kind: Group, name: g, members: [{world: true}]}"


def test_a_new_store_is_empty_at_revision_0(store):
    assert (store.revision, store.documents(), store.revisions()) == (0, [], [])
    assert store.intents().tiers[0].name == "emergency"


def test_an_apply_is_one_revision_with_its_diff(store):
    applied = apply(store, TWO, message="why")
    assert (applied.revision, applied.committed) == (1, True)
    assert [result.outcome for result in applied.results] == [Outcome.CREATED] * 2
    (revision,) = store.revisions()
    assert (revision.number, revision.at, revision.author, revision.message) == (1, AT, "ann", "why")
    assert [(c.kind, c.before, c.after) for c in revision.changes] == [
        ("Group", None, '{"kind":"Group","name":"g","members":[{"world":true}]}'),
        ("Network", None, '{"kind":"Network","name":"n"}'),
    ]
    assert store.intents().revision == 1
    assert set(store.intents().networks) == {"n"}


def test_what_changes_nothing_makes_no_revision(store):
    apply(store, TWO)
    applied = apply(store, TWO + "\n- {kind: Network, name: n2, posture: deny}")
    assert [r.outcome for r in applied.results] == [Outcome.UNCHANGED, Outcome.UNCHANGED, Outcome.CREATED]
    assert [r.revision for r in applied.results] == [1, 1, 2]
    again = apply(store, TWO)
    assert (again.revision, again.committed) == (2, False)
    assert len(store.revisions()) == 2


def test_everything_is_there_after_reopening(path):
    with Store(path) as store:
        apply(store, TWO)
        apply(store, "{kind: Network, name: n, posture: allow}")
        store.put_state({"ids": b"\x00map"})
        kept = (store.revision, store.revisions(), store.intents())
        documents = [(s.revision, dump_document(s.document)) for s in store.documents()]
    with Store(path) as store:
        assert (store.revision, store.revisions(), store.intents()) == kept
        assert [(s.revision, dump_document(s.document)) for s in store.documents()] == documents
        assert store.state("ids") == b"\x00map"


def test_documents_are_found_by_kind_and_name(store):
    apply(store, TWO)
    assert [s.document.name for s in store.documents("Group")] == ["g"]
    assert store.document("Group", "g").revision == 1
    assert store.document("Group", "n") is None


def test_puts_and_deletes_go_together(store):
    apply(store, TWO)
    applied = apply(store, [Delete("Group", "g"), *put("{kind: Network, name: n, posture: allow}")])
    assert [r.outcome for r in applied.results] == [Outcome.DELETED, Outcome.CHANGED]
    assert store.document("Group", "g") is None
    assert [c.after is None for c in store.revisions()[0].changes] == [True, False]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ("- {kind: Network, name: new}\n- {kind: Group, name: h, members: [{group: none}]}", DocumentError),
        ("- {kind: Network, name: new}\n- {kind: Network, name: new}", DocumentError),
        ([Delete("Group", "g"), Delete("Group", "g")], DocumentError),
        ([Delete("Group", "none")], UnknownDocumentError),
        ([Delete("Group", "g", expected=7)], ConflictError),
        (put("{kind: Network, name: n, posture: allow}", NEVER), ConflictError),
        (put("{kind: Network, name: new}", 3), ConflictError),
    ],
)
def test_what_is_refused_changes_nothing(store, changes, error):
    apply(store, TWO)
    before = list(store._database.iterdump())
    for attempt in (apply, lambda s, c: s.preview(put(c) if isinstance(c, str) else c)):
        with pytest.raises(error):
            attempt(store, changes)
    assert list(store._database.iterdump()) == before
    assert store.revision == 1


def test_a_delete_that_leaves_a_name_dangling_is_refused_where_it_is_used(store):
    apply(store, TWO + "\n- {kind: Group, name: user, members: [{group: g}]}")
    with pytest.raises(DocumentError, match=r"Group/user\.members\[0\]\.group"):
        apply(store, [Delete("Group", "g")])


def test_the_expected_revision_is_asked(store):
    apply(store, TWO, expected_revision=0)
    with pytest.raises(ConflictError, match="at revision 1, not 0"):
        apply(store, "{kind: Network, name: m}", expected_revision=0)
    expected = put("{kind: Network, name: n, posture: allow}", 1)
    assert apply(store, expected, expected_revision=1).revision == 2


def test_a_preview_changes_nothing(store):
    before = list(store._database.iterdump())
    applied = store.preview(put(TWO))
    assert (applied.revision, applied.committed, len(applied.results)) == (1, False, 2)
    assert list(store._database.iterdump()) == before
    assert store.documents() == []


def test_revisions_come_in_pages_newest_first(store):
    for number in range(5):
        apply(store, f"{{kind: Network, name: n{number}}}")
    assert [r.number for r in store.revisions(limit=2)] == [5, 4]
    assert [r.number for r in store.revisions(before=4, limit=2)] == [3, 2]
    assert [r.number for r in store.revisions(before=1)] == []


def test_revisions_are_append_only(store):
    apply(store, TWO)
    for statement in ("UPDATE revisions SET author = 'x'", "DELETE FROM revisions", "DELETE FROM changes"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            store._database.execute(statement)


def test_a_naive_instant_or_a_long_author_is_a_mistake_of_the_caller(store):
    with pytest.raises(ValueError, match="time zone"):
        store.apply(put(TWO), author="a", at=AT.replace(tzinfo=None))
    with pytest.raises(ValueError, match="short"):
        store.apply(put(TWO), author="a" * 129, at=AT)


def test_problems_of_a_later_apply_name_no_old_text(store):
    apply(store, TWO + "\n- {kind: Group, name: user, members: [{group: g}]}")
    with pytest.raises(DocumentError) as caught:
        apply(store, [Delete("Group", "g")])
    assert [(p.source, p.line) for p in caught.value.problems] == [("", None)]


def test_state_keys_are_put_together_and_removed(store):
    store.put_state({"a": b"1", "b": b""})
    assert (store.state("a"), store.state("b"), store.state("c")) == (b"1", b"", None)
    store.put_state({"a": None, "b": b"2"})
    assert (store.state("a"), store.state("b")) == (None, b"2")
    with pytest.raises(ValueError, match="key"):
        store.put_state({"c": b"", "": b""})
    assert store.state("c") is None


def test_a_write_that_fails_is_not_acknowledged_and_leaves_memory_as_it_was(store):
    apply(store, TWO)
    pages = store._database.execute("PRAGMA page_count").fetchone()[0]
    store._database.execute(f"PRAGMA max_page_count = {pages}")
    members = ", ".join(f"{{endpoint: e{i}}}" for i in range(4000))
    with pytest.raises(StoreUnavailableError, match="full"):
        apply(store, f"{{kind: Group, name: g, members: [{members}]}}")
    with pytest.raises(StoreUnavailableError, match="full"):
        store.put_state({"a": b"", "b": bytes(100_000)})
    assert (store.revision, store.state("a"), len(store.intents().groups["g"].members)) == (1, None, 1)
    store._database.execute("PRAGMA max_page_count = 1000000")
    assert apply(store, "{kind: Network, name: n, posture: allow}").revision == 2


def ordered(*orders, **more):
    rules = [{"action": "allow", "to": [{"labels": {"app": "a"}}]}]
    documents = [{"kind": "Policy", "name": f"p{order}", "order": order, "rules": rules, **more} for order in orders]
    return "\n---\n".join(map(json.dumps, documents))


def test_a_write_for_which_switches_have_no_room_is_refused_and_holds_up_nobody(store, monkeypatch):
    assert room.MAX_ORDERS == bands.MAX_SLOT
    monkeypatch.setattr(room, "MAX_ORDERS", 3)
    apply(store, ordered(1, 2, 3))
    with pytest.raises(DocumentError, match="4 orders; a switch tells 3 apart") as caught:
        apply(store, ordered(4))
    assert [(p.path, p.remedy.split(",")[0]) for p in caught.value.problems] == [
        ("Policy/p4.order", "give policies the same order")
    ]
    assert store.revision == 1
    apply(store, ordered(5, tier="security") + "\n---\n" + ordered(6, mode="off"))
    apply(store, [Delete("Policy", "p1")])
    assert apply(store, ordered(4)).revision == 4
    monkeypatch.setattr(room, "MAX_ORDERS", 2)  # as if another version had written it
    assert apply(store, ordered(2, description="it may change")).committed
    with pytest.raises(DocumentError, match="4 orders"):
        apply(store, ordered(7))


# -- files ------------------------------------------------------------------------------------


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_owner_reads_the_files(path):
    before = os.umask(0)
    try:
        with Store(path) as store:
            apply(store, TWO)
            files = sorted(path.parent.iterdir())
            assert [f.name for f in files] == ["store.db", "store.db-shm", "store.db-wal", "store.db.lock"]
            assert {mode(f) for f in files} == {0o600}
            assert mode(path.parent) == 0o700
    finally:
        os.umask(before)
    path.chmod(0o644)
    Store(path).close()
    assert mode(path) == 0o600


def test_durability_is_asked_for(store):
    pragma = {name: store._database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")}
    assert pragma == {"journal_mode": "wal", "synchronous": 2}


def test_a_second_instance_is_told_who_holds_the_store(path, store):
    with pytest.raises(StoreLocked, match=str(os.getpid())) as caught:
        Store(path)
    assert caught.value.pid == os.getpid()
    code = "import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    other = subprocess.run([sys.executable, "-c", code, f"{path}.lock"], check=False, capture_output=True)
    assert b"BlockingIOError" in other.stderr


def test_the_lock_is_free_after_closing_and_after_a_failure(path):
    Store(path).close()
    Store(path).close()
    path.write_bytes(b"no database at all" * 100)
    for _ in range(2):
        with pytest.raises(StoreCorrupt):
            Store(path)


def test_a_file_cut_to_nothing_is_no_new_store(path):
    with Store(path) as store:
        apply(store, TWO)
    path.write_bytes(b"")
    with pytest.raises(StoreCorrupt, match="backup"):
        Store(path)
    assert path.exists()


def test_a_start_that_fails_leaves_nothing_that_a_later_one_takes_for_damage(path, monkeypatch):
    def full(_connection):
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr(database_module, "_migrate", full)
    with pytest.raises(StoreError, match="free disk space") as caught:
        Store(path)
    assert not isinstance(caught.value, StoreCorrupt), "restoring a backup mends no disk"
    monkeypatch.undo()
    Store(path).close()


@pytest.mark.parametrize("damage", ["header", "middle", "truncated"])
def test_a_damaged_file_is_refused(path, damage):
    with Store(path) as store:
        for number in range(50):
            apply(store, f"{{kind: Network, name: n{number}}}")
    data = bytearray(path.read_bytes())
    if damage == "truncated":
        data = data[: len(data) // 2]
    else:
        start = 0 if damage == "header" else 4096
        data[start : start + 2000] = b"\xff" * 2000
    path.write_bytes(data)
    with pytest.raises(StoreCorrupt, match="backup"):
        Store(path)
    assert path.read_bytes() == data


def test_a_file_of_a_later_version_is_refused_and_left_alone(path):
    Store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreTooNew, match="schema version 99"):
        Store(path)
    assert path.read_bytes() == before


def test_a_database_of_another_program_is_refused(tmp_path):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(StoreCorrupt, match="another program"):
        Store(path)


@pytest.mark.parametrize(
    "statement",
    [
        """UPDATE documents SET body = '{"kind":"Network","name":"n","posture":"open"}' WHERE kind = 'Network'""",
        """UPDATE documents SET body = '{"kind":"Network","name":"m"}' WHERE kind = 'Network'""",
        "UPDATE documents SET body = 'no json' WHERE kind = 'Network'",
        "DELETE FROM documents WHERE name = 'g'",
    ],
)
def test_documents_somebody_edited_in_the_file_are_refused(path, statement):
    with Store(path) as store:
        apply(store, TWO + "\n- {kind: Group, name: user, members: [{group: g}]}")
        store._database.execute(statement)
    with pytest.raises(StoreCorrupt, match="refuses"):
        Store(path)


def test_an_older_file_is_migrated(path, monkeypatch):
    with Store(path) as store:
        apply(store, TWO)
    later = (*database_module.MIGRATIONS, ("ALTER TABLE state ADD COLUMN at TEXT",))
    monkeypatch.setattr(database_module, "MIGRATIONS", later)
    with Store(path) as store:
        assert store.revision == 1
        assert store._database.execute("PRAGMA user_version").fetchone()[0] == 2


def test_what_is_no_file_is_refused(tmp_path):
    (tmp_path / "store.db").mkdir()
    with pytest.raises(StoreError, match="state directory"):
        Store(tmp_path / "store.db")
    (tmp_path / "link.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="state directory"):
        Store(tmp_path / "link.db")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StoreError, match="no regular file"):
        Store(tmp_path / "pipe")


def test_the_token_is_made_once_and_private(tmp_path):
    path = tmp_path / "new" / "token"
    token = ensure_token(path)
    assert len(token) >= 43
    assert ensure_token(path) == token
    assert mode(path) == 0o600
    assert [f.name for f in path.parent.iterdir()] == ["token"]


def test_a_token_that_others_can_read_or_that_is_none_is_refused(tmp_path):
    path = tmp_path / "token"
    ensure_token(path)
    path.chmod(0o640)
    with pytest.raises(StoreError, match="others can read"):
        ensure_token(path)
    path.chmod(0o600)
    path.write_text("short\n")
    with pytest.raises(StoreError, match="no token"):
        ensure_token(path)


def syncs(store):
    """Statements seen from now on, and how many commits among them waited for the disk."""
    seen = []
    store._database.set_trace_callback(seen.append)

    def count():
        levels = [s for s in seen if s.startswith(("PRAGMA synchronous", "COMMIT"))]
        return sum(a.endswith("FULL") and b == "COMMIT" for a, b in itertools.pairwise(levels))

    return count


def test_numbers_that_follow_make_their_revision_durable_with_the_same_sync(store):
    count = syncs(store)
    apply(store, TWO)
    assert count() == 0
    store.put_state({"ids": b"1"})
    store.make_durable()
    assert count() == 1


def test_a_revision_that_nothing_follows_is_durable_once_somebody_asks(store):
    count = syncs(store)
    apply(store, TWO)
    store.make_durable()
    store.make_durable()
    assert count() == 1
    apply(store, TWO)
    store.make_durable()
    assert count() == 1, "what changes nothing costs nothing"

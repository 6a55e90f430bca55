"""SIGKILL at any moment loses no acknowledged write and leaves a store that opens."""

import multiprocessing
import os
import random
import signal
import threading
from datetime import UTC, datetime

from intent.schema import Put, dump_document, parse_documents
from intent.store import Store

ROUNDS = 20
SEED = 20


def write_for_ever(path, reader, pipe):
    """Write documents and state, and say the revision once both are acknowledged; end with who reads that."""
    os.close(reader)
    store = Store(path)
    for number in range(store.revision + 1, 1_000_000):
        text = f"{{kind: Group, name: n{number % 7}, members: [{{endpoint: r{number}}}]}}"
        applied = store.apply(list(map(Put, parse_documents(text, source="t"))), author="w", at=datetime.now(UTC))
        store.put_state({"a": str(number).encode(), "b": str(number).encode()})
        os.write(pipe, f"{applied.revision}\n".encode())


def acknowledged_until_killed(path, delay_s, *, at_work):
    """Run a writer of its own process, kill it, return what it acknowledged.

    So long after it began, which may be while it opens the store, or after it was `at_work`: after its second write.
    """
    reader, pipe = os.pipe()
    # Forked: it is writing at once.
    writer = multiprocessing.get_context("fork").Process(target=write_for_ever, args=(path, reader, pipe), daemon=True)
    writer.start()
    os.close(pipe)
    timer = threading.Timer(delay_s, writer.kill)
    with os.fdopen(reader) as lines:
        acknowledged = [int(lines.readline()) for _ in range(2 * at_work)]
        timer.start()
        acknowledged += [int(line) for line in lines]
    timer.join()
    writer.join()
    assert writer.exitcode == -signal.SIGKILL
    return acknowledged


def test_sigkill_loses_no_acknowledged_write(tmp_path):
    chance = random.Random(SEED)
    path = tmp_path / "store.db"
    known, known_state, total = 0, 0, 0
    for number in range(ROUNDS):
        acknowledged = acknowledged_until_killed(path, chance.uniform(0.0, 0.2), at_work=number % 2)
        total += len(acknowledged)
        known, known_state = max([known, *acknowledged]), max([known_state, *acknowledged])
        with Store(path) as store:
            # One more may have become durable just before its acknowledgement.
            assert known <= store.revision <= known + 1
            assert known_state <= int(store.state("a") or 0) <= store.revision
            assert store.state("a") == store.state("b")
            check_contents(store)
            known, known_state = store.revision, int(store.state("a") or 0)
    assert total >= ROUNDS


def check_contents(store):
    """Documents are exactly those that the revisions left, each revision whole."""
    numbers = [revision.number for revision in store.revisions(limit=10_000)]
    assert numbers == list(range(store.revision, 0, -1))
    for stored in store.documents():
        latest = max(n for n in numbers if f"n{n % 7}" == stored.document.name)
        assert stored.revision == latest
        assert dump_document(stored.document)["members"] == [{"endpoint": f"r{latest}"}]
    assert len(store.documents()) == min(7, store.revision)

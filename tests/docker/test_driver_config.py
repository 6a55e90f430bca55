"""The driver's configuration: what is wrong is named; what is printed reads back the same."""

import contextlib
import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from docker_driver.config import Config, ConfigError, describe, load, parse
from docker_driver.state import Network, State
from intent.schema import parse_documents, to_intents


def test_what_is_printed_reads_back():
    assert parse(describe().encode(), source="x") == Config()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sockett: /x", "sockett"),
        ("pools: [10.0.0.0/30]", "pools"),
        ("pools: [nonsense]", "pools"),
        ("pools: [fd00::/32]", "pools"),
        ("labels: {keys: ['a b']}", "labels.keys"),
        ("labels: {values: {tier: ['a b']}}", "labels.values"),
        ("controller_down: maybe", "controller_down"),
        ("rest_s: -1", "rest_s"),
        ("server: ftp://x", "server"),
        ("[1]", "dictionary"),
        ("a: [", "no valid YAML"),
        ("x" * 70000, "longer"),
    ],
)
def test_what_is_wrong_is_named(text, words):
    with pytest.raises(ConfigError, match=words) as caught:
        parse(text.encode(), source="docker.yaml")
    assert "docker.yaml" in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    assert load(None, system_path=tmp_path / "none") == Config()
    with pytest.raises(ConfigError, match="--config"):
        load(tmp_path / "none")


@pytest.mark.parametrize(("text", "code"), [("nope: 1", 2), ("state_dir: /proc/nowhere", 4)])
def test_exit_codes(tmp_path, text, code):
    (tmp_path / "docker.yaml").write_text(text)
    command = [sys.executable, "-m", "docker_driver", "--config", str(tmp_path / "docker.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_page_gives_a_configuration_that_is_one():
    page = (Path(__file__).parents[2] / "docs/docker.md").read_text()
    rules = parse(re.search(r"```yaml\n(labels:.*?)```", page, re.DOTALL)[1].encode(), source="page").labels.rules
    assert rules.problem("tier", "web") is None
    assert rules.problem("tier", "admin") is not None
    assert rules.problem("team.example/owner", "x") is not None


def test_the_examples_intents_are_intents():
    folder = Path(__file__).parents[2] / "examples/compose"
    for name in ("shop.yaml", "lock.yaml"):
        assert to_intents(parse_documents((folder / name).read_text(), source=name)).policies


def test_a_state_file_of_the_version_before_is_read_as_it_is(tmp_path):
    """Before networks knew gateways and endpoints what they publish."""
    with contextlib.closing(sqlite3.connect(tmp_path / "docker.db")) as db, db:
        db.executescript(
            "CREATE TABLE networks (id TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
            "CREATE TABLE endpoints (id TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID; PRAGMA user_version = 1;"
        )
        network = {"name": "shop", "subnets": ["10.1.0.0/24"], "mtu": 1500}
        db.execute("INSERT INTO networks VALUES ('n', ?)", (json.dumps(network),))
        endpoint = {"network": "n", "mac": "02:00:00:00:00:01", "addresses": ["10.1.0.2/24"], "exposed": [[6, 80]]}
        endpoint |= {"made_at": 1.0, "joined": True}
        db.execute("INSERT INTO endpoints VALUES ('e', ?)", (json.dumps(endpoint),))
    state = State(tmp_path)
    try:
        assert state.network("n") == Network("n", "shop", ("10.1.0.0/24",))
        assert state.endpoint("e").exposed == ((6, 80),)
        assert state.endpoint("e").published == ()
        instance = state.instance
        assert len(instance) == 8
    finally:
        state.close()
    again = State(tmp_path)
    assert again.instance == instance
    again.close()

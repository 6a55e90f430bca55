"""The import contracts of pyproject.toml keep a lawful tree and break for each unlawful import."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
NAMES = {contract["id"]: contract["name"] for contract in CONFIG["contracts"]}

LAWFUL = {
    "topology/model.py": "import dataclasses",
    "intent/model.py": "import topology.model",
    "intent/schema/parse.py": "import pydantic\nimport yaml\nimport intent.model",
    "intent/semantics.py": "import intent.meaning.policy",
    "intent/meaning/policy.py": "import intent.model",
    "intent/compiler/lower.py": "import intent.model",
    "intent/api/app.py": "import falcon\nimport intent.semantics",
    "intent/store/sqlite.py": "import os\nimport sqlite3\nimport time\nimport intent.schema.parse",
    "ovsdb/client.py": "import ovs.db\nimport socket\nimport topology.model",
    "ryu_apps/framework.py": "import eventlet\nimport ryu.base",
    "ryu_apps/main.py": "import intent.store.sqlite\nimport ovsdb.client\nimport ryu_apps.framework",
    "cli/main.py": "import http.client",
    "docker_driver/state.py": "import sqlite3\nimport yaml",
    "mininet_scenarios/demo.py": "import intent.semantics\nimport ovsdb.client",
}

UNLAWFUL = [
    ("pure", "topology/bad_clock.py", "import time"),
    ("pure", "topology/bad_chance.py", "import random"),
    ("pure", "intent/api/bad_socket.py", "import socket"),
    ("pure", "intent/compiler/bad_green.py", "import eventlet"),
    ("pure", "intent/schema/bad_ryu.py", "from ryu.lib import hub"),
    ("pure", "intent/bad_ovs.py", "from ovs import json"),
    ("store", "intent/api/bad_store.py", "import intent.store.sqlite"),
    ("sqlite", "ryu_apps/bad_sql.py", "import sqlite3"),
    ("ryu", "ryu_apps/bad_ryu.py", "from ryu.ofproto import ofproto_v1_4"),
    ("ovs", "ryu_apps/bad_ovs.py", "import ovs.db.idl"),
    ("layers", "topology/bad_up.py", "import intent.model"),
    ("layers", "intent/bad_sibling.py", "import ovsdb.client"),
    ("layers", "ovsdb/bad_sibling.py", "import intent.model"),
    ("layers", "intent/bad_up.py", "import ryu_apps.main"),
    ("cli", "cli/bad_intent.py", "import intent.model"),
    ("docker", "docker_driver/bad_inside.py", "import intent.model"),
    ("docker", "docker_driver/bad_ovs.py", "import ovs.db.idl"),
    ("scenarios", "mininet_scenarios/bad_controller.py", "import ryu_apps.main"),
    ("ends", "ryu_apps/bad_end.py", "import cli.main"),
    ("meaning", "intent/meaning/bad_compiler.py", "import intent.compiler.lower"),
    ("compiler", "intent/compiler/bad_meaning.py", "import intent.semantics"),
    ("compiler", "intent/compiler/bad_inner_meaning.py", "import intent.meaning.policy"),
]


def lint(tree: Path, files: dict[str, str]) -> str:
    """Write a tree of packages and return what import-linter says of it."""
    for name, text in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
        for parent in path.relative_to(tree).parents[:-1]:
            (tree / parent / "__init__.py").touch()
    # The laws alone: a virtual environment of the tree's own would be looked for otherwise.
    laws = (ROOT / "pyproject.toml").read_text()
    (tree / "pyproject.toml").write_text(laws[laws.index("[tool.importlinter]") :])
    command = [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"]
    environment = {"PYTHONPATH": str(tree), "PATH": "/usr/bin:/bin", "COLUMNS": "200", "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """The report on a tree that breaks everything, split by contract."""
    files = LAWFUL | {path: text for _, path, text in UNLAWFUL}
    output = lint(tmp_path_factory.mktemp("unlawful"), files)
    details = output[output.index("Broken contracts") :]
    starts = sorted((details.index(f"\n{name}\n---"), name) for name in NAMES.values() if f"\n{name}\n---" in details)
    ends = [start for start, _ in starts[1:]] + [len(details)]
    return {name: details[start:end] for (start, name), end in zip(starts, ends, strict=True)}


def test_a_lawful_tree_keeps_every_contract(tmp_path):
    output = lint(tmp_path, LAWFUL)
    assert f"Contracts: {len(NAMES)} kept, 0 broken." in output


def test_every_contract_is_shown_to_break():
    assert {law for law, _, _ in UNLAWFUL} == set(NAMES)


@pytest.mark.parametrize(("law", "path", "text"), UNLAWFUL, ids=[f"{law}-{path}" for law, path, _ in UNLAWFUL])
def test_an_unlawful_import_breaks_its_contract(broken, law, path, text):
    module = path.removesuffix(".py").replace("/", ".")
    target = re.search(r"(?:from|import) ([\w.]+)", text)[1]
    edge = rf"{re.escape(module)} -> {re.escape(target.split('.')[0])}"
    assert re.search(edge, broken[NAMES[law]])

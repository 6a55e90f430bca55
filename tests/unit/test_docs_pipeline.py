"""The page about the pipeline is what the code makes of itself, and its commands work."""

import difflib
import re
import subprocess
import sys

from intent.compiler import IdMap
from intent.compiler.tables import Table
from intent.store import Store
from scripts.pipeline_page import page
from tests.unit.docs_kit import ROOT

PAGE = ROOT / "docs/pipeline.md"
NOW_S = 0.0


def test_the_page_is_what_the_code_says_now():
    fresh, there = page(), PAGE.read_text()
    difference = difflib.unified_diff(
        there.splitlines(), fresh.splitlines(), "docs/pipeline.md", "as the code says", lineterm=""
    )
    assert fresh == there, "\n".join([*difference, "run `make docs`, read the difference and commit it"])


def test_the_examples_have_a_flow_in_every_table():
    text = PAGE.read_text()
    shown = {int(number) for number in re.findall(r"^####? (\d+) `", text, re.MULTILINE)}
    assert set(Table) <= shown


def test_the_command_that_names_numbers_reads_the_store_of_a_running_controller(tmp_path):
    (command,) = re.findall(r"^python3 -c '\n(.*?)^'$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    path = tmp_path / "ringfence.db"
    assert "/var/lib/ringfence/ringfence.db" in command
    ids = IdMap().with_space("rule", ["web-to-app/api", "db-lock/all"], NOW_S)
    with Store(path) as store:
        store.put_state({"ids": ids.to_json().encode()})
        words = [sys.executable, "-c", command.replace("/var/lib/ringfence/ringfence.db", str(path))]
        said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    assert said.splitlines() == ["rule 1 db-lock/all", "rule 2 web-to-app/api"]

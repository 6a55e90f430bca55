"""The tree is what README, Makefile and CONTRIBUTING say it is."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ("setup", "demo", "run", "test", "check", "golden", "docs", "soak", "bench")
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/glossary.md", "docs/architecture.md")


def make(*words: str) -> str:
    # Without what a make above us, whose tests these are, left in the environment.
    surroundings = {k: v for k, v in os.environ.items() if k not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}
    command = ["make", "--no-print-directory", *words]
    return subprocess.run(command, cwd=ROOT, env=surroundings, check=True, capture_output=True, text=True).stdout


def tracked() -> list[str]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [name for name in listing.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("target", TARGETS)
def test_make_knows_the_target_and_help_explains_it(target):
    assert re.search(rf"^  make {target} +\S", make("help"), re.MULTILINE)


@pytest.mark.parametrize("target", ["demo", "run", "test"])
def test_what_a_person_types_first_calls_setup(target):
    assert make("-n", target).splitlines()[0] == "scripts/setup.sh"


def test_ci_runs_the_readmes_test_command_and_nothing_else():
    lines = (ROOT / ".ci/run").read_text().splitlines()
    commands = [line for line in lines if line and not line.startswith("#")]
    assert commands == ['cd "$(dirname "$0")/.." && exec make test']
    assert "make test" in (ROOT / "README.md").read_text()


def test_every_make_command_in_the_pages_exists():
    known = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        used = set(re.findall(r"(?:^|`)make ([a-z]+)", (ROOT / page).read_text(), re.MULTILINE))
        assert used <= known, page


@pytest.mark.parametrize("page", [name for name in tracked() if name.endswith(".md")])
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", (ROOT / page).read_text()):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), f"{page} links to {target}"


def test_decisions_are_numbered_without_gaps_and_whole():
    records = sorted((ROOT / "docs/adr").glob("[0-9]*.md"))
    assert [int(r.name[:4]) for r in records] == list(range(1, len(records) + 1))
    for record in records:
        heads = re.findall(r"^## (.+)$", record.read_text(), re.MULTILINE)
        assert heads == ["Context", "Decision", "Rejected", "Consequences"], record.name


def test_nothing_in_the_tree_is_tied_to_one_machine():
    pattern = re.compile(r"(?<![\w.-])/(?:work|root|home)/\w")
    named = [
        f"{name}: {line.strip()[:80]}"
        for name in tracked()
        if not name.endswith((".lock", ".json", ".svg"))
        for line in (ROOT / name).read_text(errors="replace").splitlines()
        if pattern.search(line)
    ]
    assert named == []

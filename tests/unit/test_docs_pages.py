"""What the pages for people name is there: links, commands with their options, targets, paths of the API, settings."""

import re
import shlex
from functools import partial
from pathlib import Path

import pytest

from cli.parser import build, commands_of
from intent.api.operations import OPERATIONS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "mininet_scenarios/*.md", "benchmarks/*.md")
    for path in ROOT.glob(pattern)
)
FENCED = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
PARSER = build()
COMMANDS = {name: command for name, _, command in commands_of(PARSER)}
DRIVERS = {"labels.keys", "labels.values"}
"""Settings of the Docker driver whose section the controller has as well."""
SECTIONS = "openflow|rest|ovsdb|bridge|tunnel|labels|reconcile"


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    return FENCED.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings as GitHub makes them."""
    heads = re.findall(r"^#+ +(.+)$", prose(page), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", head).strip().lower() for head in heads)
    return {re.sub(r"[^\w\- ]", "", head).replace(" ", "-") for head in plain}


def lines_of(page: Path) -> list[str]:
    """Return the command lines in a page's blocks, those that go on joined."""
    blocks = FENCED.findall(page.read_text())
    return [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]


def spoken(page: Path) -> list[str]:
    """Return what stands between backticks in a page's text, on one line each."""
    return [" ".join(found.split()) for found in re.findall(r"`([^`]+)`", prose(page))]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        other = (page.parent / path).resolve() if path else page
        assert other.exists(), f"{name(page)}: {target}"
        assert not anchor or other.suffix != ".md" or anchor in anchors(other), f"{name(page)}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_line_in_a_block_is_one(page):
    for line in lines_of(page):
        words = shlex.split(line, comments=True) if line.startswith("ringfence ") else []
        ends = [n for n, word in enumerate(words) if word in {"|", "&", "&&", ">", "<", "<<EOF", "<<'EOF'", "||"}]
        words = words[1 : min(ends, default=len(words))]
        if words and "..." not in line and "…" not in line:
            assert parses(words), f"{name(page)}: {line}"


def parses(words: list[str]) -> bool:
    try:
        PARSER.parse_args(words)
    except SystemExit as end:
        return end.code == 0
    return True


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_that_is_spoken_of_has_its_options(page):
    for text in spoken(page):
        words = text.split()
        if words[0] != "ringfence" or len(words) == 1 or words[1].startswith("-"):
            continue
        assert words[1] in COMMANDS, f"{name(page)}: {text}"
        options = set(COMMANDS[words[1]]._option_string_actions)
        assert {w for w in words if w.startswith("-") and w != "-"} <= options, f"{name(page)}: {text}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_target_of_make_is_there(page):
    makefile = (ROOT / "Makefile").read_text()
    for text in [*lines_of(page), *spoken(page)]:
        if found := re.match(r"make ([a-z]+)\b", text):
            assert re.search(rf"^{found[1]}:", makefile, re.MULTILINE), f"{name(page)}: {text}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_path_of_the_api_is_served(page):
    served = [path.split("/") for path in OPERATIONS]
    for path in re.findall(r"(/v1/[\w/{}<>-]+)", page.read_text()):
        assert any(map(partial(is_like, path.rstrip("/").split("/")), served)), f"{name(page)}: {path}"


def is_like(said: list[str], served: list[str]) -> bool:
    """Say whether a path is one of a template; what stands in capitals, `<>` or `{}` stands for anything."""
    pairs = zip(said, served, strict=False)
    return len(said) == len(served) and all(a == b or b[:1] == "{" or a[:1] in "{<" or a.isupper() for a, b in pairs)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_setting_that_is_spoken_of_is_one(page):
    reference = (ROOT / "docs/configuration.md").read_text()
    known = set(re.findall(r"^\| `([\w.]+)` \|", reference, re.MULTILINE)) | DRIVERS
    sections = {key.rsplit(".", n)[0] for key in known for n in range(1, key.count(".") + 1)}
    for text in spoken(page):
        if re.fullmatch(rf"({SECTIONS})(\.[a-z_]+)+", text) and not text.endswith(".py"):
            assert text in known | sections, f"{name(page)}: {text}"

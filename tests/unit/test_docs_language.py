"""Every example of the pages about the language means what stands beside it, in the semantics and in a switch."""

import re

import pytest

from cli.parser import build
from intent.kubernetes import read_objects, translate
from intent.schema import DocumentError, dump_yaml
from scripts.example import read
from tests.unit.docs_kit import ROOT, read_page
from tests.unit.docs_stage import check

PAGES = {
    "policy.md": read_page("policy.md"),
    "policy-advanced.md": read_page("policy-advanced.md", borrowed="policy.md"),
    "coming-from.md": read_page("coming-from.md"),
}
EXAMPLES = [example for page in PAGES.values() for example in page.examples]
CLAIMS = [
    pytest.param(example, claim, id=f"{example.place} {claim.text}") for example in EXAMPLES for claim in example.claims
]
REFUSED = [refused for page in PAGES.values() for refused in page.refused]
COMMANDS = {
    command.partition("#")[0].replace("...", "")
    for name in (*PAGES, "pipeline.md")
    for command in re.findall(r"(?:^|`)ringfence ([^`\n]+)", (ROOT / "docs" / name).read_text(), re.MULTILINE)
}


@pytest.mark.parametrize("words", sorted(COMMANDS))
def test_the_command_exists(words):
    build().parse_args(words.split())


@pytest.mark.parametrize(("example", "claim"), CLAIMS)
def test_the_claim_holds(example, claim):
    check(example.texts, example.place, claim)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.place)
def test_no_example_stands_without_a_claim(example):
    assert example.claims, "say in a `verdicts` block what it means"


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.kubernetes], ids=lambda example: example.place)
def test_the_translation_from_kubernetes_is_what_the_import_makes(example):
    imported = read(dump_yaml(translate(read_objects(example.kubernetes, source=example.place)).puts), source="import")
    shown = read(*example.texts, source=example.place)
    assert shown.intents.policies == imported.intents.policies
    assert shown.intents.tiers == imported.intents.tiers


@pytest.mark.parametrize("refused", REFUSED, ids=lambda refused: refused.place)
def test_what_is_shown_as_refused_is_refused_in_these_words(refused):
    with pytest.raises(DocumentError) as error:
        read(refused.text, source="intents.yaml")
    assert str(error.value) == refused.why

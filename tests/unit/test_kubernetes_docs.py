"""Every example of docs/kubernetes.md does what the page says."""

import re
from pathlib import Path

import pytest

from intent.kubernetes import read_objects, translate
from intent.schema import DocumentError, document_text, parse_documents, to_intents

PAGE = (Path(__file__).resolve().parents[2] / "docs/kubernetes.md").read_text()
BLOCKS = re.findall(r"^```(yaml kubernetes|yaml ringfence|text refused)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
EXAMPLES = list(zip(BLOCKS[::2], BLOCKS[1::2], strict=True))


def test_each_example_is_a_pair():
    assert len(EXAMPLES) > 8
    assert {first[0] for first, _ in EXAMPLES} == {"yaml kubernetes"}
    assert {second[0] for _, second in EXAMPLES} == {"yaml ringfence", "text refused"}


@pytest.mark.parametrize(("given", "expected"), [(a[1], b[1]) for a, b in EXAMPLES if b[0] == "yaml ringfence"])
def test_objects_become_the_documents_beside_them(given, expected):
    made = translate(read_objects(given, source="example")).puts
    to_intents(made)
    texts = {(doc.kind, doc.name): document_text(doc) for doc in made}
    shown = parse_documents(expected, source="page")
    for document in shown:
        assert texts[document.kind, document.name] == document_text(document)
    shared = {("Tiers", "default"), ("Network", "pods")}
    assert texts.keys() - shared == {(d.kind, d.name) for d in shown} - shared, "the page leaves something out"


@pytest.mark.parametrize(("given", "path"), [(a[1], b[1].strip()) for a, b in EXAMPLES if b[0] == "text refused"])
def test_what_cannot_be_said_is_refused_with_its_path(given, path):
    with pytest.raises(DocumentError) as refused:
        translate(read_objects(given, source="example"))
    assert [problem.path for problem in refused.value.problems] == [path]
    assert all(problem.remedy for problem in refused.value.problems)

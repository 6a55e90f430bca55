"""The contracts in docs/architecture.md are those of the code: every signature, every module of the tables."""

import importlib
import inspect
import re

import pytest

from tests.unit.docs_kit import ROOT

PAGE = (ROOT / "docs/architecture.md").read_text()
CONTRACTS = re.findall(r"^((?:topology|intent|ovsdb|ryu_apps)[\w.]+)\((.*)\) -> (.+)$", PAGE, re.MULTILINE)


def find(dotted: str):
    """Return what a dotted name stands for: the attributes of the longest module."""
    parts = dotted.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for name in parts[cut:]:
            found = getattr(found, name)
        return found
    raise AssertionError(f"there is no {dotted}")


def shape(function) -> str:
    """Write a signature as the page does: names, `*` before the keyword-only ones."""
    words = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in words:
            words.append("*")
        words.append(name)
    return ", ".join(word for word in words if word != "self")


@pytest.mark.parametrize(("name", "parameters", "returns"), CONTRACTS, ids=[name for name, _, _ in CONTRACTS])
def test_the_signature_is_that_of_the_code(name, parameters, returns):
    function = find(name)
    assert (parameters, returns) == (shape(function), inspect.signature(function).return_annotation)


def test_the_page_names_contracts_of_every_pure_part():
    named = {".".join(name.split(".")[:2]) for name, _, _ in CONTRACTS}
    parts = ("inventory", "schema", "kubernetes", "clockwork", "semantics", "compiler", "store", "api")
    assert named >= {f"intent.{part}" for part in parts}


def test_the_modules_of_the_tables_exist():
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", PAGE, re.MULTILINE)
    modules = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert modules
    packages = (ROOT / "ryu_apps", ROOT / "ovsdb")
    assert [name for name in modules if not any(list(package.glob(f"{name}*")) for package in packages)] == []

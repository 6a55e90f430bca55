"""What the page for who is woken at night shows is what the command says, and what it advises helps."""

import re
from datetime import UTC, datetime
from pathlib import Path

from cli.answer import Answer
from cli.verdicts import print_verdict
from intent.api.scene import Scene
from intent.api.verdicts import verdict
from intent.schema import parse_documents, to_intents
from tests.unit.cli_kit import endpoint
from topology.model import Inventory

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "troubleshooting.md").read_text()
POLICY, GLASS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
(SAID,) = re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
ENDS = ("app-1", "db-1")


def answer(*documents: str) -> Answer:
    text = "\n---\n".join(["{kind: Network, name: shop}", *documents])
    intents = to_intents(parse_documents(text, source="page"))
    inventory = Inventory({e.name: e for e in (endpoint("app-1", 2), endpoint("db-1", 3))})
    scene = Scene(intents, inventory, datetime(2026, 1, 2, tzinfo=UTC))
    return Answer(verdict(scene, ENDS, "tcp/5432", "").model_dump(by_alias=True, mode="json"), "verdict")


def test_the_answer_is_the_one_that_is_shown(capsys):
    print_verdict(answer(POLICY), *ENDS, "tcp/5432")
    assert capsys.readouterr().out == SAID


def test_the_glass_that_is_broken_lets_it_through():
    assert answer(POLICY, GLASS).text("verdict") == "allow"

"""What the README shows works as it stands there."""

import re
from pathlib import Path

import pytest

from cli.parser import build, commands_of
from intent.schema import parse_documents, to_intents

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
COMMANDS = re.findall(r"^ringfence (.+?)(?:  +#.*)?$", README, re.MULTILINE)


def test_the_documents_are_valid_intents():
    (text,) = re.findall(r"^```yaml\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    intents = to_intents(parse_documents(text, source="README.md"))
    assert set(intents.policies) == {"web-to-app", "db-lock"}


@pytest.mark.parametrize("words", COMMANDS)
def test_the_commands_exist_with_their_options(words):
    build().parse_args(words.split())


def test_every_command_that_people_start_with_is_shown():
    shown = {words.split()[0] for words in COMMANDS}
    assert shown >= {"run", "apply", "status", "endpoints", "verdict", "why", "matrix", "counters", "observed", "top"}
    assert shown <= {name for name, _, _ in commands_of(build())}

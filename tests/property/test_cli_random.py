"""Whatever JSON a server answers, every command ends with an exit code of its own."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.client import Client
from cli.exits import Exit
from cli.main import main

FIELDS = (
    "addresses at before by changes connected document documents dpid dryRun egress endpoints errors from "
    "intents items kind labels location name openings outcome phase realized reports results revision rules "
    "service switches to verdict"
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("pending")
ANSWERS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS.split()), inner, max_size=8),
    max_leaves=20,
)
QUESTIONS = (
    ["status"],
    ["endpoints"],
    ["switches"],
    ["revisions"],
    ["matrix"],
    ["verdict", "a", "b", "icmp"],
    ["get", "all"],
    ["get", "tiers", "-o", "table"],
    ["get", "group", "g"],
    ["delete", "group", "g"],
    ["apply", "-f", __file__],
)


@settings(max_examples=100)
@given(st.sampled_from(QUESTIONS), ANSWERS, st.booleans())
def test_no_answer_makes_a_traceback(argv, answer, as_json):
    body = json.dumps(answer).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Client, "_request", lambda *_, **__: body)
        assert main([*argv, *(["--json"] if as_json else [])]) in {Exit.OK, Exit.NEGATIVE, Exit.BROKEN}

"""Demonstrations end as scripts expect; cells whose packets were lost are asked again, and no others."""

import json

import pytest

from mininet_scenarios import measuring, sandbox, show
from mininet_scenarios.expectation import Cell, Expected
from mininet_scenarios.measuring import PATIENCE_S, TIMEOUT_S, Measured
from mininet_scenarios.scenario import Probe
from mininet_scenarios.shell import CommandError
from mininet_scenarios.show import Show, Told, perform


@pytest.fixture
def inside(monkeypatch):
    monkeypatch.setattr(sandbox, "is_inside", lambda: True)
    monkeypatch.setattr(sandbox, "enter", lambda: None)


def ready():
    return None


@pytest.mark.parametrize(
    ("verdicts", "passed", "code"),
    [
        pytest.param([True, True], True, 0, id="all as intended"),
        pytest.param([True, False], True, show.FAILED, id="one is not"),
        pytest.param([True], False, show.FAILED, id="what is no verdict is not"),
        pytest.param([], True, show.FAILED, id="nothing was measured"),
    ],
)
def test_a_run_passes_when_something_was_measured_and_all_is_as_intended(inside, capsys, verdicts, passed, code):
    told = Show(ready, lambda teller: teller.say("running") or Told("s", verdicts, {"more": 7}, passed))
    assert perform(told, [], as_json=False) == code
    assert capsys.readouterr().out.splitlines()[-1] == f"demo: {sum(verdicts)}/{len(verdicts)} cells as intended"
    assert perform(told, [], as_json=True) == code
    said = capsys.readouterr()
    counts = {"cells": len(verdicts), "as_intended": sum(verdicts)}
    assert json.loads(said.out) == {"scenario": "s", "passed": code == 0, **counts, "more": 7}
    assert "running" in said.err


def test_what_cannot_run_or_fails_says_why(inside, capsys):
    def fail(_teller):
        raise CommandError("ovs-vsctl: no database")

    assert perform(Show(lambda: "needs root", fail), [], as_json=False) == show.UNUSABLE
    assert perform(Show(ready, fail), [], as_json=False) == show.FAILED
    assert capsys.readouterr().err == "demo: needs root\ndemo: failed: ovs-vsctl: no database\n"


def test_an_interrupted_demonstration_says_that_all_is_gone(monkeypatch, capsys):
    monkeypatch.setattr(sandbox, "is_inside", lambda: False)
    asked = []
    interrupted = Show(ready, lambda _: None, lambda argv: asked.append(argv) or sandbox.INTERRUPTED)
    assert perform(interrupted, ["--scenario", "s"], as_json=False) == sandbox.INTERRUPTED
    assert asked[0][-3:] == ["mininet_scenarios.demo", "--scenario", "s"]
    assert "everything it made is gone" in capsys.readouterr().err


class Says:
    """A judge that wants the same of every cell."""

    def __init__(self, outcome):
        self.expect = lambda _cell: Expected(outcome, "why")


@pytest.mark.parametrize(
    ("expected", "group", "first", "asked_again"),
    [
        ("open", "", "blocked", True),
        ("open", "", "one-way", True),
        ("open", "", "leaked", False),
        ("blocked", "", "blocked", False),
        ("blocked", "", "one-way", False),
        ("open", "239.1.2.3", "blocked", True),
        ("open", "239.1.2.3", "repeated", False),
    ],
)
def test_only_what_may_have_been_lost_is_asked_again(monkeypatch, expected, group, first, asked_again):
    cell = Cell("a", "b", "10.0.0.1", group or "10.0.0.2", Probe("udp", 53, group))
    asked = []

    def matrix(_agents, cells, timeout_s):
        asked.append((list(cells), timeout_s))
        return {one: Measured(first if len(asked) == 1 else "open") for one in cells}

    monkeypatch.setattr(measuring, "matrix", matrix)
    (found,) = measuring.judged({}, Says(expected), [cell])
    assert asked[1:] == [([cell] if asked_again else [], TIMEOUT_S), ([], PATIENCE_S)]
    assert found.measured.outcome == ("open" if asked_again else first)

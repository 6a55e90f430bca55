"""What a run says: signs, their legend, what changed."""

import io

import pytest

from mininet_scenarios import report
from mininet_scenarios.expectation import Cell, Expected
from mininet_scenarios.measuring import Compared, Measured
from mininet_scenarios.report import Paper
from mininet_scenarios.runner import Phase
from mininet_scenarios.scenario import probe

CELL = Cell("visitor", "web1", "10.1.0.9", "10.1.0.1", probe("tcp/80"))


def phase(expected, measured):
    return Phase("as it is", [Compared(CELL, Expected(expected, "because"), Measured(measured))], 1.0)


def written(write, *args):
    stream = io.StringIO()
    write(Paper(stream, colours=False), *args)
    return stream.getvalue()


@pytest.mark.parametrize(("before", "after"), [("refused", "blocked"), ("blocked", "refused"), ("refused", "refused")])
def test_a_cell_that_rejects_has_not_changed_because_an_answer_was_rationed(before, after):
    assert "What changed: 0 cells" in written(report.changes, phase("refused", before), phase("refused", after))


@pytest.mark.parametrize("told", ["refused", "blocked"])
def test_a_cell_that_begins_to_reject_has_changed(told):
    text = written(report.changes, phase("blocked", "blocked"), phase("refused", told))
    assert "What changed: 1 cells" in text
    assert "blocked -> refused" in text
    assert "open -> refused" in written(report.changes, phase("open", "open"), phase("refused", told))


def test_a_cell_that_is_not_as_intended_is_shown_as_it_was_found():
    assert "blocked -> open" in written(report.changes, phase("blocked", "blocked"), phase("refused", "open"))


def test_the_legend_explains_every_sign_that_can_occur():
    assert "o passes, . blocked, ! not" in written(report.matrix, phase("blocked", "blocked"))
    assert "o passes, . blocked, x refused (answers are rationed), ! not" in written(
        report.matrix, phase("refused", "blocked")
    )


def test_nothing_is_said_of_what_an_intent_leaves_out():
    endpoint = {"kind": "Endpoint", "name": "e", "labels": {}, "ports": {}, "mac": "02:00:00:00:00:01", "addresses": []}
    assert written(report.intents, [endpoint]).splitlines()[-1] == "  Endpoint e  mac: 02:00:00:00:00:01"

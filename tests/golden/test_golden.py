"""Small cases and the flows they compile to, as people read them; `make golden` writes the flows anew.

A case is NAME.yaml (documents); NAME.flows is what it makes on its switch beside the flows of the empty bridge.
"""

import difflib
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from intent.compiler import IdMap, allocate, compile_program
from intent.compiler.flow import Flow
from intent.compiler.render import flow_text, parse_flow
from intent.compiler.tables import table_name
from scripts.example import DPID, read

HERE = Path(__file__).parent
CASES = sorted(path.stem for path in HERE.glob("*.yaml"))
EMPTY = "empty_bridge"
NAMES = {number: table_name(number) for number in range(256)}
WRITE = "RINGFENCE_WRITE_GOLDEN"
ENDS = "  # ends "


def compiled(case):
    example = read((HERE / f"{case}.yaml").read_text(), source=f"{case}.yaml")
    return compile_program(*example, DPID, allocate(*example, IdMap(), 0))


def own_flows(case):
    """What the case has and the empty bridge has not, or not so."""
    program, empty = compiled(case), {} if case == EMPTY else compiled(EMPTY)
    assert empty.keys() <= program.keys(), "a case must not lose a flow that every switch has"
    own = [Flow(key, body) for key, body in program.items() if empty.get(key) != body]
    return sorted(own, key=lambda flow: (flow.key.table, -flow.key.priority, line(flow)))


def line(flow):
    text = flow_text(flow, NAMES)
    if not flow.body.expires_at:
        return text
    return f"{text}{ENDS}{datetime.fromtimestamp(flow.body.expires_at, UTC):%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.parametrize("case", CASES)
def test_the_flows_are_those_that_were_reviewed(case):
    path = HERE / f"{case}.flows"
    fresh = "".join(f"{line(flow)}\n" for flow in own_flows(case))
    if os.environ.get(WRITE):
        path.write_text(fresh)
    reviewed = path.read_text() if path.exists() else ""
    difference = difflib.unified_diff(
        reviewed.splitlines(), fresh.splitlines(), f"{path.name}, reviewed", f"{path.name}, now", lineterm=""
    )
    remedy = "if every line of this is meant, run `make golden`, read the difference again and commit it"
    assert fresh == reviewed, "\n".join([*difference, remedy])


@pytest.mark.parametrize("case", CASES)
def test_the_text_says_everything_of_a_flow_but_when_it_ends(case):
    for flow in own_flows(case):
        written = line(flow).partition(ENDS)[0]
        assert parse_flow(written, NAMES) == flow._replace(body=flow.body._replace(expires_at=0))


def test_every_file_belongs_to_a_case():
    assert sorted(path.stem for path in HERE.glob("*.flows")) == CASES

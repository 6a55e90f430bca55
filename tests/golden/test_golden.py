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
LOST = "# only on an empty bridge: "


def compiled(case):
    example = read((HERE / f"{case}.yaml").read_text(), source=f"{case}.yaml")
    return compile_program(*example, DPID, allocate(*example, IdMap(), 0))


def flows_beside_the_empty_bridge(case):
    """What the case has and the empty bridge has not, or not so; and what only the empty bridge has."""
    program, empty = compiled(case), {} if case == EMPTY else compiled(EMPTY)
    own = [Flow(key, body) for key, body in program.items() if empty.get(key) != body]
    lost = [Flow(key, body) for key, body in empty.items() if key not in program]
    return sorted(own, key=place), sorted(lost, key=place)


def place(flow):
    return flow.key.table, -flow.key.priority, line(flow)


def line(flow):
    text = flow_text(flow, NAMES)
    if not flow.body.expires_at:
        return text
    return f"{text}{ENDS}{datetime.fromtimestamp(flow.body.expires_at, UTC):%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.parametrize("case", CASES)
def test_the_flows_are_those_that_were_reviewed(case):
    path = HERE / f"{case}.flows"
    own, lost = flows_beside_the_empty_bridge(case)
    fresh = "".join(f"{line(flow)}\n" for flow in own) + "".join(f"{LOST}{line(flow)}\n" for flow in lost)
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
    for flow in flows_beside_the_empty_bridge(case)[0]:
        written = line(flow).partition(ENDS)[0]
        assert parse_flow(written, NAMES) == flow._replace(body=flow.body._replace(expires_at=0))


def test_every_file_belongs_to_a_case():
    assert sorted(path.stem for path in HERE.glob("*.flows")) == CASES

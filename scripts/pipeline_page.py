"""Write docs/pipeline.md: `python -m scripts.pipeline_page`.

The words are in `pipeline.md.in`; every table, flow and walk is made from the code: the pipeline's declaration, the
docstrings of fields and cookies, and what `pipeline.yaml` compiles to. A line `@name@` stands for what `PARTS` makes.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import groupby, pairwise
from pathlib import Path
from types import ModuleType

from intent.compiler import IdMap, allocate, compile_program, cookie, fields
from intent.compiler.cookie import Guard, Kind, Origin
from intent.compiler.fields import Slice
from intent.compiler.flow import Flow
from intent.compiler.handling import QUEUES
from intent.compiler.render import flow_text
from intent.compiler.tables import STAGES, Lane, Table, table_name
from intent.compiler.verdict import (
    COLUMNS,
    PORT_REJECTS,
    QUEUE_METERS,
    SAMPLE_METERS,
    SAMPLES,
    SWITCH_METER,
    SWITCH_REJECTS,
    Column,
)
from intent.model import MAX_TIERS, Direction, Mode
from scripts.example import DPID, Example, read
from scripts.pipeline_site import added, site_walks
from scripts.pipeline_site import source as site_source
from scripts.pipeline_walk import walks
from topology.fabric import Fabric
from topology.paths import LinkEnd

HERE = Path(__file__).parent
NAMES = {number: table_name(number) for number in range(256)}
_PLACE = re.compile(r"^@(\w+)@$", re.MULTILINE)


def page() -> str:
    """Return the text of docs/pipeline.md."""
    source = (HERE / "pipeline.yaml").read_text()
    example = wired(read(source, source="pipeline.yaml"))
    ids = allocate(*example, IdMap(), 0)
    program = compile_program(*example, DPID, ids)
    quiet = without_observed(example)
    parts: dict[str, Callable[[], Iterable[str]]] = {
        "tables": _tables,
        "registers": _registers,
        "kinds": lambda: _members(Kind, lambda kind: f"`0x52{kind:02x}`"),
        "guards": lambda: _members(Guard, lambda guard: f"`{cookie.encode(Origin(Kind.GUARD, guard)):#x}`"),
        "columns": _columns,
        "meters": _meters,
        "example": lambda: ["```yaml", source.strip(), "```"],
        "dump": lambda: _dump(Flow(key, body) for key, body in program.items()),
        "site": lambda: ["```yaml", site_source(), "```"],
        "site_dump": lambda: _dump(added(), level="####"),
        "site_walks": site_walks,
        "walks": lambda: walks(quiet, ids),
    }
    text = (HERE / "pipeline.md.in").read_text()
    return _PLACE.sub(lambda found: "\n".join(parts[found[1]]()), text)


def wired(example: Example) -> Example:
    """Return the example with a wire from port 9 to another switch."""
    fabric = Fabric({DPID: {9: "l1"}, DPID + 1: {9: "l2"}}, frozenset({(LinkEnd(DPID, 9), LinkEnd(DPID + 1, 9))}))
    return example._replace(inventory=replace(example.inventory, fabric=fabric))


def without_observed(example: Example) -> Example:
    """Return the example with what is only observed laid aside, so that a packet's way is short."""
    kept = {name: p for name, p in example.intents.policies.items() if p.mode is not Mode.OBSERVE}
    return example._replace(intents=replace(example.intents, policies=kept))


# -- what the code says of itself -----------------------------------------------------------------


def docs_of(thing: type | ModuleType) -> dict[str, str]:
    """Return the docstring below each assignment of a module or class, on one line."""
    body = ast.parse(inspect.getsource(thing)).body
    if isinstance(body[0], ast.ClassDef):
        body = body[0].body
    docs: dict[str, str] = {}
    for statement, following in pairwise(body):
        if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
            continue
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            docs[statement.targets[0].id] = " ".join(str(following.value.value).split())
    return docs


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    names = list(head)
    yield f"| {' | '.join(names)} |"
    yield "|" + "---|" * len(names)
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _tables() -> Iterator[str]:
    firsts = {lane.tier(d, 0): (lane, d) for lane in Lane for d in Direction}
    rows = [
        (int(t), t.name.lower(), stage.purpose, [n.name.lower() for n in stage.next]) for t, stage in STAGES.items()
    ]
    for first, (lane, direction) in firsts.items():
        after = ["a later one", lane.posture(direction).name.lower(), "what its rules decide"]
        purpose = f"The rules of tier N, {direction}{', only noted' if lane is Lane.CANDIDATE else ''}."
        rows.append((first, f"{table_name(first)[:-1]}N", purpose, after))
    yield from _table(
        ("number", "table", "what for", "goes on to"),
        (
            (
                _numbers(number, name),
                f"`{name}`",
                purpose,
                ", ".join(f"`{n}`" if " " not in n else n for n in following),
            )
            for number, name, purpose, following in sorted(rows)
        ),
    )


def _numbers(first: int, name: str) -> str:
    return f"{first}..{first + MAX_TIERS - 1}" if name.endswith("_N") else str(first)


def _registers() -> Iterator[str]:
    docs = docs_of(fields)
    named = [(name, value) for name, value in vars(fields).items() if isinstance(value, Slice)]
    rows = sorted((where.field.index, where.offset, -where.bits, name, where) for name, where in named)
    yield from _table(
        ("bits", "name", "meaning"),
        ((f"`{_bits(where)}`", name, docs[name]) for *_, name, where in rows),
    )


def _bits(where: Slice) -> str:
    if where.bits == where.field.bits:
        return where.field.name
    last = where.offset + where.bits - 1
    return f"{where.field.name}[{where.offset}{'' if where.bits == 1 else f'..{last}'}]"


def _members(kind: type[Kind | Guard], code: Callable[[int], str]) -> Iterator[str]:
    docs = docs_of(kind)
    yield from _table(("cookie", "name", "meaning"), ((code(m), m.name.lower(), docs[m.name]) for m in kind))


def _columns() -> Iterator[str]:
    word = {fields.ALLOWED: "allow", fields.DENIED: "deny"}

    def row(column: Column) -> tuple[str, ...]:
        counted = "connections" if column.opening else "further packets"
        return f"`{column.detail:02x}`", word[column.enforced], word[column.candidate], counted

    yield from _table(("detail", "enforced", "candidate set", "counts"), map(row, COLUMNS))


def _sample(kind: int) -> str:
    return str(SAMPLE_METERS[kind])


def _meters() -> Iterator[str]:
    yield from _table(
        ("meter", "packets a second", "limits"),
        (
            (str(SWITCH_METER), str(SWITCH_REJECTS), "what a switch shows the controller for `reject`"),
            (f"{SWITCH_METER} + port", str(PORT_REJECTS), "the same, for what comes in at one port"),
            (_sample(Kind.GUARD), str(SAMPLES), "what a switch shows the controller of the packets that guards drop"),
            (_sample(Kind.OPENED), str(SAMPLES), "of those that open connections"),
            (_sample(0), str(SAMPLES), "of those that policies, isolations and postures drop"),
            (f"{QUEUE_METERS} + {QUEUES} * port + queue", "-", "what a queue lets out at a port: kilobits a second"),
        ),
    )


# -- one flow of each kind ------------------------------------------------------------------------


def _dump(given: Iterable[Flow], level: str = "###") -> Iterator[str]:
    flows = sorted(given, key=_order)
    for table, group in groupby(flows, key=lambda f: f.key.table):
        held = list(group)
        purpose = STAGES[Table(table)].purpose if table in set(Table) else "The rules of a tier."
        yield from (f"{level} {table} `{table_name(table)}`", "", purpose, "", "```")
        yield from (flow_text(flow, NAMES) for flow in _one_of_each(held))
        yield from ("```", "")


def _order(flow: Flow) -> tuple[int, int, str]:
    return flow.key.table, -flow.key.priority, flow_text(flow)


def _one_of_each(held: list[Flow]) -> Iterator[Flow]:
    """Yield the first flow of each kind of cookie, and the first of these that speaks of a tunnel's header."""
    seen: set[object] = set()
    for flow in held:
        origin = cookie.decode(flow.body.cookie)
        kind = None if origin is None else origin.kind, "tun_" in flow_text(flow, NAMES)
        if kind not in seen:
            seen.add(kind)
            yield flow


if __name__ == "__main__":
    print(page(), end="")

"""The picture that `ringfence top` shows: who is sorted where, which columns fit, how numbers are written. Pure."""

from __future__ import annotations

import dataclasses
import fnmatch
from typing import TYPE_CHECKING

from cli.terminal import BOLD, GAP, RED, YELLOW, cut, paint, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cli.answer import Answer

STEPS = "KMGTPE"
"""Thousands."""
FULL = 1000
MIN_NAME = 8
MIN_WHY = 12


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One endpoint."""

    name: str
    network: str
    totals: dict[str, float]
    rates: dict[str, float]
    why: str
    """The reason of most of what did not pass; empty where all did."""

    @classmethod
    def of(cls, item: Answer) -> Row:
        """Read an item of the controller's answer."""
        totals, rates = item.part("totals"), item.part("rates")
        reasons = item.items("reasons")
        why = f"{reasons[0].text('figure')}: {reasons[0].text('reason')}" if reasons else ""
        return cls(
            item.text("name"),
            item.text("network", ""),
            {name: value.amount() for name, value in totals.fields()},
            {name: value.amount() for name, value in rates.fields()},
            why + (f" (+{len(reasons) - 1})" if len(reasons) > 1 else ""),
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """A number of each endpoint."""

    head: str
    value: Callable[[Row], float]
    worth: int
    """Of two columns that do not both fit, the one worth more stays."""
    style: str = ""
    """Of a number that is not 0."""


def _rate(name: str) -> Callable[[Row], float]:
    return lambda row: row.rates.get(name, 0.0)


def _total(name: str) -> Callable[[Row], float]:
    return lambda row: row.totals.get(name, 0.0)


COLUMNS = (
    Column("RX P/S", _rate("rxPackets"), 60),
    Column("RX B/S", _rate("rxBytes"), 90),
    Column("TX P/S", _rate("txPackets"), 60),
    Column("TX B/S", _rate("txBytes"), 90),
    Column("DROP/S", _rate("dropped"), 80, RED),
    Column("KEPT/S", _rate("kept"), 50, YELLOW),
    Column("OPEN/S", _rate("opened"), 70),
    Column("ACC/S", _rate("accepted"), 40),
    Column("RX PKTS", _total("rxPackets"), 30),
    Column("RX BYTES", _total("rxBytes"), 25),
    Column("TX PKTS", _total("txPackets"), 30),
    Column("TX BYTES", _total("txBytes"), 25),
    Column("DROPPED", _total("dropped"), 75, RED),
    Column("KEPT", _total("kept"), 45, YELLOW),
    Column("OPENED", _total("opened"), 65),
    Column("ACCEPTED", _total("accepted"), 35),
)
SORTS: dict[str, Callable[[Row], tuple[float, ...]]] = {
    "traffic": lambda row: (row.rates.get("rxBytes", 0) + row.rates.get("txBytes", 0), row.totals.get("rxBytes", 0)),
    "rx": lambda row: (row.rates.get("rxBytes", 0), row.totals.get("rxBytes", 0)),
    "tx": lambda row: (row.rates.get("txBytes", 0), row.totals.get("txBytes", 0)),
    "packets": lambda row: (row.rates.get("rxPackets", 0) + row.rates.get("txPackets", 0),),
    "dropped": lambda row: (row.rates.get("dropped", 0), row.totals.get("dropped", 0)),
    "kept": lambda row: (row.rates.get("kept", 0), row.totals.get("kept", 0)),
    "opened": lambda row: (row.rates.get("opened", 0), row.totals.get("opened", 0)),
    "name": lambda _row: (0.0,),
}
"""What the endpoints can be sorted by, most first; those that are equal by name."""


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """What somebody wants to see."""

    sort: str = "traffic"
    reverse: bool = False
    match: str = ""
    dropping: bool = False
    limit: int = 0
    """0: all."""


def chosen(rows: Sequence[Row], view: View) -> list[Row]:
    """Return the endpoints a view shows, in its order, before its limit."""
    found = [
        row
        for row in rows
        if (not view.match or fnmatch.fnmatchcase(row.name, view.match))
        and (not view.dropping or row.totals.get("dropped", 0) + row.totals.get("kept", 0) > 0)
    ]
    found.sort(key=lambda row: row.name)
    found.sort(key=SORTS[view.sort], reverse=True)
    return found[::-1] if view.reverse else found


def amount(value: float) -> str:
    """Return a number in at most five characters: `0`, `0.4`, `17`, `1.2K`, `350M`."""
    if value < FULL:
        return f"{value:.1f}" if 0 < value < 10 and value != int(value) else f"{value:.0f}"  # noqa: PLR2004 - one digit
    for step in STEPS:
        value /= FULL
        if value < FULL - 0.5:
            return f"{value:.1f}{step}" if value < 10 else f"{value:.0f}{step}"  # noqa: PLR2004 - one digit
    return f"{value:.0f}{STEPS[-1]}"


def lines(rows: Sequence[Row], view: View, size: tuple[int | None, int | None]) -> Iterator[str]:
    """Yield the picture: a line of heads, a line an endpoint; `size` is columns and lines there are, None for any."""
    shown = chosen(rows, view)
    room = min(view.limit or len(shown), len(shown), size[1] - 1 if size[1] is not None else len(shown))
    shown, rest = shown[: max(room, 0)], len(shown) - max(room, 0)
    columns = fitting(COLUMNS, max((len(printable(row.name)) for row in shown), default=0), size[0])
    cells = [[amount(column.value(row)) for column in columns] for row in shown]
    widths = [max([len(column.head), *map(len, cell)]) for column, *cell in zip(columns, *cells, strict=True)]
    names = max([len("NAME"), *(len(printable(row.name)) for row in shown)])
    nets = max([len("NETWORK"), *(len(printable(row.network)) for row in shown)])
    fixed = sum(widths) + len(GAP) * len(widths)
    if size[0] is not None:
        names = max(min(names, size[0] - fixed), min(MIN_NAME, size[0]))
        nets = nets if names + len(GAP) + nets + fixed <= size[0] else 0
    why = MIN_WHY if size[0] is None else size[0] - fixed - names - (nets + len(GAP) if nets else 0) - len(GAP)
    heads = [c.head.rjust(w) for c, w in zip(columns, widths, strict=True)]
    lead = ["NAME".ljust(names), *(["NETWORK".ljust(nets)] if nets else [])]
    with_why = why >= MIN_WHY
    yield paint(cut(GAP.join([*lead, *heads, *(["WHY"] if with_why else [])]), size[0]), BOLD)
    for row, cell in zip(shown, cells, strict=True):
        numbers = [_number(t, w, c) for t, w, c in zip(cell, widths, columns, strict=True)]
        lead = [cut(printable(row.name), names).ljust(names)]
        lead += [cut(printable(row.network), nets).ljust(nets)] if nets else []
        reason = [cut(printable(row.why), None if size[0] is None else why)] if with_why else []
        yield GAP.join([*lead, *numbers, *reason]).rstrip()
    if not rows:
        yield "(none)"
    if rest and size[1] is None:
        yield f"({rest} more)"


def _number(text: str, width: int, column: Column) -> str:
    shown = text.rjust(width)
    return paint(shown, column.style) if column.style and text != "0" else shown


def fitting(columns: Sequence[Column], name: int, width: int | None) -> list[Column]:
    """Return the columns there is room for beside names, those worth most, in their order."""
    if width is None:
        return list(columns)
    room = width - max(MIN_NAME, min(name, width // 3))
    kept: list[Column] = []
    for column in sorted(columns, key=lambda c: -c.worth):
        need = max(len(column.head), 5) + len(GAP)
        if need <= room:
            kept.append(column)
            room -= need
    return [column for column in columns if column in kept]

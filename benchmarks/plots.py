"""Bar charts as SVG, logarithmic: small files, no library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

LABEL, PLOT, VALUE, LINE, BAR = 330, 420, 110, 18, 12
"""Pixels: width of labels, of bars and of figures; height of a line and of a bar."""
OURS, PEER, GRID = "#2f6f9f", "#c98b3c", "#cccccc"


def ratios(lines: Sequence[Mapping[str, Any]]) -> str:
    """Draw ours / peer of every result that has a peer; left of 1 we are the smaller."""
    bars = [(f"{_name(line)} / {line['peer_name']}", line["ratio"], OURS) for line in lines if line["ratio"]]
    return _chart("ours / peer", bars, "")


def times(lines: Sequence[Mapping[str, Any]]) -> str:
    """Draw the medians of both sides where they are times."""
    bars: list[tuple[str, float, str]] = []
    for line in lines:
        if line["peer"] and line["unit"] in {"s", "ms"}:
            scale = 1.0 if line["unit"] == "ms" else 1000.0
            bars += [(_name(line), line["ours"] * scale, OURS), (str(line["peer_name"]), line["peer"] * scale, PEER)]
    return _chart("median, ms", bars, " ms")


def _name(line: Mapping[str, Any]) -> str:
    return f"{line['row']}: {line['work']}"


def _chart(title: str, bars: Sequence[tuple[str, float, str]], unit: str) -> str:
    values = [value for _, value, _ in bars if value > 0] or [1.0]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)
    height = LINE * (len(bars) + 2)
    size = f'width="{LABEL + PLOT + VALUE}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">',
        f'<rect width="100%" height="100%" fill="white"/><text x="4" y="13" font-weight="bold">{escape(title)}</text>',
    ]
    for power in range(low, high + 1):
        x = LABEL + PLOT * (power - low) / (high - low)
        parts.append(f'<path d="M{x:.0f} {LINE}V{height}" stroke="{GRID}"/>')
        parts.append(f'<text x="{x:.0f}" y="13" text-anchor="middle">{10.0**power:g}</text>')
    for at, (label, value, colour) in enumerate(bars, 1):
        y = LINE * at
        width = PLOT * (math.log10(value) - low) / (high - low) if value > 0 else 0
        parts.append(f'<text x="4" y="{y + 13}">{escape(label[:58])}</text>')
        parts.append(f'<rect x="{LABEL}" y="{y + 4}" width="{max(1, width):.0f}" height="{BAR}" fill="{colour}"/>')
        parts.append(f'<text x="{LABEL + max(1, width) + 4:.0f}" y="{y + 13}">{value:.3g}{unit}</text>')
    return "\n".join([*parts, "</svg>", ""])

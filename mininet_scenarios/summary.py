"""What a run says to programs: counts, and everything that was not as intended."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from mininet_scenarios.measuring import Compared
from mininet_scenarios.runner import Phase, Result


def of_phases(phases: Iterable[Phase]) -> list[dict[str, Any]]:
    """Return each measurement of the matrix, and its cells that were not as intended."""
    return [
        {
            "title": phase.title,
            "seconds": round(phase.seconds, 3),
            "cells": len(phase.cells),
            "open": sum(one.measured.outcome == "open" for one in phase.cells),
            "unintended": [_cell(one) for one in phase.cells if not one.as_intended],
        }
        for phase in phases
    ]


def of_result(result: Result) -> dict[str, Any]:
    """Return all that a run measured: counts, and every cell, frame and stream that was not as intended."""
    return {
        "phases": of_phases(result.phases),
        "frames": {
            "sent": len(result.frames),
            "arrived": sum(bool(one.arrived) for one in result.frames),
            "unintended": [
                {"frame": one.forged.title, "expected": one.expected, "arrived": one.arrived, "why": one.why}
                for one in result.frames
                if not one.as_intended
            ],
        },
        "streams": [
            {
                "from": one.cell.source,
                "to": one.cell.destination,
                "expected": one.expected,
                "sent": one.sent,
                "lost": one.lost,
                "arrived": one.leaked,
                "as_intended": one.as_intended,
            }
            for one in result.streams
        ],
        "conversations": [
            {
                "connection": one.title,
                "other_first": one.other_first,
                "opener": one.opener,
                "other": one.other,
                "as_intended": one.as_intended,
            }
            for one in result.talks
        ],
        "transfers": [{**dataclasses.asdict(one), "as_intended": one.as_intended} for one in result.rated],
    }


def _cell(one: Compared) -> dict[str, str]:
    return {
        "from": f"{one.cell.source} {one.cell.src}",
        "to": f"{one.cell.destination} {one.cell.dst}",
        "probe": str(one.cell.probe),
        "expected": one.expected.outcome,
        "why": one.expected.why,
        "measured": one.measured.outcome,
        "detail": one.measured.detail,
    }

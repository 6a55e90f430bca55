"""The words and numbers that arguments are made of."""

from __future__ import annotations

import argparse

KIND_OF = {
    "networks": "Network",
    "groups": "Group",
    "services": "Service",
    "policies": "Policy",
    "endpoints": "Endpoint",
    "routers": "Router",
    "uplinks": "Uplink",
    "queues": "Queue",
    "mirrors": "Mirror",
    "tiers": "Tiers",
}
"""The kind of the documents, by the plural that people and paths use."""
KINDS = tuple(KIND_OF)
MAX_WAIT_S = 3600.0


def kind_of(word: str) -> str | None:
    """Return the kind that a word names, plural or singular, in any case; None if it names none."""
    lower = word.lower()
    names = ((plural, {plural, plural.removesuffix("s"), plural.removesuffix("ies") + "y"}) for plural in KINDS)
    return next((plural for plural, words in names if lower in words), None)


def kind(word: str) -> str:
    """Return the kind that a word names."""
    if found := kind_of(word):
        return found
    raise argparse.ArgumentTypeError(f"{word!r} is no kind: {_near(word)}use one of {', '.join(KINDS)}")


def kind_or_all(word: str) -> str:
    """Return the kind that a word names, or `all`."""
    if word == "all" or kind_of(word):
        return kind_of(word) or word
    raise argparse.ArgumentTypeError(f"{word!r} is no kind: {_near(word)}use one of {', '.join(KINDS)}, or all")


def _near(word: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word.lower(), KINDS, n=1)
    return f"did you mean {near[0]}? Or " if near else ""


def seconds(word: str) -> float:
    """Return a number of seconds, more than 0 and at most an hour."""
    try:
        value = float(word)
    except ValueError:
        value = 0.0
    if not 0 < value <= MAX_WAIT_S:
        raise argparse.ArgumentTypeError(f"{word!r} is no number of seconds above 0 and up to {MAX_WAIT_S:.0f}")
    return value


def revision(word: str) -> int:
    """Return the number of a revision."""
    if not word.isascii() or not word.isdigit() or not 1 <= int(word[:16]) < 10**15:
        raise argparse.ArgumentTypeError(f"{word!r} is no number of a revision: `ringfence revisions` shows them")
    return int(word)


def count(word: str) -> int:
    """Return a whole number from 1 to 100000."""
    if not word.isascii() or not word.isdigit() or not 1 <= int(word[:7]) <= 100_000:  # noqa: PLR2004 - said above
        raise argparse.ArgumentTypeError(f"{word!r} is no whole number from 1 to 100000")
    return int(word)

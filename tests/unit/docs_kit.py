"""Pages whose examples are run: fenced `yaml` blocks, and `verdicts` blocks that say what they mean.

The first yaml block of a page is the site that all its examples stand on, unless the page borrows another's. Each
further one is an example: its documents replace those of the same kind and name. A line of verdicts speaks of the
example above it:

    web-1 -> app-1 tcp/8080: allow (web-to-app)
    web-1 -> app-1 tcp/8080 with web-1 quarantine=yes: deny (quarantine)
    web-1 -> app-1 tcp/8080 without web-to-app: deny (posture)
    web-1 -> app-1 tcp/8080 at 2027-01-01T00:00:00Z: deny (posture)
    web-1 -> app-1 tcp/22: allow (all), would deny (no-ssh)
    error about web-1 -> app-1 tcp/8080: allow (web-to-app)

In parentheses stand the deciding policies, or `posture`, or `isolated by POLICY`.
"""

import dataclasses
import re
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from intent.model import ServiceMatch
from intent.schema.services import parse_match

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_CLAIM = re.compile(
    r"(?P<error>error about )?(?P<src>\S+) -> (?P<dst>\S+) (?P<service>\S+?)"
    r"(?: with (?P<name>\S+) (?P<labels>\S+=\S*))?(?: without (?P<gone>\S+))?(?: at (?P<at>\S+))?"
    r": (?P<verdict>allow|deny|reject) \((?P<why>[^)]+)\)(?:, would (?P<would>allow|deny|reject) \((?P<by>[^)]+)\))?"
)


@dataclasses.dataclass(frozen=True)
class Answer:
    verdict: str
    why: str
    """`posture`, `isolated by a`, or the deciding policies: `a, b`."""


@dataclasses.dataclass(frozen=True)
class Claim:
    """One line of a `verdicts` block."""

    text: str
    src: str
    dst: str
    match: ServiceMatch
    answer: Answer
    would: Answer | None
    """What the candidate set would say."""
    name: str | None
    labels: dict[str, str]
    """What changes on the endpoint `name`."""
    gone: str | None
    """Policy that is deleted."""
    at: datetime | None
    is_error: bool

    @property
    def changes(self) -> bool:
        """Whether it speaks of another state than the example as it stands."""
        return bool(self.name or self.gone or self.at)


def claim_of(line: str) -> Claim:
    found = _CLAIM.fullmatch(line)
    assert found, f"{line!r} is no claim; the forms are in {Path(__file__).name}"
    words = found.groupdict()
    return Claim(
        text=line,
        src=words["src"],
        dst=words["dst"],
        match=parse_match(words["service"]),
        answer=Answer(words["verdict"], words["why"]),
        would=Answer(words["would"], words["by"]) if words["would"] else None,
        name=words["name"],
        labels=dict([words["labels"].split("=", 1)]) if words["labels"] else {},
        gone=words["gone"],
        at=datetime.fromisoformat(words["at"]) if words["at"] else None,
        is_error=bool(words["error"]),
    )


@dataclasses.dataclass
class Example:
    """One yaml block with the claims that follow it."""

    place: str
    """`docs/policy.md:42`."""
    texts: tuple[str, ...]
    kubernetes: str = ""
    """The `yaml kubernetes` block before it, of which it is the translation."""
    claims: list[Claim] = dataclasses.field(default_factory=list)


class Refused(NamedTuple):
    """A `yaml refused` block and the `text` block after it, which says why."""

    place: str
    text: str
    why: str


@dataclasses.dataclass
class Page:
    examples: list[Example]
    refused: list[Refused]


def read_page(name: str, borrowed: str | None = None) -> Page:
    """Return what a page under docs/ shows; it stands on the site of the page `borrowed`, or on its own."""
    text = (ROOT / "docs" / name).read_text()
    page = Page([], [])
    site = read_page(borrowed).examples[0].texts if borrowed else ()
    pending: Refused | None = None
    kubernetes = ""
    for found in _BLOCK.finditer(text):
        info, block = found["info"], found["text"]
        place = f"docs/{name}:{text.count(chr(10), 0, found.start()) + 1}"
        if info == "yaml":
            page.examples.append(Example(place, (*site, block), kubernetes))
            site = site or (block,)
            kubernetes = ""
        elif info == "yaml kubernetes":
            kubernetes = block
        elif info == "verdicts":
            page.examples[-1].claims += [claim_of(line) for line in block.splitlines() if line.strip()]
        elif info == "yaml refused":
            pending = Refused(place, block, "")
        elif info == "text" and pending:
            page.refused.append(pending._replace(why=block.strip()))
            pending = None
    assert pending is None, f"{pending.place if pending else ''} needs a `text` block that says why it is refused"
    return page

"""What the API answers, one model a body. They are sent as they are declared here, and OpenAPI shows them."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


def outside(name: str) -> str:
    """Return a field's name in JSON: camelCase, and `from` for `from_`."""
    return to_camel(name.rstrip("_"))


class Answer(BaseModel):
    """Base of all bodies: camelCase outside."""

    model_config = ConfigDict(
        alias_generator=outside,
        populate_by_name=True,
        frozen=True,
        defer_build=True,  # most of a hundred bodies are not sent in the first second, which is when it matters
    )


class ErrorAnswer(Answer):
    """One thing to put right."""

    path: str
    """Where: `Policy/web-to-app.rules[0].from[1].cidr`, `query.timeout`, `header.If-Match`."""
    message: str
    remedy: str
    line: int | None = None
    """Of the body, where that is YAML."""


class WarningAnswer(ErrorAnswer):
    """Something that was accepted, and may not be what was meant."""


class ProblemAnswer(Answer):
    """RFC 9457 problem details."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    errors: list[ErrorAnswer] = []


class DocumentAnswer(Answer):
    """A current document."""

    revision: int
    """The revision that wrote it last; its ETag."""
    document: dict[str, Any]
    """As it would be written in YAML: `kind`, `name`, fields."""


class DocumentsAnswer(Answer):
    """All current documents of a kind."""

    revision: int
    """Of the store."""
    items: list[DocumentAnswer]


class RealizedAnswer(Answer):
    """How far the switches are with a revision."""

    phase: Literal["pending", "realized", "failed"]
    realized: int
    """Switches that confirmed it."""
    switches: int
    """Switches that are managed, connected or not."""
    reason: str = ""
    """Why it is not realized."""


class ResultAnswer(Answer):
    """What became of one document."""

    kind: str
    name: str
    outcome: Literal["created", "changed", "unchanged", "deleted"]
    revision: int


class ChangeAnswer(Answer):
    """One document in a diff, before and after; null where there was or is none."""

    kind: str
    name: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class AppliedAnswer(Answer):
    """What an apply did."""

    revision: int
    """The new revision, or the current one where nothing changed; of a dry run, the one it would be."""
    committed: bool
    """Whether there is a new revision."""
    dry_run: bool
    documents: list[ResultAnswer]
    realized: RealizedAnswer | None
    """Of `revision`; null for a dry run."""
    warnings: list[WarningAnswer] = []
    changes: list[ChangeAnswer] = []
    """Of a dry run: every document that would change."""


class RevisionAnswer(Answer):
    """One committed change-set."""

    number: int
    at: str
    """RFC 3339."""
    author: str
    message: str
    changes: list[ChangeAnswer]


class RevisionsAnswer(Answer):
    """A page of revisions, newest first."""

    items: list[RevisionAnswer]
    before: int | None
    """`before=` for the next page; null at the end."""


class IntentStatusAnswer(RealizedAnswer):
    """How far the switches are with one document, and whether it counts."""

    kind: str
    name: str
    revision: int
    in_force: bool
    """False where all of it is on the switches and it decides nothing all the same."""
    note: str
    """Why it is not in force; empty where it is."""


class LocationAnswer(Answer):
    """Where an endpoint is plugged in."""

    dpid: str
    """16 hexadecimal digits."""
    ofport: int
    interface: str


class LiveEndpointAnswer(Answer):
    """An endpoint that is plugged in and identified."""

    name: str
    network: str
    labels: dict[str, str]
    mac: str
    addresses: list[str]
    """Empty while none is declared or learned: it is default-deny until then."""
    ports: dict[str, list[str]]
    """What its named ports mean: `http: [tcp/80]`."""
    location: LocationAnswer
    mtu: int | None = None
    """Largest IP packet that reaches other hosts; null where its host has no tunnel."""


class ReportAnswer(Answer):
    """Something to look at: a conflict, a lost label, a refused row."""

    subject: str
    problem: str
    remedy: str


class LiveEndpointsAnswer(Answer):
    """Everything that is plugged in, and what is wrong with the rest."""

    items: list[LiveEndpointAnswer]
    reports: list[ReportAnswer]


class SwitchAnswer(Answer):
    """One managed switch."""

    dpid: str
    bridge: str
    host: str
    connected: bool
    revision: int | None
    """The newest revision it confirmed."""
    flows: int | None
    problem: str
    portless: list[int] | None
    """IP protocols whose ports its connection tracking does not keep (132: SCTP); null: not found out yet."""


class SwitchesAnswer(Answer):
    """All managed switches."""

    items: list[SwitchAnswer]


class HitAnswer(Answer):
    """What a rule decided on all switches."""

    policy: str
    rule: str
    action: Literal["allow", "deny", "reject", "pass"] | None
    """What the rule says now; null where the policy has no rule of that name any more."""
    direction: Literal["egress", "ingress"]
    packets: int
    bytes: int


class DropAnswer(Answer):
    """What was dropped before or beside rules."""

    cause: str
    packets: int
    bytes: int


class CountersAnswer(Answer):
    """What the switches counted, as of their last verification."""

    rules: list[HitAnswer]
    drops: list[DropAnswer]


class TallyAnswer(Answer):
    """Packets on which the enforced policies said one thing and the candidate set another, or the same."""

    policy: str
    """Empty for the whole candidate set."""
    rule: str
    enforced: Literal["allow", "deny"]
    candidate: Literal["allow", "deny"]
    packets: int
    connections: int


class ObservedAnswer(Answer):
    """What observed policies would change."""

    observing: list[str]
    """The policies in `observe`."""
    total: list[TallyAnswer]
    rules: list[TallyAnswer]


class StatusAnswer(Answer):
    """The whole at one glance."""

    revision: int
    realized: RealizedAnswer
    intents: list[IntentStatusAnswer]
    endpoints: int
    reports: list[ReportAnswer]


class MatrixAnswer(Answer):
    """Who may open the service to whom, for all live endpoints."""

    revision: int
    service: str
    endpoints: list[str]
    verdicts: list[list[str]]
    """Row: from, column: to. allow, deny, reject, mixed, unreachable (another network or no common address
    family), or `-` on the diagonal."""


class HealthAnswer(Answer):
    """The server answers."""

    status: Literal["ok"] = "ok"


class PlugHostAnswer(Answer):
    """A host on whose integration bridge ports can be made."""

    host: str
    """Its OVSDB target."""
    bridge: str
    datapath_type: str
    """`system`, `netdev`, or empty while the bridge is not there."""
    connected: bool


class PortAnswer(Answer):
    """A port that was made over the API."""

    host: str
    name: str
    ofport: int | None
    """Null while the switch has no number for it."""
    problem: str
    """Why the switch does not use it; empty if it does."""
    external_ids: dict[str, str]


class PortsAnswer(Answer):
    """Where ports can be made, and which were."""

    hosts: list[PlugHostAnswer]
    items: list[PortAnswer]


class PluggedAnswer(Answer):
    """What became of a port."""

    name: str
    changed: bool

"""The documents people write, one model a kind. They serve YAML, REST, JSON Schema and OpenAPI.

Bounds stand on every string, list and mapping. What needs more than one document to check is in `checks`.
"""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from intent.model import MAX_ORDER, MAX_TIERS
from intent.schema.base import BindingDoc, DocumentBase, Few, Many, Part
from intent.schema.forwarding import ForwardDoc
from intent.schema.handling import HandledRule, MirrorDoc, QueueDoc
from intent.schema.scalars import (
    Address,
    Cidr,
    Clock,
    GroupAddress,
    Instant,
    LabelKey,
    LabelValue,
    Mac,
    Name,
    NamedPortKey,
    OwnLabelKey,
    Reference,
    SelectedValue,
    Text,
    Zone,
    refusal,
)
from intent.schema.services import canonical_match, canonical_named_port

MAX_LABELS = 64
Words = Annotated[str, Field(max_length=40, examples=["tcp/80"]), AfterValidator(canonical_match)]
NumberedPort = Annotated[str, Field(max_length=40, examples=["tcp/80"]), AfterValidator(canonical_named_port)]


class ExpressionDoc(Part):
    """A condition on one label; a missing key satisfies NotIn and DoesNotExist."""

    key: LabelKey
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: Annotated[tuple[SelectedValue, ...], Field(strict=False, min_length=1, max_length=256)] | None = None
    """With In and NotIn only."""

    @model_validator(mode="after")
    def _values_fit(self) -> Self:
        needed = self.operator in ("In", "NotIn")
        if needed and self.values is None:
            raise refusal(f"{self.operator} needs `values`", "list at least one value")
        if not needed and self.values is not None:
            raise refusal(f"{self.operator} takes no `values`", "leave `values` out")
        return self


SelectedLabels = Annotated[dict[LabelKey, SelectedValue], Field(max_length=MAX_LABELS)]


class SelectorDoc(Part):
    """Endpoints by label: every label and every expression must hold; none at all selects every endpoint."""

    labels: SelectedLabels | None = None
    expressions: Few[ExpressionDoc] | None = None


_PEER_FORMS = ("labels", "expressions", "group", "cidr", "world", "endpoint")


class PeerDoc(Part):
    """Addresses at one end: a selector (labels, expressions), a group, a CIDR block, the world, or an endpoint."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": [form]} for form in _PEER_FORMS]})

    labels: SelectedLabels | None = None
    expressions: Few[ExpressionDoc] | None = None
    group: Name | None = None
    cidr: Cidr | None = None
    except_: Few[Cidr] | None = Field(default=None, alias="except")
    """Blocks inside `cidr` that it does not mean."""
    world: Literal[True] | None = None
    """Every address that belongs to no endpoint."""
    endpoint: Reference | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        said = self.model_fields_set
        if len(said) == 1 and (self.group or self.cidr):
            return self  # what nearly all are, told at once
        forms = [form for form in _PEER_FORMS if getattr(self, form) is not None]
        if forms in ([], ["labels", "expressions"]) or len(forms) == 1:
            if not forms:
                raise refusal("the peer says nothing", f"give one of {', '.join(_PEER_FORMS)}")
        else:
            raise refusal(f"a peer is one of {', '.join(forms)}", "write them as peers of their own")
        if self.except_ is not None and self.cidr is None:
            raise refusal("`except` goes with `cidr`", "add `cidr`, or leave `except` out")
        return self


class ServiceReference(Part):
    """Another service, by name."""

    service: Name


def _form_of(item: object) -> str:
    return "<match>" if type(item) is str or not isinstance(item, dict | ServiceReference) else "<name>"


ServiceItem = Annotated[
    Annotated[Words, Tag("<match>")] | Annotated[ServiceReference, Tag("<name>")], Discriminator(_form_of)
]
"""`tcp/80`, `tcp/8000-8099`, `tcp/http`, `udp`, `icmp/8/0`, `proto/47`, `any`, or `{service: name}`."""


class MulticastDoc(Part):
    """An address that stands for many: UDP that is sent to it is copied to each member whom policy lets it reach."""

    group: GroupAddress
    members: SelectorDoc
    """Who hears it, of this network's endpoints: at most 256, the first by name."""


class NetworkDoc(DocumentBase):
    """A network: endpoints reach each other only inside one, or through a router that joins it to others."""

    kind: Literal["Network"]
    name: Name
    posture: Literal["deny", "allow"] = "deny"
    """What holds where no rule decides."""
    subnets: Few[Cidr] | None = None
    """If any: an endpoint's address lies in one of them."""
    dhcp_server: Reference | None = None
    """Name of the endpoint that may answer DHCP."""
    learn: (
        Annotated[tuple[Literal["arp", "nd", "dhcp"], ...], Field(strict=False, min_length=1, max_length=3)] | None
    ) = None
    """Where addresses that nobody declared may be learned from."""
    learn_limit: int = Field(default=4, ge=1, le=64)
    """Learned addresses a port may hold."""
    gateways: Annotated[tuple[Address, ...], Field(strict=False, min_length=1, max_length=2)] | None = None
    """Addresses of the network's router in it, at most one of IPv4 and one of IPv6; no endpoint may have them."""
    multicast: Few[MulticastDoc] | None = None
    """Multicast groups; what is sent to any other, and every broadcast, reaches nobody."""

    @model_validator(mode="after")
    def _groups_differ(self) -> Self:
        groups = [each.group for each in self.multicast or ()]
        twice = next((group for group in groups if groups.count(group) > 1), None)
        if twice is not None:
            raise refusal(f"the group {twice} is listed twice", "list it once; `expressions` select by alternatives")
        return self


class GroupDoc(DocumentBase):
    """A named union of peers."""

    kind: Literal["Group"]
    name: Name
    members: Many[PeerDoc]


class ServiceDoc(DocumentBase):
    """A named set of protocols and ports."""

    kind: Literal["Service"]
    name: Name
    matches: Many[ServiceItem]


class IngressRuleDoc(HandledRule):
    """One statement about what enters the subject."""

    from_: Many[PeerDoc] | None = Field(default=None, alias="from")
    """Omitted: every address."""
    services: Many[ServiceItem] | None = None
    """Omitted: every protocol."""


class EgressRuleDoc(HandledRule):
    """One statement about what leaves the subject."""

    to: Many[PeerDoc] | None = None
    """Omitted: every address."""
    services: Many[ServiceItem] | None = None
    """Omitted: every protocol."""


class RuleDoc(HandledRule):
    """One statement "from A to B", enforced at both ends."""

    from_: Many[PeerDoc] | None = Field(default=None, alias="from")
    """Omitted: every address."""
    to: Many[PeerDoc] | None = None
    """Omitted: every address."""
    services: Many[ServiceItem] | None = None
    """Omitted: every protocol."""


Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class WindowDoc(Part):
    """A weekly time window, [start, end) in local time; one that ends before it starts ends on the next day."""

    days: Annotated[tuple[Day, ...], Field(strict=False, min_length=1, max_length=7)]
    start: Clock
    end: Clock

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.start == self.end:
            raise refusal(f"the window begins and ends at {self.start}", "write `00:00` to `24:00` for whole days")
        return self


class ScheduleDoc(Part):
    """When a policy holds."""

    zone: Zone
    """IANA time zone."""
    windows: Few[WindowDoc]


_ONE_SIDED = frozenset(("subject", "directions", "ingress", "egress"))


class PolicyDoc(DocumentBase):
    """Who may talk to whom. Either `rules`, or `subject` with `ingress` and `egress`."""

    kind: Literal["Policy"]
    name: Name
    tier: Name = "application"
    order: int = Field(default=1000, ge=0, le=MAX_ORDER)
    """Lower comes first inside the tier."""
    mode: Literal["enforce", "observe", "off"] = "enforce"
    owner: Annotated[Text, Field(max_length=253)] = ""
    description: Text = ""
    expires: Instant | None = None
    """The instant at which it no longer holds."""
    schedule: ScheduleDoc | None = None
    rules: Many[RuleDoc] | None = None
    subject: SelectorDoc | None = None
    """One-sided form: the endpoints that are judged."""
    directions: (
        Annotated[tuple[Literal["ingress", "egress"], ...], Field(strict=False, min_length=1, max_length=2)] | None
    ) = None
    """One-sided form: default are those that have rules. In an isolating tier the subject is isolated in these."""
    ingress: Many[IngressRuleDoc] | None = None
    egress: Many[EgressRuleDoc] | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.rules is not None and self.model_fields_set.isdisjoint(_ONE_SIDED):
            return self
        one_sided = [f for f in ("directions", "ingress", "egress") if getattr(self, f) is not None]
        if self.subject is None and one_sided:
            raise refusal(f"`{one_sided[0]}` goes with `subject`", "add `subject`, or write `rules`")
        if self.subject is not None and self.rules is not None:
            raise refusal("`rules` and `subject` exclude each other", "write `ingress` and `egress` with `subject`")
        if self.subject is None and self.rules is None:
            raise refusal("the policy has no rules", "add `rules`, or `subject` with `ingress` or `egress`")
        if self.subject is not None and not one_sided:
            raise refusal("the subject has no rules", "add `ingress`, `egress` or `directions`")
        self._check_directions()
        return self

    def _check_directions(self) -> None:
        for direction in ("ingress", "egress"):
            with_rules = getattr(self, direction) is not None
            if with_rules and self.directions is not None and direction not in self.directions:
                raise refusal(f"`{direction}` has rules but `directions` leaves it out", f"add `{direction}` to it")


class EndpointDoc(DocumentBase):
    """An endpoint that is declared here; what it leaves out comes from the switch's database."""

    kind: Literal["Endpoint"]
    name: Name
    network: Name | None = None
    labels: Annotated[dict[OwnLabelKey, LabelValue], Field(max_length=MAX_LABELS)] = Field(default_factory=dict)
    mac: Mac | None = None
    addresses: Few[Address] | None = None
    ports: Annotated[dict[NamedPortKey, NumberedPort], Field(max_length=64)] = Field(default_factory=dict)
    """What named ports mean here: `http: tcp/80`."""
    binding: BindingDoc


class RouterDoc(DocumentBase):
    """Makes its networks one routing domain: packets pass between them where policy allows it."""

    kind: Literal["Router"]
    name: Name
    networks: Few[Name]
    """Each needs `subnets` and `gateways`, and is in no other router."""
    uplink: Name | None = None
    """The way to the world; omitted: there is none."""
    mac: Mac | None = None
    """MAC of its gateways; omitted: derived from the name."""


class UplinkDoc(DocumentBase):
    """A port that leads to the world: all addresses outside the subnets of a routing domain.

    With `snat` or `forwards` of an IP version, packets of that version pass translated, and only so.
    """

    kind: Literal["Uplink"]
    name: Name
    binding: BindingDoc
    next_hop: Mac | None = None
    """MAC that packets to the world go to; omitted: the port's own, so the host, if it is an internal port."""
    snat: Annotated[tuple[Address, ...], Field(strict=False, min_length=1, max_length=2)] | None = None
    """Addresses that endpoints speak as, in place of their own: at most one of each IP version."""
    forwards: Few[ForwardDoc] | None = None
    """What the world may open connections to; policy judges them as to the endpoint itself."""


class TierDoc(Part):
    """A tier: its policies come before those of every later tier."""

    name: Name
    isolating: bool = False
    """Whether an endpoint that a policy of it selects is denied at its end."""


class TiersDoc(DocumentBase):
    """The list of tiers, first to last. There is one, named `default`."""

    kind: Literal["Tiers"]
    name: Literal["default"]
    tiers: Annotated[tuple[TierDoc, ...], Field(strict=False, min_length=1, max_length=MAX_TIERS)]


Document: TypeAlias = (
    NetworkDoc
    | GroupDoc
    | ServiceDoc
    | PolicyDoc
    | EndpointDoc
    | RouterDoc
    | UplinkDoc
    | QueueDoc
    | MirrorDoc
    | TiersDoc
)
KINDS: dict[str, type[Document]] = {
    "Network": NetworkDoc,
    "Group": GroupDoc,
    "Service": ServiceDoc,
    "Policy": PolicyDoc,
    "Endpoint": EndpointDoc,
    "Router": RouterDoc,
    "Uplink": UplinkDoc,
    "Queue": QueueDoc,
    "Mirror": MirrorDoc,
    "Tiers": TiersDoc,
}
"""The model of each kind."""

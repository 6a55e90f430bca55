"""The two kinds of policy, field for field; unknown fields are refused.

Sources: `networking.k8s.io/v1` NetworkPolicy (Kubernetes 1.34), and the comments of
`apis/v1alpha2/clusternetworkpolicy_types.go` in sigs.k8s.io/network-policy-api, which are normative.
"""

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, model_validator

from intent.kubernetes.objects import Clusterwide, KubernetesBase
from intent.kubernetes.scalars import (
    Cidr,
    Items,
    LabelValue,
    NamespaceLabelKey,
    PodLabelKey,
    PortName,
    PortNumber,
    PortOrName,
    Protocol,
)
from intent.schema.base import Part
from intent.schema.scalars import Text, refusal

T = TypeVar("T")
UpTo25 = Annotated[tuple[T, ...], Field(strict=False, max_length=25)]
OneTo25 = Annotated[tuple[T, ...], Field(strict=False, min_length=1, max_length=25)]


# -- selectors ----------------------------------------------------------------------------------


class Expression(Part):
    """LabelSelectorRequirement; a missing key satisfies NotIn and DoesNotExist."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: Annotated[tuple[LabelValue, ...], Field(strict=False, max_length=256)] | None = None

    @model_validator(mode="after")
    def _values_fit(self) -> Self:
        if self.operator in ("In", "NotIn") and not self.values:
            raise refusal(f"{self.operator} needs `values`", "list at least one value")
        if self.operator in ("Exists", "DoesNotExist") and self.values:
            raise refusal(f"{self.operator} takes no `values`", "leave `values` out")
        return self


class LabelSelector(Part):
    """All labels and all expressions must hold; none at all selects everything."""

    match_labels: dict[str, LabelValue] | None = None
    match_expressions: Items[Expression] | None = None


class PodExpression(Expression):
    """A requirement on a pod's label."""

    key: PodLabelKey


class PodSelector(LabelSelector):
    """Selects pods by their own labels."""

    match_labels: Annotated[dict[PodLabelKey, LabelValue], Field(max_length=64)] | None = None
    match_expressions: Items[PodExpression] | None = None


class NamespaceExpression(Expression):
    """A requirement on a namespace's label."""

    key: NamespaceLabelKey


class NamespaceSelector(LabelSelector):
    """Selects namespaces by their labels."""

    match_labels: Annotated[dict[NamespaceLabelKey, LabelValue], Field(max_length=64)] | None = None
    match_expressions: Items[NamespaceExpression] | None = None


# -- networking.k8s.io/v1 -----------------------------------------------------------------------


class IpBlock(Part):
    """A block of addresses with holes."""

    cidr: Cidr
    except_: Items[Cidr] | None = Field(default=None, alias="except")

    @model_validator(mode="after")
    def _holes_lie_inside(self) -> Self:
        block = ip_network(self.cidr)
        for hole in map(ip_network, self.except_ or ()):
            if hole.version != block.version or hole == block or not hole.subnet_of(block):  # type: ignore[arg-type]  # same version
                raise refusal(f"the exception {hole} is not a part of {block}", "name a smaller block inside `cidr`")
        return self


class PolicyPeer(Part):
    """NetworkPolicyPeer: a block of addresses, or pods selected by namespace, by label, or by both."""

    pod_selector: PodSelector | None = None
    namespace_selector: NamespaceSelector | None = None
    ip_block: IpBlock | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        selects = self.pod_selector is not None or self.namespace_selector is not None
        if selects == (self.ip_block is not None):
            message = "the peer says both `ipBlock` and a selector" if selects else "the peer says nothing"
            raise refusal(message, "give `ipBlock` alone, or `podSelector`, `namespaceSelector` or both")
        return self


class PolicyPort(Part):
    """NetworkPolicyPort: a protocol, and one port, a range, a port by name, or all."""

    protocol: Protocol | None = None
    """Default TCP."""
    port: PortOrName | None = None
    end_port: PortNumber | None = None

    @model_validator(mode="after")
    def _range_is_one(self) -> Self:
        if self.end_port is None:
            return self
        if not isinstance(self.port, int):
            raise refusal("`endPort` needs a numeric `port`", "write the first port of the range in `port`")
        if self.end_port < self.port:
            raise refusal(f"the range ends at {self.end_port}, before {self.port}", "swap `port` and `endPort`")
        return self


class PolicyIngress(Part):
    """NetworkPolicyIngressRule; what is missing or empty means every one."""

    from_: Items[PolicyPeer] | None = Field(default=None, alias="from")
    ports: Items[PolicyPort] | None = None


class PolicyEgress(Part):
    """NetworkPolicyEgressRule; what is missing or empty means every one."""

    to: Items[PolicyPeer] | None = None
    ports: Items[PolicyPort] | None = None


class NetworkPolicySpec(Part):
    """Which pods of its namespace are isolated in which directions, and what they may do nevertheless."""

    pod_selector: PodSelector | None = None
    """Default: every pod of the namespace."""
    ingress: Items[PolicyIngress] | None = None
    egress: Items[PolicyEgress] | None = None
    policy_types: Annotated[tuple[Literal["Ingress", "Egress"], ...], Field(strict=False, max_length=2)] | None = None

    def types(self) -> tuple[str, ...]:
        """Return the directions; where none are said, as the API server fills them in."""
        if self.policy_types:
            return tuple(sorted({word.lower() for word in self.policy_types}))
        return ("egress", "ingress") if self.egress else ("ingress",)


class NetworkPolicy(KubernetesBase):
    """`networking.k8s.io/v1` NetworkPolicy."""

    spec: NetworkPolicySpec


# -- policy.networking.k8s.io/v1alpha2 ------------------------------------------------------------


def _one_of(part: Part, forms: Sequence[str]) -> None:
    given = [form for form in forms if getattr(part, form) is not None]
    if len(given) != 1:
        names = ", ".join(type(part).model_fields[form].alias or form for form in forms)
        raise refusal("nothing is said" if not given else "several things are said at once", f"give one of {names}")


def _refuse(what: str, remedy: str) -> BeforeValidator:
    """Return the validator of a field that is known and cannot be expressed."""

    def check(value: object) -> object:
        if value is not None:
            raise refusal(f"{what} cannot be selected here", remedy)
        return value

    return BeforeValidator(check)


class NamespacedPod(Part):
    """Pods by the labels of their namespace and their own."""

    namespace_selector: NamespaceSelector
    pod_selector: PodSelector


class Subject(Part):
    """The pods that are judged, and the form of every peer: whole namespaces, or some of their pods."""

    namespaces: NamespaceSelector | None = None
    pods: NamespacedPod | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        _one_of(self, [name for name in type(self).model_fields if name not in ("nodes", "domain_names")])
        return self


class EgressPeer(Subject):
    """ClusterNetworkPolicyEgressPeer. Nodes and domain names are no addresses that Ringfence knows."""

    networks: OneTo25[Cidr] | None = None
    nodes: Annotated[Any, _refuse("nodes", "name their addresses in `networks`")] = None
    domain_names: Annotated[Any, _refuse("domain names", "name addresses in `networks`")] = None


class PortSpan(Part):
    """An inclusive range of ports."""

    start: PortNumber
    end: PortNumber

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if self.start >= self.end:
            raise refusal(f"the range ends at {self.end}, not after {self.start}", "make `end` greater than `start`")
        return self


class DestinationPort(Part):
    """One port or a range."""

    number: PortNumber | None = None
    range: PortSpan | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        _one_of(self, ("number", "range"))
        return self


class Ports(Part):
    """What is matched of TCP, UDP or SCTP."""

    destination_port: DestinationPort


class ProtocolMatch(Part):
    """ClusterNetworkPolicyProtocol."""

    tcp: Ports | None = None
    udp: Ports | None = None
    sctp: Ports | None = None
    destination_named_port: PortName | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        _one_of(self, tuple(type(self).model_fields))
        return self


class ClusterRule(Part):
    """What rules of both directions have."""

    name: Annotated[Text, Field(max_length=100)] | None = None
    action: Literal["Accept", "Deny", "Pass"]
    protocols: OneTo25[ProtocolMatch] | None = None
    """Omitted: every protocol."""


class ClusterIngress(ClusterRule):
    """ClusterNetworkPolicyIngressRule."""

    from_: OneTo25[Subject] = Field(alias="from")


class ClusterEgress(ClusterRule):
    """ClusterNetworkPolicyEgressRule."""

    to: OneTo25[EgressPeer]

    @model_validator(mode="after")
    def _names_have_bearers(self) -> Self:
        named = any(p.destination_named_port is not None for p in self.protocols or ())
        if named and any(peer.networks is not None for peer in self.to):
            raise refusal("`destinationNamedPort` goes with pods, and `networks` are none", "write two rules")
        return self


class ClusterNetworkPolicySpec(Part):
    """Rules for the whole cluster; the first that matches decides."""

    tier: Literal["Admin", "Baseline"]
    priority: int = Field(ge=0, le=1000)
    subject: Subject
    ingress: UpTo25[ClusterIngress] | None = None
    egress: UpTo25[ClusterEgress] | None = None


class ClusterNetworkPolicy(KubernetesBase):
    """`policy.networking.k8s.io/v1alpha2` ClusterNetworkPolicy."""

    metadata: Clusterwide
    spec: ClusterNetworkPolicySpec

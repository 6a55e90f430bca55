"""Namespaces and pods, as far as policy depends on them; and what all objects have in common.

Where a policy says something, nothing is skipped: unknown fields are refused. A pod's `spec` and `status`
say a hundred things that no policy reads, so there only the fields below are looked at.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from intent.kubernetes.scalars import (
    Items,
    LabelValue,
    Name,
    NamespaceLabelKey,
    NamespaceName,
    PodLabelKey,
    PortName,
    PortNumber,
    Protocol,
)
from intent.schema.base import Part
from intent.schema.problems import echo
from intent.schema.scalars import Address, refusal

DEFAULT_NAMESPACE = "default"
"""Of a namespaced object that names none (ObjectMeta)."""
_MAX_LABELS = 256


class Metadata(Part):
    """ObjectMeta: a name, and what the server writes beside it, which means nothing here."""

    name: Name
    namespace: NamespaceName | None = None
    labels: Annotated[dict[str, str], Field(max_length=_MAX_LABELS)] | None = None
    annotations: Any = None
    creation_timestamp: Any = None
    deletion_grace_period_seconds: Any = None
    deletion_timestamp: Any = None
    finalizers: Any = None
    generate_name: Any = None
    generation: Any = None
    managed_fields: Any = None
    owner_references: Any = None
    resource_version: Any = None
    self_link: Any = None
    uid: Any = None


class Clusterwide(Metadata):
    """ObjectMeta of an object that is in no namespace."""

    namespace: None = None


class NamespaceMetadata(Clusterwide):
    """ObjectMeta of a namespace."""

    name: NamespaceName
    labels: Annotated[dict[NamespaceLabelKey, LabelValue], Field(max_length=_MAX_LABELS)] | None = None


class PodMetadata(Metadata):
    """ObjectMeta of a pod."""

    labels: Annotated[dict[PodLabelKey, LabelValue], Field(max_length=_MAX_LABELS)] | None = None


class KubernetesBase(Part):
    """Any object. `status` is what the cluster reports, and no intent."""

    api_version: str
    kind: str
    metadata: Metadata
    status: Any = None


class Namespace(KubernetesBase):
    """`v1` Namespace."""

    metadata: NamespaceMetadata
    spec: Any = None


class Loose(Part):
    """A part of which only the named fields are looked at."""

    model_config = ConfigDict(extra="ignore")


class ContainerPort(Part):
    """A port that a container listens on."""

    name: PortName | None = None
    container_port: PortNumber
    protocol: Protocol | None = None
    """Default TCP."""
    host_port: Any = None
    host_ip: Any = Field(default=None, alias="hostIP")


class Container(Loose):
    """A container, as far as its ports."""

    ports: Items[ContainerPort] | None = None
    restart_policy: str | None = None
    """Of an init container: `Always` makes it one that stays."""


class PodSpec(Loose):
    """What a pod runs."""

    containers: Items[Container] | None = None
    init_containers: Items[Container] | None = None
    host_network: bool | None = None

    @model_validator(mode="after")
    def _has_a_network_of_its_own(self) -> Self:
        if self.host_network:
            remedy = "leave it out: it has no address of its own, and no policy of Kubernetes selects it"
            raise refusal("the pod uses the network of its node", remedy)
        return self

    def named_ports(self) -> list[tuple[str, str]]:
        """Return what each named port of a container that stays means: (`http`, `tcp/80`), as often as it is said."""
        staying = [c for c in self.init_containers or () if c.restart_policy == "Always"]
        ports = (port for container in (*(self.containers or ()), *staying) for port in container.ports or ())
        return [(p.name, f"{(p.protocol or 'TCP').lower()}/{p.container_port}") for p in ports if p.name is not None]

    @model_validator(mode="after")
    def _names_are_clear(self) -> Self:
        meaning: dict[str, str] = {}
        for name, port in self.named_ports():
            if meaning.setdefault(name, port) != port:
                message = f"the port name {echo(name)} means both {meaning[name]} and {port}"
                raise refusal(message, "give each port a name of its own")
        return self


class PodAddress(Loose):
    """One address of a pod."""

    ip: Address


class PodStatus(Loose):
    """Where a pod is reached."""

    phase: str | None = None
    pod_ip: Address | Literal[""] | None = Field(default=None, alias="podIP")
    pod_ips: Items[PodAddress] | None = Field(default=None, alias="podIPs")

    @model_validator(mode="after")
    def _is_there(self) -> Self:
        if self.phase in ("Succeeded", "Failed"):
            remedy = "leave it out: `kubectl get pods --field-selector status.phase!=Succeeded,status.phase!=Failed`"
            raise refusal(f"the pod has ended ({self.phase.lower()}), its addresses may be another's", remedy)
        return self


class Pod(KubernetesBase):
    """`v1` Pod."""

    metadata: PodMetadata
    spec: PodSpec = PodSpec()
    status: PodStatus | None = None

    def addresses(self) -> list[str]:
        """Return the pod's addresses, empty while it has none."""
        if self.status is None:
            return []
        listed = [address.ip for address in self.status.pod_ips or ()]
        first = [self.status.pod_ip] if self.status.pod_ip else []
        return list(dict.fromkeys([*first, *listed]))

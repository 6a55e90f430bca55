"""What can be set up on a host, one model a kind: JSON bodies in camelCase, and the answers."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from intent.api.answers import Answer, outside


def _text(value: object) -> object:
    """Read a number or a boolean as OVSDB writes it in a map of strings."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else value


Text = Annotated[str, BeforeValidator(_text), StringConstraints(max_length=300, pattern=r"^[ -~]*$")]
Long = Annotated[str, BeforeValidator(_text), StringConstraints(max_length=1024, pattern=r"^[ -~]*$")]
Pairs = Annotated[dict[Text, Long], Field(max_length=160)]
Number = Annotated[int, Field(ge=-1, le=10**13)]
Collectors = Annotated[list[Text], Field(min_length=1, max_length=16)]
Names = Annotated[list[Text], Field(max_length=1000)]
Vlans = Annotated[list[Number], Field(max_length=4096)]


class Body(BaseModel):
    """Base: unknown keys are refused; what is left out has its default."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        alias_generator=outside,
        populate_by_name=True,
        defer_build=True,
    )


class VlanBody(Body):
    """How a port treats VLANs where the bridge forwards by itself."""

    tag: Number | None = None
    trunks: Vlans = []
    mode: Text | None = None


class HostPortBody(Body):
    """A port with one interface; what is left out stays as it is."""

    type: Literal["", "system", "internal", "patch"] = ""
    """Empty for a network device that exists."""
    external_ids: Pairs = {}
    options: Pairs | None = None
    vlan: VlanBody | None = None
    mac: Text | None = None
    mtu: Number | None = None
    ofport_request: Number | None = None


class TunnelBody(Body):
    """A tunnel port."""

    type: Literal["geneve", "vxlan", "gre"]
    remote: Text = "flow"
    """IP address of the far end, or `flow`."""
    local: Text = ""
    key: Text = "flow"
    options: Pairs = {}
    external_ids: Pairs = {}
    ofport_request: Number | None = None
    bfd: Pairs | None = None


class QueueBody(Body):
    """One queue; rates in bits per second."""

    min_rate: Number | None = None
    max_rate: Number | None = None
    burst: Number | None = None
    priority: Number | None = None
    dscp: Number | None = None


QueueNumber = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,5}$")]
Queues = Annotated[dict[QueueNumber, QueueBody], Field(max_length=4096)]


class QueuesBody(Body):
    """The queues of a port."""

    max_rate: Number | None = None
    queues: Queues = {}
    """By number."""
    type: Literal["linux-htb", "linux-hfsc"] = "linux-htb"


class PolicingBody(Body):
    """What a port may send into the switch."""

    rate_kbps: Number = 0
    burst_kb: Number = 0


class MirrorBody(Body):
    """Copies of what ports receive (`sources`) and send (`destinations`)."""

    output_port: Text = ""
    output_vlan: Number | None = None
    select_all: bool = False
    sources: Names = []
    destinations: Names = []
    vlans: Vlans = []
    snaplen: Number | None = None


class NetflowBody(Body):
    """NetFlow records of the integration bridge."""

    targets: Collectors
    active_timeout_s: Number = 0
    engine_id: Number | None = None
    engine_type: Number | None = None
    add_id_to_interface: bool = False


class SflowBody(Body):
    """sFlow records of the integration bridge."""

    targets: Collectors
    sampling: Number | None = None
    polling_s: Number | None = None
    header_bytes: Number | None = None
    agent: Text | None = None


class IpfixBody(Body):
    """IPFIX records of the integration bridge."""

    targets: Collectors
    sampling: Number | None = None
    domain_id: Number | None = None
    point_id: Number | None = None
    active_timeout_s: Number | None = None
    max_flows: Number | None = None


class ManagerBody(Body):
    """A manager of the host; its name is the target."""

    inactivity_probe_ms: Number | None = 5000
    max_backoff_ms: Number | None = 1000


class SslBody(Body):
    """The PEM files of the host's daemons, as paths on that host."""

    key: Long
    cert: Long
    ca: Long
    bootstrap_ca: bool = False


NAMED: dict[str, type[Body]] = {
    "ports": HostPortBody,
    "tunnels": TunnelBody,
    "queues": QueuesBody,
    "policing": PolicingBody,
    "mirrors": MirrorBody,
    "managers": ManagerBody,
}
"""Kinds of which a host has any number, each with a name: of a port, a mirror, or the manager's target."""
SINGLE: dict[str, type[Body]] = {"netflow": NetflowBody, "sflow": SflowBody, "ipfix": IpfixBody, "ssl": SslBody}
"""Kinds of which a host has at most one."""


class HostAnswer(Answer):
    """One managed host."""

    host: str
    """Its OVSDB target, or the name under which it dialled in."""
    id: str
    """The same as it stands in paths: `~` for `/`."""
    dials_in: bool
    connected: bool
    ovs_version: str
    bridge: str
    """Empty while it has no integration bridge of ours."""
    problem: str


class HostsAnswer(Answer):
    """All managed hosts."""

    items: list[HostAnswer]


class HostChangeAnswer(Answer):
    """One thing that was changed, or would be."""

    action: str
    table: str
    row: str
    column: str
    before: str
    after: str
    text: str


class HostChangedAnswer(Answer):
    """What became of a setting."""

    host: str
    changed: bool
    """Of a dry run: whether anything would be."""
    dry_run: bool
    changes: list[HostChangeAnswer]

"""The configuration's section about tunnels between hosts."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from ryu_apps.config_hosts import Section
from ryu_apps.config_values import MAX_SWITCHES, Port, at_key, refuse
from topology.model import TunnelKind
from topology.overlay import TunnelPlan

Kind: TypeAlias = Literal["geneve", "vxlan", "gre"]


def _host_address(value: str) -> str:
    try:
        address = ipaddress.IPv4Address(value)
    except ValueError:
        raise refuse(f"{value!r} is no IPv4 address", "write the host's address in the underlay: 192.0.2.1") from None
    if address.is_multicast or address.is_unspecified or address.is_loopback:
        raise refuse(f"{value} is no address of a host", "write the host's address in the underlay: 192.0.2.1")
    return str(address)


HostName: TypeAlias = Annotated[str, Field(min_length=1, max_length=300)]
"""An OVSDB target, or the name of a host that dials in."""
HostAddress: TypeAlias = Annotated[str, AfterValidator(_host_address)]


class TunnelSection(Section):
    """How packets travel between hosts."""

    type: Kind = Field(
        default="geneve",
        description="geneve (carries who sent a packet), vxlan or gre. Hosts of different types do not reach each "
        "other.",
    )
    port: Port | None = Field(default=None, description="UDP port. null: 6081 for geneve, 4789 for vxlan.")
    underlay_mtu: int = Field(
        default=1500,
        ge=1342,
        le=65535,
        description="Largest IP packet of the underlay; an endpoint's is this less the tunnel's header.",
    )
    local_ips: dict[HostName, HostAddress] = Field(
        default_factory=dict,
        max_length=MAX_SWITCHES,
        description="Each host's address in the underlay, by OVSDB target or by the name it dials in with. A host that "
        "is not here says it itself, in "
        "external_ids:ringfence-tunnel-ip of its Open_vSwitch row; what stands here wins.",
    )
    types: dict[HostName, Kind] = Field(
        default_factory=dict, max_length=MAX_SWITCHES, description="Hosts of another type, likewise."
    )

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.local_ips.values())) < len(self.local_ips):
            raise at_key("local_ips", refuse("two hosts have one address", "give each host its own"))
        if self.port is not None and self.type == "gre":
            raise at_key("port", refuse("GRE has no ports", "leave it null"))
        return self

    @property
    def plan(self) -> TunnelPlan:
        """The same as a value of the topology."""
        addresses = {host: ipaddress.IPv4Address(address) for host, address in self.local_ips.items()}
        kinds = {host: TunnelKind(kind) for host, kind in self.types.items()}
        return TunnelPlan(TunnelKind(self.type), self.port, addresses, kinds, self.underlay_mtu)

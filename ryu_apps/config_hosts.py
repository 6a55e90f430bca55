"""The configuration of hosts: which OVSDB servers are dialled, and where others dial in."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ryu_apps.config_values import ANY, File, HostNames, Listen, OvsdbTarget, Port, at_key, is_loopback, refuse

MAX_HOSTS = 1000


class Section(BaseModel):
    """Base of all sections: unknown keys are refused, values are what they are written as."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class MutualTls(Section):
    """Both sides show a certificate of one authority."""

    key: File = Field(description="PEM file with the controller's private key.")
    cert: File = Field(description="PEM file with the controller's certificate.")
    ca: File = Field(description="PEM file with the authority that must have signed the other side's certificate.")


class OvsdbListen(Section):
    """Where hosts dial in: `ovs-vsctl set-manager ssl:CONTROLLER:6640` on each."""

    host: Listen = Field(default="127.0.0.1", description="IP address on which hosts dial in.")
    port: Port = Field(default=6640, description="TCP port on which hosts dial in.")
    tls: MutualTls | None = Field(
        default=None,
        description="Certificates; a host is who its certificate says (DNS name or common name). null: plain TCP, "
        "where a host is who its external_ids:system-id says.",
    )
    hosts: HostNames = Field(
        default=ANY, description="Hosts that may register: any, or a list of the names in their certificates."
    )

    @property
    def names(self) -> frozenset[str] | None:
        """The names that may register, None for any."""
        return None if self.hosts == ANY else frozenset(self.hosts)

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.tls is None and self.hosts == ANY and not is_loopback(self.host):
            raise at_key(
                "hosts",
                refuse(
                    f"anybody who reaches {self.host} could register as a host",
                    "set ovsdb.listen.tls, list the hosts, or listen on 127.0.0.1",
                ),
            )
        return self


class Ovsdb(Section):
    """The hosts whose bridges are managed."""

    targets: tuple[OvsdbTarget, ...] = Field(
        default=("unix:/var/run/openvswitch/db.sock",),
        max_length=MAX_HOSTS,
        description="OVSDB servers that are dialled, one a host: unix:/path, tcp:host:6640 or ssl:host:6640.",
    )
    ssl: MutualTls | None = Field(default=None, description="Certificates for targets that begin with ssl:.")
    check_names: bool = Field(
        default=False,
        description="true: the certificate of an ssl: target must carry the target's DNS name or IP address as an "
        "alternative name. false: any certificate of the authority will do, as ovs-pki's name no hosts.",
    )
    listen: OvsdbListen | None = Field(
        default=None,
        description="Where further hosts dial in and register by that. null: nowhere; only targets are managed.",
    )

    @property
    def local(self) -> bool:
        """Every host is this machine."""
        dials_in = self.listen is not None and not is_loopback(self.listen.host)
        return not dials_in and all(target.startswith("unix:") for target in self.targets)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if len(set(self.targets)) < len(self.targets):
            raise at_key("targets", refuse("a target is listed twice", "list each OVSDB server once"))
        if self.ssl is None and any(t.startswith("ssl:") for t in self.targets):
            raise at_key("ssl", refuse("an ssl: target needs certificates", "set ovsdb.ssl.key, .cert and .ca"))
        return self

"""The controller's configuration: one YAML file, every key validated, unknown keys refused.

`load` finds and reads it, `render_commented` writes the effective one so that it reads back the same.
"""

from __future__ import annotations

import ipaddress
import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Self

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from intent.inventory.grants import first_bad
from intent.schema.problems import echo
from ryu_apps.config_hosts import MutualTls, Ovsdb, Section
from ryu_apps.config_sections import keys_of, near_key, purpose, section_type, without_empty
from ryu_apps.config_tunnel import TunnelSection
from ryu_apps.config_values import (
    ANY,
    MAX_SWITCHES,
    BareSwitches,
    BridgeName,
    ControllerTarget,
    DatapathIds,
    File,
    Listen,
    Port,
    TlsName,
    at_key,
    is_loopback,
    refuse,
)
from ryu_apps.config_yaml import PlainLoader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic_core import ErrorDetails

SYSTEM_PATH: Final = Path("/etc/ringfence/config.yaml")
"""Read when neither --config nor RINGFENCE_CONFIG says otherwise, if it exists."""
MAX_BYTES: Final = 256 * 1024
"""Largest configuration file that is read."""


class Problem(NamedTuple):
    """One thing wrong with a configuration: where, what, and what to do."""

    path: str
    """`openflow.admission.datapath_ids[0]`; empty for the file as a whole."""
    message: str
    remedy: str


class ConfigError(Exception):
    """A configuration that cannot be used; `source` is the file it came from."""

    def __init__(self, source: str, problems: list[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        lines = (": ".join(filter(None, (source, p.path, f"{p.message} ({p.remedy})"))) for p in problems)
        super().__init__("\n".join(lines))


# -- sections ----------------------------------------------------------------------------------


class ServerTls(Section):
    """The server shows a certificate; clients show a token."""

    key: File = Field(description="PEM file with the server's private key.")
    cert: File = Field(description="PEM file with the server's certificate, intermediates after it.")


class Admission(Section):
    """Which switches may connect; both conditions must hold."""

    datapath_ids: DatapathIds = Field(
        default=ANY, description="Switches that may connect: any, or a list of datapath ids (16 hex digits in quotes)."
    )
    names: tuple[TlsName, ...] = Field(
        default=(),
        max_length=MAX_SWITCHES,
        description="Names, one of which a switch's certificate must carry; needs openflow.tls. "
        "Empty: every certificate that the authority signed.",
    )

    @property
    def dpids(self) -> frozenset[int] | None:
        """The admitted datapath ids as numbers, None for any."""
        return None if self.datapath_ids == ANY else frozenset(int(i, 16) for i in self.datapath_ids)


class Openflow(Section):
    """Where switches connect to."""

    host: Listen = Field(default="127.0.0.1", description="IP address on which switches reach the controller.")
    port: Port = Field(default=6653, description="TCP port on which switches reach the controller.")
    tls: MutualTls | None = Field(
        default=None, description="Certificates for switches that connect with ssl:. null: plain TCP."
    )
    admission: Admission = Field(
        default_factory=Admission, description="Which switches may connect; both conditions must hold."
    )
    switches: BareSwitches = Field(
        default_factory=dict,
        description="Switches whose database is not managed here, by datapath id (16 hex digits in quotes): the names "
        "of their ports that are wired to other switches, or all. They must be Open vSwitch, in fail mode secure.",
    )

    @property
    def bare(self) -> dict[int, tuple[str, ...] | Literal["all"]]:
        """Those switches, by datapath id as a number."""
        return {int(dpid, 16): ports for dpid, ports in self.switches.items()}

    @model_validator(mode="after")
    def _admitted(self) -> Self:
        admitted = self.admission.dpids
        strange = [] if admitted is None else sorted(self.bare.keys() - admitted)
        if strange:
            raise at_key(
                "switches",
                refuse(f"{strange[0]:016x} may not connect", "add it to openflow.admission.datapath_ids, or remove it"),
            )
        return self

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.tls:
            return self
        if self.admission.names:
            raise at_key("admission.names", refuse("a name needs TLS to be proven", "set openflow.tls, or leave it []"))
        if not is_loopback(self.host) and self.admission.dpids is None:
            raise at_key(
                "admission.datapath_ids",
                refuse(
                    f"any switch could connect to {self.host} without TLS",
                    "list the datapath ids, set openflow.tls, or listen on 127.0.0.1",
                ),
            )
        return self


class Rest(Section):
    """Where people and programs send intents to."""

    host: Listen = Field(default="127.0.0.1", description="IP address of the REST API.")
    port: Port = Field(default=8181, description="TCP port of the REST API.")
    token_file: File | None = Field(
        default=None,
        description="File with the bearer token, made at the first start (mode 0600). null: token in state_dir.",
    )
    tls: ServerTls | None = Field(default=None, description="Certificate for https. null: http, on loopback only.")
    body_limit: int = Field(
        default=4 << 20, ge=1024, le=1 << 30, description="Largest request body in bytes; larger ones get 413."
    )

    @model_validator(mode="after")
    def _secret(self) -> Self:
        if self.tls is None and not is_loopback(self.host):
            raise at_key(
                "host",
                refuse(f"the token would cross the network to {self.host} in clear", "set rest.tls, or use 127.0.0.1"),
            )
        return self


class Bridge(Section):
    """The integration bridge, made on every host; it is wholly Ringfence's."""

    name: BridgeName = Field(
        default="br-ring", description="Name of the integration bridge, which is wholly Ringfence's."
    )
    datapath_type: Literal["auto", "system", "netdev"] = Field(
        default="auto", description="auto: system (kernel) where the host has it, else netdev (userspace)."
    )
    adopt: bool = Field(
        default=False, description="true: take over a bridge of that name that Ringfence did not make. Its flows go."
    )
    controller_target: ControllerTarget | None = Field(
        default=None,
        description="What the bridges connect to: tcp:host:port or ssl:host:port. null: openflow's address.",
    )


class Reconcile(Section):
    """How desired state is kept true."""

    verify_interval_s: float = Field(
        default=5.0,
        ge=0.5,
        le=8.0,
        allow_inf_nan=False,
        description="Seconds between two comparisons of a switch's tables with what they should be.",
    )


class Labels(Section):
    """Who may set which labels of endpoints."""

    ovsdb: tuple[str, ...] = Field(
        default=("*", "!k8s/*", "!namespace/*", "!namespace.*"),
        max_length=256,
        description="Label keys that OVSDB rows (external_ids) may set: patterns with *, ! takes back, the last that "
        "fits decides. Endpoint documents may set all.",
    )

    @model_validator(mode="after")
    def _patterns(self) -> Self:
        problem = first_bad(self.ovsdb)
        if problem:
            raise at_key("ovsdb", refuse(problem, "write it as `app`, `team.example/*` or `!tier`"))
        return self


class Config(Section):
    """Everything the controller is told at start."""

    openflow: Openflow = Field(default_factory=Openflow, description="Where switches connect to.")
    rest: Rest = Field(default_factory=Rest, description="Where people and programs send intents to.")
    ovsdb: Ovsdb = Field(default_factory=Ovsdb, description="The hosts whose bridges are managed.")
    bridge: Bridge = Field(default_factory=Bridge, description="The integration bridge, made on every host.")
    tunnel: TunnelSection = Field(default_factory=TunnelSection, description="How packets travel between hosts.")
    labels: Labels = Field(default_factory=Labels, description="Who may set which labels of endpoints.")
    reconcile: Reconcile = Field(default_factory=Reconcile, description="How the switches are kept true.")
    state_dir: File = Field(
        default=Path("/var/lib/ringfence"), description="Directory of the store and the token; made if missing."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe messages that are logged: debug, info, warning or error."
    )

    @model_validator(mode="after")
    def _managing(self) -> Self:
        if not self.ovsdb.targets and self.ovsdb.listen is None and not self.openflow.switches:
            raise at_key(
                "ovsdb.targets",
                refuse("no host would be managed", "list unix:/path or tcp:host:6640, or set ovsdb.listen"),
            )
        return self

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.bridge.controller_target:
            return self
        everywhere = ipaddress.ip_address(self.openflow.host).is_unspecified
        if not self.ovsdb.local and (everywhere or is_loopback(self.openflow.host)):
            raise at_key(
                "bridge.controller_target",
                refuse(
                    f"other hosts cannot connect to {self.openflow.host}",
                    "write the address at which they reach this host, for instance tcp:192.0.2.1:6653",
                ),
            )
        return self

    @property
    def store_path(self) -> Path:
        """The SQLite file."""
        return self.state_dir / "ringfence.db"

    @property
    def token_path(self) -> Path:
        """The file with the bearer token."""
        return self.rest.token_file or self.state_dir / "token"

    @property
    def controller_target(self) -> str:
        """What the integration bridges connect to, as OVSDB's Controller.target has it."""
        if self.bridge.controller_target:
            return self.bridge.controller_target
        address = ipaddress.ip_address(self.openflow.host)
        if address.is_unspecified:
            address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")  # noqa: PLR2004 - IP version
        host = str(address) if address.version == 4 else f"[{address}]"  # noqa: PLR2004 - IP version
        return f"{'ssl' if self.openflow.tls else 'tcp'}:{host}:{self.openflow.port}"


# -- reading -----------------------------------------------------------------------------------


def load(path: Path | str | None, env: Mapping[str, str], *, system_path: Path = SYSTEM_PATH) -> Config:
    """Read the configuration: `path`, else RINGFENCE_CONFIG in `env`, else `system_path` if it exists, else defaults.

    Raises:
        ConfigError: the file cannot be read, is no YAML, or a key is unknown or wrong.
    """
    named = path or env.get("RINGFENCE_CONFIG")
    chosen = Path(named) if named else system_path
    if not named and not chosen.exists():
        return Config()
    try:
        with chosen.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        remedy = "give an existing, readable file with --config or RINGFENCE_CONFIG"
        raise ConfigError(str(chosen), [Problem("", error.strerror or str(error), remedy)]) from error
    return parse(raw, source=str(chosen))


def parse(raw: bytes, *, source: str) -> Config:
    """Return the configuration that a YAML text says; `source` names it in errors.

    Raises:
        ConfigError: too long, no YAML, or a key is unknown or wrong.
    """
    if len(raw) > MAX_BYTES:
        raise ConfigError(source, [Problem("", f"longer than {MAX_BYTES} bytes", "remove what is no configuration")])
    try:
        data = yaml.load(raw.decode(), Loader=PlainLoader)  # noqa: S506 - it is a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = Problem("", f"no valid YAML: {_one_line(error)}", "correct the line; `ringfence run --print-config`")
        raise ConfigError(source, [problem]) from error
    if data is not None and not isinstance(data, dict):
        raise ConfigError(source, [Problem("", "not a mapping of keys", "write `key: value` lines")])
    try:
        # As JSON, because strict checking then takes lists and paths for what they are.
        return Config.model_validate_json(json.dumps(without_empty(data or {}, Config), default=str))
    except ValidationError as error:
        raise ConfigError(source, _problems(error)) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).replace('in "<unicode string>", ', "at ").split())[:300]


def _problems(error: ValidationError) -> list[Problem]:
    """Return what is wrong, but not that a list with wrong items has too few right ones."""
    errors = error.errors(include_url=False)
    return [_problem(e) for e in errors if e["type"] != "too_short" or not _has_worse(errors, e)]


def _has_worse(errors: list[ErrorDetails], short: ErrorDetails) -> bool:
    depth = len(short["loc"])
    return any(len(e["loc"]) > depth and e["loc"][:depth] == short["loc"] for e in errors)


def _problem(error: ErrorDetails) -> Problem:
    context = error.get("ctx", {})
    loc = [*error["loc"], *context.get("key", "").split(".")] if "key" in context else list(error["loc"])
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")
    if error["type"] == "extra_forbidden":
        return Problem(path, "unknown key", near_key(Config, loc))
    if error["type"] == "model_type":
        return Problem(path, f"{echo(error['input'])} is no section", keys_of(Config, loc))
    remedy = context.get("remedy") or purpose(Config, loc) or "see `ringfence run --print-config`"
    return Problem(path, error["msg"], remedy)


# -- writing -----------------------------------------------------------------------------------


def render_commented(config: Config) -> str:
    """Return the effective configuration as YAML, a comment above each key; `parse` reads it back the same."""
    return "\n".join(_section_lines(config, "")) + "\n"


def _section_lines(section: BaseModel, indent: str) -> Iterator[str]:
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        inner = section_type(field)
        yield from _comment(field.description or "", indent)
        if isinstance(value, BaseModel):
            yield f"{indent}{name}:"
            yield from _section_lines(value, indent + "  ")
        else:
            yield from _unset_keys(inner, indent) if inner else ()
            yield f"{indent}{name}: {_scalar(value)}"


def _unset_keys(section: type[BaseModel], indent: str) -> Iterator[str]:
    """Say which keys a section has that is null."""
    for name, field in section.model_fields.items():
        yield from _comment(f"  {name}: {field.description}", indent)


def _comment(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, 100, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ", break_on_hyphens=False
    )


def _scalar(value: object) -> str:
    plain = list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value
    text: str = yaml.safe_dump(plain, default_flow_style=True, width=1 << 30)
    return text.removesuffix("\n").removesuffix("\n...")

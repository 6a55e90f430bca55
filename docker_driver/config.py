"""The driver's configuration: one YAML file, every key validated, unknown keys refused."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Final, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from docker_driver.labels import BAD_PATTERN, Rules

SYSTEM_PATH: Final = Path("/etc/ringfence/docker.yaml")
MAX_BYTES: Final = 64 * 1024
MAX_V4_PREFIX, MAX_V6_PREFIX = 24, 64
"""Sizes of the subnets that are chosen when a network names none."""
_PATTERN = re.compile(r"!?[A-Za-z0-9*][A-Za-z0-9*._/-]{0,316}")
_VALUE = re.compile(r"[A-Za-z0-9._-]{0,63}")


class ConfigError(Exception):
    """A configuration that cannot be used; the message names file, key and remedy."""


def _pattern(text: str) -> str:
    if not _PATTERN.fullmatch(text):
        raise ValueError(BAD_PATTERN)
    return text


def _value(text: str) -> str:
    if not _VALUE.fullmatch(text):
        raise ValueError("no label value: at most 63 letters, digits, '.', '_' and '-'")
    return text


def _pool(text: str) -> str:
    network = ipaddress.ip_network(text)
    largest = MAX_V4_PREFIX if network.version == 4 else MAX_V6_PREFIX  # noqa: PLR2004 - IP version
    if network.prefixlen > largest or largest - network.prefixlen > 16:  # noqa: PLR2004 - 65,536 subnets
        raise ValueError(f"a pool of subnets is /{largest - 16} to /{largest}")
    return str(network)


Pattern = Annotated[str, AfterValidator(_pattern)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Labels(_Section):
    """Which labels of containers become labels of endpoints."""

    keys: tuple[Pattern, ...] = Field(
        default=("*", "!com.docker.*", "!desktop.docker.io/*", "!org.opencontainers.*", "!org.label-schema.*"),
        max_length=256,
        description="Patterns of keys with *; ! takes back; the last that fits decides.",
    )
    values: dict[Pattern, tuple[Annotated[str, AfterValidator(_value)], ...]] = Field(
        default_factory=dict,
        max_length=256,
        description="For keys that fit a pattern: the only values a container may give itself.",
    )

    @property
    def rules(self) -> Rules:
        """The same for `labels_of`."""
        return Rules(self.keys, tuple((key, frozenset(values)) for key, values in self.values.items()))


class Outside(_Section):
    """The way out of networks, and in to published ports."""

    enabled: bool = Field(default=True, description="False: every network is as `--internal`, and -p is refused.")
    uplink: str = Field(
        default="docker", pattern=r"^[a-z0-9][a-z0-9-]{0,60}$", description="Name of the Uplink document."
    )
    interface: str = Field(
        default="rfdocker", pattern=r"^[a-z][a-z0-9]{0,11}$", description="The host's interface to the switch."
    )
    tier: str = Field(
        default="baseline",
        pattern=r"^[a-z0-9][a-z0-9-]{0,60}$",
        description="Tier of the policies that allow the world to published ports.",
    )
    order: int = Field(default=1000, ge=0, le=2**31 - 1, description="Their order in it.")


class Config(_Section):
    """Everything the driver is told at start."""

    socket: Path = Field(
        default=Path("/run/docker/plugins/ringfence.sock"),
        description="Where dockerd finds the driver. The file's name without .sock is the driver's name.",
    )
    engine: Path = Field(default=Path("/run/docker.sock"), description="The Engine's API socket.")
    server: str = Field(
        default="http://127.0.0.1:8181", pattern=r"^https?://[^/\s]+$", description="The controller's REST API."
    )
    token_file: Path = Field(default=Path("/var/lib/ringfence/token"), description="File with the bearer token.")
    ca_file: Path | None = Field(default=None, description="Authority of an https controller.")
    host: str = Field(
        default="", max_length=512, description="OVSDB target of this host; needed where the controller has several."
    )
    state_dir: Path = Field(default=Path("/var/lib/ringfence-docker"), description="Directory of the driver's state.")
    pools: tuple[Annotated[str, AfterValidator(_pool)], ...] = Field(
        default=("172.29.0.0/16", "fd52:696e:6700::/48"),
        max_length=64,
        description="Where subnets come from when a network names none: a /24 or a /64 each.",
    )
    rest_s: float = Field(
        default=600.0, ge=0, le=86400, description="Seconds a released address rests before it is given again."
    )
    controller_down: Literal["start", "refuse"] = Field(
        default="start",
        description="While the controller does not answer: start containers, cut off until it does; or refuse them. "
        "Also: give addresses of a network of which it never leased any; or give none.",
    )
    labels: Labels = Field(default_factory=Labels, description="Which labels of containers count.")
    outside: Outside = Field(default_factory=Outside, description="The way out of networks, and in to published ports.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe messages that are logged."
    )


def load(path: Path | None, *, system_path: Path = SYSTEM_PATH) -> Config:
    """Read the configuration: `path`, else `system_path` if it exists, else defaults.

    Raises:
        ConfigError: the file cannot be read, or a key is unknown or wrong.
    """
    chosen = path or system_path
    if path is None and not chosen.exists():
        return Config()
    try:
        with chosen.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{chosen}: {error.strerror} (give a readable file with --config)") from error
    return parse(raw, source=str(chosen))


def parse(raw: bytes, *, source: str) -> Config:
    """Return the configuration that a YAML text says; `source` names it in errors.

    Raises:
        ConfigError: as for `load`.
    """
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{source}: longer than {MAX_BYTES} bytes (remove what is no configuration)")
    try:
        return Config.model_validate(yaml.safe_load(raw) or {})
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{source}: {_words(error)}") from error


def _words(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return f"no valid YAML: {' '.join(str(error).split())[:300]}"
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in problems[:10])


def describe() -> str:
    """Return the configuration with its defaults as commented YAML."""
    defaults = Config().model_dump(mode="json")
    parts = [
        f"# {field.description}\n{yaml.safe_dump({name: defaults[name]}, sort_keys=False)}"
        for name, field in Config.model_fields.items()
    ]
    return "\n".join(parts)

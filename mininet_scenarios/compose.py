"""As much of the Compose format as the example uses, for a machine that has no `docker compose`.

An unknown key is an error, so that nothing of a file is quietly left out. Containers and networks get the
names and labels that Docker's own tool gives them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import yaml

from mininet_scenarios import values
from mininet_scenarios.values import ScenarioError

MAX_BYTES = 1 << 20
PROJECT_LABEL, SERVICE_LABEL = "com.docker.compose.project", "com.docker.compose.service"


@dataclasses.dataclass(frozen=True, slots=True)
class Service:
    """A container to be."""

    name: str
    container: str
    image: str
    labels: Mapping[str, str]
    expose: tuple[str, ...]
    published: tuple[str, ...]
    network: str

    def words(self) -> list[str]:
        """Return the options of `docker run`."""
        labels = [word for key, value in self.labels.items() for word in ("--label", f"{key}={value}")]
        ports = [word for port in self.expose for word in ("--expose", port)]
        ports += [word for port in self.published for word in ("--publish", port)]
        return ["--name", self.container, "--network", self.network, "--network-alias", self.name, *labels, *ports]


@dataclasses.dataclass(frozen=True, slots=True)
class Network:
    """A Docker network to be."""

    name: str
    driver: str
    options: Mapping[str, str]
    ipv6: bool
    ipam: str
    subnets: tuple[str, ...]
    gateways: tuple[str, ...]

    def words(self) -> list[str]:
        """Return the options and the name for `docker network create`."""
        options = [word for key, value in self.options.items() for word in ("-o", f"{key}={value}")]
        subnets = [word for subnet in self.subnets for word in ("--subnet", subnet)]
        subnets += [word for gateway in self.gateways for word in ("--gateway", gateway)]
        ipv6 = ["--ipv6"] if self.ipv6 else []
        return ["-d", self.driver, "--ipam-driver", self.ipam, *ipv6, *options, *subnets, self.name]


@dataclasses.dataclass(frozen=True, slots=True)
class Project:
    """A file."""

    name: str
    services: tuple[Service, ...]
    networks: tuple[Network, ...]


def load(path: Path) -> Project:
    """Read a file.

    Raises:
        ScenarioError: it cannot be read, or has what is not understood here.
    """
    try:
        with path.open("rb") as file:
            data = yaml.safe_load(file.read(MAX_BYTES))
    except (OSError, yaml.YAMLError) as error:
        raise ScenarioError(f"{path}: {error}") from error
    reader = values.Reader(path.name, data)
    name = reader.take("name", values.text)
    services = reader.take("services", values.mapping)
    networks = reader.take("networks", values.mapping)
    reader.done()
    return Project(
        name,
        tuple(_service(name, key, value) for key, value in services.items()),
        tuple(_network(name, key, value) for key, value in networks.items()),
    )


def _service(project: str, name: str, data: object) -> Service:
    reader = values.Reader(f"services.{name}", data)
    own = {PROJECT_LABEL: project, SERVICE_LABEL: name}
    networks = reader.take("networks", values.texts)
    reader.take("command", values.texts, [])
    service = Service(
        name,
        f"{project}-{name}-1",
        reader.take("image", values.text),
        {**reader.take("labels", values.mapping, {}), **own},
        tuple(reader.take("expose", values.texts, [])),
        tuple(reader.take("ports", values.texts, [])),
        f"{project}_{networks[0]}",
    )
    reader.done()
    return service


def _network(project: str, name: str, data: object) -> Network:
    reader = values.Reader(f"networks.{name}", data)
    ipam = values.Reader(f"networks.{name}.ipam", reader.take("ipam", values.mapping, {}))
    subnets = ipam.take("config", values.mappings, [])
    network = Network(
        f"{project}_{name}",
        reader.take("driver", values.text),
        reader.take("driver_opts", values.mapping, {}),
        reader.take("enable_ipv6", bool, default=False),
        ipam.take("driver", values.text),
        tuple(str(item["subnet"]) for item in subnets),
        tuple(str(item["gateway"]) for item in subnets if "gateway" in item),
    )
    ipam.done()
    reader.done()
    return network

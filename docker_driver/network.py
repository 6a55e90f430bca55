"""libnetwork's network driver: networks, endpoints, join and leave.

Endpoints get the gateway of their network, which is the router in the switch, and no gateway service
(`docker_gwbridge`), so there is no way out of a network but the switch. Those of an `--internal` network
get none. Every call may be repeated, and asks no other program for anything.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from docker_driver import links, reading
from docker_driver.errors import Refused
from docker_driver.publishing import HostPorts, asked_ports
from docker_driver.reading import Body
from docker_driver.state import Endpoint, Network, State

GENERIC = "com.docker.network.generic"
EXPOSED = "com.docker.network.endpoint.exposedports"
INTERNAL = "com.docker.network.internal"
NETWORK_OPTION = "network"
MTU_OPTIONS = ("mtu", "com.docker.network.driver.mtu")
MIN_MTU, MAX_MTU = 1280, 9000
MAX_EXPOSED = 64
"""As many ports as an endpoint may name."""
_MAX_NAME = 120
_MAX_PORT, _MAX_PROTOCOL = 65535, 255
_STRIPES = 64
_PREFIX = 12
"""Hex digits of an endpoint's id in the names of its interfaces, which have at most 15 characters."""

NOTHING: Mapping[str, Any] = {}


def outer_name(endpoint: str) -> str:
    """Return the name of an endpoint's interface on the host."""
    return f"rfo{endpoint[:_PREFIX]}"


def inner_name(endpoint: str) -> str:
    """Return the name that its other end has until Docker renames it."""
    return f"rfi{endpoint[:_PREFIX]}"


class Driver:
    """The calls. Any thread may make them; those about one endpoint wait for each other."""

    def __init__(
        self, state: State, changed: Callable[[], None], why_not: Callable[[], str], shut: str, ports: HostPorts
    ) -> None:
        """Tell `changed` whenever something joined, left or is published.

        `why_not` says why nothing may be created now, `shut` why there is no way out of any network; both
        are empty where there is no reason. `ports` holds the host's ports that are published.
        """
        self._state = state
        self._changed = changed
        self._why_not = why_not
        self._shut = shut
        self._ports = ports
        ports.take_again(state.publishing())
        self._locks = [threading.Lock() for _ in range(_STRIPES)]

    # -- networks ------------------------------------------------------------------------------

    def create_network(self, body: Body) -> Mapping[str, Any]:
        """Remember a network; the Network document is made when its first endpoint is plugged in."""
        options = reading.mapping(reading.mapping(body, "Options"), GENERIC)
        data = [*reading.items(body, "IPv4Data"), *reading.items(body, "IPv6Data")]
        made = network_of(reading.uid(body, "NetworkID"), options, [_pool(item) for item in data])
        if reading.mapping(body, "Options").get(INTERNAL) is not True and not self._shut:
            made = dataclasses.replace(made, gateways=gateways_of([reading.text(item, "Gateway") for item in data]))
        self._state.put_network(made)
        self._changed()
        return NOTHING

    def delete_network(self, body: Body) -> Mapping[str, Any]:
        """Forget a network. Its Network document stays: policies may name it."""
        self._state.drop("networks", reading.uid(body, "NetworkID"))
        self._changed()
        return NOTHING

    # -- endpoints -----------------------------------------------------------------------------

    def create_endpoint(self, body: Body) -> Mapping[str, Any]:
        """Remember an endpoint.

        Raises:
            Refused: its network is unknown, its MAC or address is another's, ports are to be published
                where there is no way out, or the controller does not answer and that is to matter.
        """
        network, uid = reading.uid(body, "NetworkID"), reading.uid(body, "EndpointID")
        options = reading.mapping(body, "Options")
        home = self._state.network(network)
        if home is None:
            raise Refused("the driver does not know this network yet; it asks the Engine for it: try again")
        self._check_publishing(home, options)
        if problem := self._why_not():
            raise Refused(f"the controller does not answer ({problem}): start it, or set controller_down: start")
        asked = reading.mapping(body, "Interface")
        given = {key: reading.text(asked, key) for key in ("Address", "AddressIPv6")}
        addresses = tuple(reading.interface(value, key) for key, value in given.items() if value)
        mac = reading.text(asked, "MacAddress")
        made = Endpoint(
            uid=uid,
            network=network,
            mac=reading.mac(mac) if mac else mac_of(addresses),
            addresses=addresses,
            exposed=exposed_ports(options),
            made_at=time.time(),
        )
        with self._lock(uid):
            self._check_unique(made)
            self._state.put_endpoint(made)
        return {"Interface": {} if mac else {"MacAddress": made.mac}}

    def delete_endpoint(self, body: Body) -> Mapping[str, Any]:
        """Forget an endpoint and delete its interfaces."""
        uid = reading.uid(body, "EndpointID")
        self.remove(uid)
        return NOTHING

    def remove(self, uid: str) -> None:
        """Forget an endpoint, if there is one, and delete its interfaces."""
        with self._lock(uid):
            _delete(uid)
            self._ports.release(uid)
            self._state.drop("endpoints", uid)
        self._changed()

    def describe_endpoint(self, body: Body) -> Mapping[str, Any]:
        """Say what `docker network inspect` may want to know."""
        uid = reading.uid(body, "EndpointID")
        endpoint = self._state.endpoint(uid)
        joined = endpoint is not None and endpoint.joined
        return {"Value": {"ringfence.interface": outer_name(uid), "ringfence.joined": str(joined).lower()}}

    def join(self, body: Body) -> Mapping[str, Any]:
        """Make the veth pair and hand its inner end to Docker. The switch has no port for the outer end yet."""
        uid, network = reading.uid(body, "EndpointID"), reading.uid(body, "NetworkID")
        with self._lock(uid):
            endpoint, home = self._state.endpoint(uid), self._state.network(network)
            if endpoint is None or home is None or endpoint.network != network:
                raise Refused("there is no such endpoint; remove the container and start it anew")
            try:
                links.make_pair(outer_name(uid), inner_name(uid), endpoint.mac, home.mtu)
            except OSError as error:
                raise Refused(f"cannot make the interfaces: {error.strerror or error}") from error
            try:
                self._state.put_endpoint(dataclasses.replace(endpoint, joined=True))
            except BaseException:
                links.remove(outer_name(uid))
                raise
        self._changed()
        gateways = () if self._shut else home.gateways
        return {
            "InterfaceName": {"SrcName": inner_name(uid), "DstPrefix": "eth"},
            "StaticRoutes": [],
            **{("GatewayIPv6" if ":" in gateway else "Gateway"): gateway for gateway in gateways},
            "DisableGatewayService": True,
        }

    def leave(self, body: Body) -> Mapping[str, Any]:
        """Cut the endpoint off at once; its port goes from the switch soon after."""
        uid = reading.uid(body, "EndpointID")
        with self._lock(uid):
            endpoint = self._state.endpoint(uid)
            if endpoint is not None and endpoint.joined:
                self._state.put_endpoint(dataclasses.replace(endpoint, joined=False, published=()))
            self._ports.release(uid)
            _delete(uid)
        self._changed()
        return NOTHING

    # -- published ports -----------------------------------------------------------------------

    def publish(self, body: Body) -> Mapping[str, Any]:
        """Publish ports (`-p`): this endpoint is the container's way out. The host's ports are held at once.

        Raises:
            Refused: a port of the host is another's, or there is no such endpoint.
        """
        uid, asked = reading.uid(body, "EndpointID"), asked_ports(reading.mapping(body, "Options"))
        with self._lock(uid):
            endpoint = self._state.endpoint(uid)
            if endpoint is None:
                raise Refused("there is no such endpoint; remove the container and start it anew")
            self._ports.release(uid)
            published = self._ports.take(uid, asked)
            self._state.put_endpoint(dataclasses.replace(endpoint, published=published))
        if published or endpoint.published:
            self._changed()
        return NOTHING

    def withdraw(self, body: Body) -> Mapping[str, Any]:
        """Publish nothing any more."""
        uid = reading.uid(body, "EndpointID")
        with self._lock(uid):
            endpoint = self._state.endpoint(uid)
            self._ports.release(uid)
            if endpoint is None or not endpoint.published:
                return NOTHING
            self._state.put_endpoint(dataclasses.replace(endpoint, published=()))
        self._changed()
        return NOTHING

    def _check_publishing(self, home: Network, options: Body) -> None:
        if not asked_ports(options):
            return
        if self._shut:
            raise Refused(f"ports cannot be published (-p): {self._shut}")
        if not home.gateways:
            raise Refused("ports cannot be published from this network (-p): it has no gateway; remove -p")

    def _lock(self, uid: str) -> threading.Lock:
        return self._locks[int(uid[:2], 16) % _STRIPES]

    def _check_unique(self, made: Endpoint) -> None:
        for other in self._state.endpoints().values():
            if other.uid == made.uid or other.network != made.network:
                continue
            if other.mac == made.mac or set(other.addresses) & set(made.addresses):
                what = f"MAC {made.mac}" if other.mac == made.mac else "the address"
                raise Refused(f"{what} is another endpoint's of this network: choose another")


def network_of(uid: str, options: Mapping[str, Any], subnets: list[str]) -> Network:
    """Return a network from its driver options (`docker network create -o`).

    Raises:
        Refused: an option is unknown or wrong.
    """
    unknown = set(options) - {NETWORK_OPTION, *MTU_OPTIONS}
    if unknown:
        raise Refused(f"option {min(unknown)[:80]!r} is unknown: there are -o network=NAME and -o mtu=N")
    name = reading.text(options, NETWORK_OPTION)
    if name and name != network_name(name):
        raise Refused(f"option network: {name[:80]!r} is no name: lower case letters, digits, '.' and '-'")
    given = [reading.text(options, key) for key in MTU_OPTIONS if options.get(key)]
    mtu = given[0] if given else "1500"
    if not mtu.isascii() or not mtu.isdigit() or not MIN_MTU <= int(mtu[:6]) <= MAX_MTU:
        raise Refused(f"option mtu: {mtu[:20]!r} is no number from {MIN_MTU} to {MAX_MTU}")
    return Network(uid, name, tuple(dict.fromkeys(subnets)), int(mtu))


def network_name(docker: str) -> str:
    """Return the Ringfence network's name for a Docker network's: `shop_default` is `shop-default`."""
    lower = "".join(c if c.isascii() and (c.isalnum() or c in ".-") else "-" for c in docker.lower())
    return lower[:_MAX_NAME].strip(".-") or "docker"


def gateways_of(texts: list[str]) -> tuple[str, ...]:
    """Return the gateways of a network, one of each IP version.

    Raises:
        Refused: one is no address.
    """
    found = [ipaddress.ip_interface(reading.interface(text, "Gateway")).ip for text in texts if text]
    return tuple(str(gateway) for gateway in {g.version: g for g in reversed(found)}.values())


def exposed_ports(options: Body) -> tuple[tuple[int, int], ...]:
    """Return what EXPOSE and --expose say, as (IP protocol, port)."""
    ports = {
        (reading.number(item, "Proto", _MAX_PROTOCOL), reading.number(item, "Port", _MAX_PORT))
        for item in reading.items(options, EXPOSED)
    }
    return tuple(sorted(ports)[:MAX_EXPOSED])


def mac_of(addresses: tuple[str, ...]) -> str:
    """Return a MAC that follows from the first address, as Docker's own driver makes it.

    Raises:
        Refused: there is no address.
    """
    if not addresses:
        raise Refused("the endpoint has neither a MAC nor an address: use --ipam-driver ringfence, or set one")
    packed = ipaddress.ip_interface(addresses[0]).ip.packed[-4:]
    return ":".join(f"{byte:02x}" for byte in (2, 0x42, *packed))


def _pool(item: Body) -> str:
    pool = reading.text(item, "Pool")
    try:
        return str(ipaddress.ip_network(pool))
    except ValueError as error:
        raise Refused(f"{pool[:80]!r} is no subnet") from error


def _delete(uid: str) -> None:
    try:
        links.remove(outer_name(uid))
    except OSError as error:
        raise Refused(f"cannot delete interface {outer_name(uid)}: {error.strerror}") from error

"""The plugin protocol: which path is which call. Facts: libnetwork's docs/remote.md and docs/ipam.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from docker_driver import reading
from docker_driver.ipam import GATEWAY, NOBODY, Ipam
from docker_driver.network import NOTHING, Driver
from docker_driver.reading import Body

Call: TypeAlias = Callable[[Body], Mapping[str, Any]]

ADDRESS_TYPE = "RequestAddressType"
GATEWAY_TYPE = "com.docker.network.gateway"
MAC_OPTION = "com.docker.network.endpoint.macaddress"
SPACE = "ringfence"


def table(driver: Driver, ipam: Ipam) -> dict[str, Call]:
    """Return every call by its path."""
    return {
        "/Plugin.Activate": _always({"Implements": ["NetworkDriver", "IpamDriver"]}),
        "/NetworkDriver.GetCapabilities": _always({"Scope": "local", "ConnectivityScope": "local"}),
        "/NetworkDriver.CreateNetwork": driver.create_network,
        "/NetworkDriver.DeleteNetwork": driver.delete_network,
        "/NetworkDriver.CreateEndpoint": driver.create_endpoint,
        "/NetworkDriver.DeleteEndpoint": driver.delete_endpoint,
        "/NetworkDriver.EndpointOperInfo": driver.describe_endpoint,
        "/NetworkDriver.Join": driver.join,
        "/NetworkDriver.Leave": driver.leave,
        "/NetworkDriver.DiscoverNew": _always(NOTHING),
        "/NetworkDriver.DiscoverDelete": _always(NOTHING),
        "/NetworkDriver.ProgramExternalConnectivity": driver.publish,
        "/NetworkDriver.RevokeExternalConnectivity": driver.withdraw,
        **_ipam_table(ipam),
    }


def _ipam_table(ipam: Ipam) -> dict[str, Call]:
    def request_pool(body: Body) -> Mapping[str, Any]:
        v6 = body.get("V6") is True
        pool = ipam.request_pool(reading.text(body, "Pool"), reading.text(body, "SubPool"), v6=v6)
        return {"PoolID": pool.uid, "Pool": str(pool.subnet), "Data": {}}

    def release_pool(body: Body) -> Mapping[str, Any]:
        ipam.release_pool(reading.text(body, "PoolID"))
        return NOTHING

    def request_address(body: Body) -> Mapping[str, Any]:
        holder = _holder(reading.mapping(body, "Options"))
        return {"Address": ipam.request_address(reading.text(body, "PoolID"), reading.text(body, "Address"), holder)}

    def release_address(body: Body) -> Mapping[str, Any]:
        ipam.release_address(reading.text(body, "PoolID"), reading.text(body, "Address"))
        return NOTHING

    return {
        # With the MAC as the holder, a request that dockerd repeats gets the address it got before.
        "/IpamDriver.GetCapabilities": _always({"RequiresMACAddress": True}),
        "/IpamDriver.GetDefaultAddressSpaces": _always(
            {"LocalDefaultAddressSpace": SPACE, "GlobalDefaultAddressSpace": SPACE}
        ),
        "/IpamDriver.RequestPool": request_pool,
        "/IpamDriver.ReleasePool": release_pool,
        "/IpamDriver.RequestAddress": request_address,
        "/IpamDriver.ReleaseAddress": release_address,
    }


def _holder(options: Body) -> str:
    if reading.text(options, ADDRESS_TYPE) == GATEWAY_TYPE:
        return GATEWAY
    mac = reading.text(options, MAC_OPTION)
    return reading.mac(mac) if mac else NOBODY


def _always(answer: Mapping[str, Any]) -> Call:
    def call(_body: Body) -> Mapping[str, Any]:
        return answer

    return call

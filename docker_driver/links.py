"""veth pairs by rtnetlink and ioctl: half a millisecond each, where starting `ip` takes five.

`outer` stays on the host for the switch; Docker moves `inner` into the container. Sources: rtnetlink(7),
linux/if_link.h, linux/veth.h, linux/ethtool.h, netdevice(7).
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import socket
import struct
from pathlib import Path

_RTM_NEWLINK, _RTM_DELLINK = 16, 17
_NLMSG_ERROR = 2
_REQUEST, _ACK, _EXCL, _CREATE = 0x1, 0x4, 0x200, 0x400
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINKINFO = 1, 3, 4, 18
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_IFINFO = struct.Struct("=BxHiII")
_HEADER = struct.Struct("=IHHII")
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCETHTOOL = 0x8913, 0x8914, 0x8946
_IFF_UP = 0x1
_ETHTOOL_SRXCSUM, _ETHTOOL_STXCSUM = 0x15, 0x17
_TIMEOUT_S = 5.0
_NET = Path("/proc/sys/net")
CONSTRAINTS = (
    ("ipv6", "disable_ipv6", "1"),
    ("ipv4", "rp_filter", "1"),
    ("ipv4", "arp_ignore", "8"),
    ("ipv4", "forwarding", "0"),
    ("ipv4", "accept_local", "0"),
    ("ipv4", "route_localnet", "0"),
)
"""What keeps the host's own IP stack from answering or forwarding for a container: beside a userspace
datapath it sees the frames too. No route leads to `outer`, so strict reverse path filtering drops all."""


def make_pair(outer: str, inner: str, mac: str, mtu: int) -> None:
    """Make a pair in the current namespace; one of that name that is there is replaced.

    Checksum offload is off on `inner`: the userspace datapath does not finish checksums.

    Raises:
        OSError: the kernel refuses.
    """
    remove(outer)
    peer = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + _names(inner, mtu) + _attribute(_IFLA_ADDRESS, _mac(mac))
    data = _attribute(_INFO_DATA, _attribute(_VETH_PEER, peer))
    info = _attribute(_IFLA_LINKINFO, _attribute(_INFO_KIND, b"veth") + data)
    body = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + _names(outer, mtu) + info
    _ask(_RTM_NEWLINK, _CREATE | _EXCL, body)
    try:
        constrain(outer)
        _offload_off(inner)
        _up(outer)
    except OSError:
        remove(outer)
        raise


def remove(name: str) -> None:
    """Delete an interface, and its peer with it; that there is none is no error."""
    body = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + _attribute(_IFLA_IFNAME, name.encode() + b"\0")
    try:
        _ask(_RTM_DELLINK, 0, body)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise


def names() -> set[str]:
    """Return the names of all interfaces here."""
    return {name for _, name in socket.if_nameindex()}


def constrain(outer: str) -> None:
    """Take the interface from the host's IP stack as far as it goes."""
    for family, key, value in CONSTRAINTS:
        path = _NET / family / "conf" / outer / key
        if path.parent.exists():
            path.write_text(value)


def _names(name: str, mtu: int) -> bytes:
    return _attribute(_IFLA_IFNAME, name.encode() + b"\0") + _attribute(_IFLA_MTU, struct.pack("=I", mtu))


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


def _ask(kind: int, flags: int, body: bytes) -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as asking:
        asking.settimeout(_TIMEOUT_S)
        asking.send(_HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | _ACK | flags, 1, 0) + body)
        answer = asking.recv(65536)
    _, answered, _, _, _ = _HEADER.unpack_from(answer)
    code = struct.unpack_from("=i", answer, _HEADER.size)[0] if answered == _NLMSG_ERROR else -errno.EPROTO
    if code:
        raise OSError(-code, f"the kernel refuses: {os.strerror(-code)}")


def _offload_off(name: str) -> None:
    """Switch checksum offload off, which takes segmentation offload along."""
    for command in (_ETHTOOL_STXCSUM, _ETHTOOL_SRXCSUM):
        value = array.array("I", [command, 0])
        _ioctl(_SIOCETHTOOL, struct.pack("16sP8x", name.encode(), value.buffer_info()[0]))


def _up(name: str) -> None:
    flags = struct.unpack_from("=h", _ioctl(_SIOCGIFFLAGS, struct.pack("16s16x", name.encode())), 16)[0]
    _ioctl(_SIOCSIFFLAGS, struct.pack("16sh14x", name.encode(), flags | _IFF_UP))


def _ioctl(request: int, data: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as any_socket:
        return fcntl.ioctl(any_socket, request, data)

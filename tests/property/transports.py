"""Random transport headers."""

from __future__ import annotations

from typing import Any

from tests.property.choice import Choice
from topology.packet import ICMP, ICMPV6, SCTP, TCP, UDP

PORTS = (80, 81, 79, 443, 1, 0, 1023, 1024, 8080, 65535)
SOURCE_PORTS = (40000, *PORTS)


def transport(choice: Choice, version: int) -> dict[str, Any]:
    """Return protocol, ports and ICMP fields as a header holds them."""
    icmp = ICMP if version == 4 else ICMPV6
    protocol = choice.pick((TCP, TCP, UDP, UDP, icmp, icmp, SCTP, 47))
    if protocol in {TCP, UDP, SCTP}:
        return {"protocol": protocol, "sport": choice.pick(SOURCE_PORTS), "dport": choice.pick(PORTS)}
    if protocol == icmp:
        types = (8, 13, 15, 0, 3, 5) if version == 4 else (128, 129, 1, 2, 130)
        code = 0 if choice.chance(90) else 1
        return {"protocol": protocol, "icmp_type": choice.pick(types), "icmp_code": code}
    return {"protocol": protocol}

"""What we want the integration bridge to be, and what an observed bridge lacks of it. Pure."""

from __future__ import annotations

import dataclasses

from topology.events import ControllerRow
from topology.site import OWNER_KEY, SiteBridge

AUTO = "auto"
IN_BAND_KEY = "disable-in-band"
DPID_KEY = "datapath-id"


@dataclasses.dataclass(frozen=True, slots=True)
class BridgeWish:
    """The integration bridge as it must be; always fail_mode=secure and without in-band control."""

    name: str
    owner: str
    """The owner id that marks what is ours."""
    controllers: tuple[str, ...]
    """OpenFlow targets, such as `tcp:127.0.0.1:6653`."""
    datapath_type: str = AUTO
    """`system`, `netdev`, or `auto`: system if this vswitchd has it."""
    dpid: int | None = None
    """None leaves the choice to the switch."""
    protocols: tuple[str, ...] = ("OpenFlow13", "OpenFlow14", "OpenFlow15")
    inactivity_probe_ms: int = 5000
    """After this silence the switch asks the controller for a sign of life."""
    max_backoff_ms: int = 1000
    """Longest pause between the switch's attempts to connect."""
    adopt: bool = False
    """Take over a bridge of that name that we did not make."""

    @property
    def other_config(self) -> dict[str, str]:
        """The keys of other_config that matter to us; others are left alone."""
        fixed = {} if self.dpid is None else {DPID_KEY: f"{self.dpid:016x}"}
        return {IN_BAND_KEY: "true", **fixed}


def bridge_faults(bridge: SiteBridge, wish: BridgeWish) -> tuple[str, ...]:
    """Return what is not as wished, in words; empty when the bridge is right."""
    checks = {
        f"external_ids:{OWNER_KEY} is not {wish.owner}": bridge.external_ids.get(OWNER_KEY) == wish.owner,
        f"fail_mode is {bridge.fail_mode or 'unset'}, not secure": bridge.fail_mode == "secure",
        f"protocols are not {','.join(wish.protocols)}": bridge.protocols == frozenset(wish.protocols),
        f"datapath_type is not {wish.datapath_type}": wish.datapath_type in (AUTO, bridge.datapath_type or "system"),
    }
    config = {
        f"other_config:{key} is not {value}": bridge.other_config.get(key) == value
        for key, value in wish.other_config.items()
    }
    return (*(fault for fault, fine in {**checks, **config}.items() if not fine), *_controller_faults(bridge, wish))


def bridge_is_right(bridge: SiteBridge, wish: BridgeWish) -> bool:
    """Tell whether `ensure_bridge` would have nothing to do."""
    return not bridge_faults(bridge, wish)


def controller_is_right(row: ControllerRow, wish: BridgeWish) -> bool:
    """Tell whether a controller row is ours and as it must be (its target aside)."""
    return (
        row.external_ids.get(OWNER_KEY) == wish.owner
        and row.connection_mode == "out-of-band"
        and row.inactivity_probe == wish.inactivity_probe_ms
        and row.max_backoff == wish.max_backoff_ms
    )


def _controller_faults(bridge: SiteBridge, wish: BridgeWish) -> tuple[str, ...]:
    targets = sorted(row.target for row in bridge.controllers)
    if targets != sorted(set(wish.controllers)):
        return (f"controllers are {', '.join(targets) or 'none'}, not {', '.join(wish.controllers)}",)
    wrong = [row.target for row in bridge.controllers if not controller_is_right(row, wish)]
    return tuple(f"controller {target} is not as we made it" for target in wrong)

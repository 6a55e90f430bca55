"""What a program did with a frame to many, beside what the semantics says of each member."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intent.clockwork import effective
from intent.compiler import cookie
from intent.compiler import fields as f
from intent.compiler.cookie import Kind
from intent.compiler.fabric import MARK
from intent.compiler.interpreter import Result, State
from intent.compiler.verdict import Column
from intent.model import Action, Direction, Mode
from intent.semantics import Judgement, Reason, Verdict, judge
from tests.property.cases import NOW, OFFSETS
from topology.packet import UDP, Frame, Opening

if TYPE_CHECKING:
    from tests.property.world import Switch


def compare(switch: Switch, frame: Frame, verdict: Verdict, result: Result) -> Verdict:
    """Assert that the ports here of who may hear, and they alone, get it as it came, once; and other switches."""
    dpid = switch.case.dpid
    assert verdict.reason is Reason.POLICY
    assert (result.committed, result.to_controller) == (None, False)
    here = [state for state in result.left if not goes_to(switch, state)]
    macs = tuple(int(mac.replace(":", ""), 16) for mac in (frame.eth_src, frame.eth_dst))
    assert all((state[f.ETH_SRC], state[f.ETH_DST]) == macs for state in here)
    allowed = set(verdict.fate.copies)
    away = [there for state in result.left if (there := goes_to(switch, state))]
    ports = [act.port for act, state in zip(result.taken, result.left, strict=True) if not goes_to(switch, state)]
    assert sorted(ports) == sorted(place.ofport for place in allowed if place.dpid == dpid), switch.story(result)
    others = {place.dpid for place in allowed} - {dpid} if frame.dpid == dpid else set()
    assert sorted(away) == sorted(others), switch.story(result)
    _check_sample(switch, frame, verdict, result)
    _check_deciders(switch, frame, verdict, result)
    _check_tally(switch, frame, verdict, result)
    return verdict


def _check_sample(switch: Switch, frame: Frame, verdict: Verdict, result: Result) -> None:
    """Where copies are denied one sample is shown, after the last copy is out."""
    samples = [o for o in map(cookie.decode, result.cookies) if o and o.kind is Kind.SAMPLE]
    assert len(samples) <= 1
    if frame.dpid == switch.case.dpid and any(j.verdict is not Action.ALLOW for j in verdict.copies.values()):
        assert samples


def goes_to(switch: Switch, state: State) -> int | None:
    """Return the switch that a packet was sent to, None if it left for a port here."""
    inventory = switch.case.inventory
    if state[f.ETH_DST] >> 40 == MARK:
        number = state[f.ETH_DST] >> 16 & 0xFFFFFF
        return next(dpid for dpid, known in inventory.fabric.numbers.items() if known == number)
    if state.get(f.TARGET.field, 0) == 0:
        return None
    return next(d for d, end in inventory.tunnels.items() if int(end.address) == state[f.TUN_DST])


def _check_deciders(switch: Switch, frame: Frame, verdict: Verdict, result: Result) -> None:
    """Each decision was the right one about some member; the sender, which gets no copy, may be one."""
    judgements = [*verdict.copies.values(), _of_itself(switch, frame)]
    for direction in Direction:
        rulings = [ruling for j in judgements if (ruling := getattr(j, direction.value)) is not None]
        for origin in filter(None, map(cookie.decode, result.cookies)):
            if origin.direction is direction and origin.kind is not Kind.CANDIDATE and not _passes(switch, origin):
                assert any(_is_by(switch, origin, ruling) for ruling in rulings)


def _of_itself(switch: Switch, frame: Frame) -> Judgement:
    case = switch.case
    sender = next(e for e in case.inventory.endpoints.values() if e.mac == frame.eth_src and frame.src in e.addresses)
    own = next(address for address in sender.addresses if address.version == frame.dst.version)
    opening = Opening(sender.network, frame.src, own, UDP, frame.sport, frame.dport)
    return judge(case.intents, case.inventory, opening, now=NOW, offsets=OFFSETS)


def _passes(switch: Switch, origin: cookie.Origin) -> bool:
    """Say whether a rule only leaves the decision to what follows."""
    if origin.kind is not Kind.RULE:
        return False
    policy, _, rule = (switch.ids.key_of("rule", origin.number) or "").partition("/")
    rules = switch.case.intents.policies[policy].rules
    return next(r for r in rules if r.name == rule).action is Action.PASS


def _is_by(switch: Switch, origin: cookie.Origin, ruling: object) -> bool:
    try:
        switch.check_decider(origin, ruling)
    except AssertionError:
        return False
    return True


def _check_tally(switch: Switch, frame: Frame, verdict: Verdict, result: Result) -> None:
    """What is observed is counted for each judgement, and as no opening."""
    policies = effective(switch.case.intents, NOW, OFFSETS).policies.values()
    origins = [o for o in map(cookie.decode, result.cookies) if o and o.kind is Kind.TALLY]
    if not any(policy.mode is Mode.OBSERVE for policy in policies):
        assert not origins
        return
    columns = [Column.of_detail(o.detail) for o in origins if not o.number]
    assert not any(column.opening for column in columns)
    verdicts = {judgement.verdict is Action.ALLOW for judgement in verdict.copies.values()}
    if frame.dpid == switch.case.dpid:
        assert verdicts <= {column.enforced == f.ALLOWED for column in columns}

"""Flows as ovs-ofctl text, and back.

`ovs-ofctl -O OpenFlow14 add-flows BRIDGE -` takes what `flow_text` writes. With table names the
text is for people and golden files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import ip_address

from intent.compiler import fields as f
from intent.compiler.field_text import (
    read_number,
    read_slice,
    read_term,
    read_whole,
    slice_text,
    term_text,
    whole_text,
)
from intent.compiler.fields import Slice
from intent.compiler.flow import (
    CONTROLLER,
    IN_PORT,
    Act,
    Actions,
    Conjunction,
    Ct,
    DecTtl,
    Flow,
    FlowBody,
    FlowKey,
    Goto,
    Group,
    Load,
    Match,
    Meter,
    Move,
    Nat,
    Output,
    OutputReg,
    Resubmit,
    SetQueue,
    Side,
    Term,
    exact,
    match_of,
)
from topology.packet import ETH_ARP, ETH_IPV4, ETH_IPV6, ICMP, ICMPV6, SCTP, TCP, UDP

TableNames = Mapping[int, str]

_PROTOCOLS: Mapping[tuple[int, int | None], str] = {
    (ETH_IPV4, None): "ip",
    (ETH_IPV4, ICMP): "icmp",
    (ETH_IPV4, TCP): "tcp",
    (ETH_IPV4, UDP): "udp",
    (ETH_IPV4, SCTP): "sctp",
    (ETH_IPV6, None): "ipv6",
    (ETH_IPV6, ICMPV6): "icmp6",
    (ETH_IPV6, TCP): "tcp6",
    (ETH_IPV6, UDP): "udp6",
    (ETH_IPV6, SCTP): "sctp6",
    (ETH_ARP, None): "arp",
}
"""Words that stand for EtherType and protocol together."""
_WORDS = {word: pair for pair, word in _PROTOCOLS.items()}


# -- writing ----------------------------------------------------------------------------------------


def flow_text(flow: Flow, table_names: TableNames | None = None) -> str:
    """Return a flow as one line; tables by name where `table_names` has one."""
    (table, priority, match), body = flow
    names = table_names or {}
    head = [f"cookie={body.cookie:#x}", f"table={_table(table, names)}", f"priority={priority}"]
    if body.hard_timeout:
        head.append(f"hard_timeout={body.hard_timeout}")
    actions = ",".join(_act_text(act, names) for act in body.actions) or "drop"
    return f"{','.join([*head, *_match_words(match)])} actions={actions}"


def _table(number: int, names: TableNames) -> str:
    return names.get(number, str(number))


def _match_words(match: Match) -> Iterator[str]:
    exactly = {t.field: t.value for t in match if t.mask == t.field.ones}
    eth_type, protocol = exactly.get(f.ETH_TYPE), exactly.get(f.IP_PROTO)
    both = eth_type is not None and (eth_type, protocol) in _PROTOCOLS
    word = None if eth_type is None else _PROTOCOLS.get((eth_type, protocol if both else None))
    covered = {f.ETH_TYPE, f.IP_PROTO} if both else {f.ETH_TYPE}
    for term in match:
        if word is None or term.field not in covered:
            yield term_text(term)
        elif term.field is f.ETH_TYPE:
            yield word


def _act_text(act: Act, names: TableNames) -> str:
    return _WRITERS[type(act)](act, names)


def _load_text(act: Load, _: TableNames) -> str:
    if act.dst.bits == act.dst.field.bits:
        return f"set_field:{whole_text(act.dst.field, act.value)}"
    return f"load:{act.value:#x}->{slice_text(act.dst)}"


def _output_text(act: Output, _: TableNames) -> str:
    if act.port == IN_PORT:
        return "in_port"
    return f"controller(max_len={act.max_len})" if act.port == CONTROLLER else f"output:{act.port}"


def _ct_text(act: Ct, names: TableNames) -> str:
    parts = ["commit"] * act.commit + ["force"] * act.force
    if act.table is not None:
        parts.append(f"table={_table(act.table, names)}")
    parts.append(f"zone={slice_text(act.zone) if isinstance(act.zone, Slice) else act.zone}")
    if act.nat is not None:
        parts.append(_nat_text(act.nat))
    if act.exec:
        parts.append(f"exec({','.join(_act_text(inner, names) for inner in act.exec)})")
    return f"ct({','.join(parts)})"


def _nat_text(nat: Nat) -> str:
    if nat.side is None or nat.address is None:
        return "nat"
    bracketed = nat.port is not None and nat.address.version == 6  # noqa: PLR2004 - of IP
    host = f"[{nat.address}]" if bracketed else str(nat.address)
    return f"nat({nat.side}={host}{'' if nat.port is None else f':{nat.port}'})"


_WRITERS: Mapping[type, Callable[..., str]] = {
    Load: _load_text,
    Move: lambda act, _: f"move:{slice_text(act.src)}->{slice_text(act.dst)}",
    Resubmit: lambda act, names: f"resubmit(,{_table(act.table, names)})",
    Goto: lambda act, names: f"goto_table:{_table(act.table, names)}",
    Output: _output_text,
    OutputReg: lambda act, _: f"output:{slice_text(act.src)}",
    Ct: _ct_text,
    Conjunction: lambda act, _: f"conjunction({act.id},{act.clause}/{act.of})",
    DecTtl: lambda _, __: "dec_ttl",
    Meter: lambda act, _: f"meter:{act.id}",
    Group: lambda act, _: f"group:{act.id}",
    SetQueue: lambda act, _: f"set_queue:{act.id}",
}


# -- reading ----------------------------------------------------------------------------------------


def parse_flow(text: str, table_names: TableNames | None = None) -> Flow:
    """Return the flow that `flow_text` wrote as `text`; what is left out is 0.

    Raises:
        ValueError: anything that `flow_text` does not write, with the part at fault.
    """
    numbers = {name: number for number, name in (table_names or {}).items()}
    head, found, tail = text.strip().partition("actions=")
    if not found:
        raise ValueError(f"flow {text!r} has no actions=")
    settings: dict[str, str] = {}
    terms: list[Term] = []
    for word in _split(head.strip(" ,")):
        name, _, value = word.strip().partition("=")
        if name in ("cookie", "table", "priority", "hard_timeout"):
            settings[name] = value
        else:
            terms += _read_word(name, value)
    key = FlowKey(
        _read_table(settings.get("table", "0"), numbers), read_number(settings.get("priority", "0")), match_of(terms)
    )
    cookie, timeout = read_number(settings.get("cookie", "0")), read_number(settings.get("hard_timeout", "0"))
    return Flow(key, FlowBody(_read_actions(tail.strip(), numbers), cookie, timeout))


def _read_word(name: str, value: str) -> Iterable[Term]:
    if name in _WORDS and not value:
        eth_type, protocol = _WORDS[name]
        yield exact(f.ETH_TYPE, eth_type)
        if protocol is not None:
            yield exact(f.IP_PROTO, protocol)
    else:
        yield read_term(name, value)


def _split(text: str) -> list[str]:
    """Split at the commas outside parentheses; nothing has no parts."""
    parts, depth, start = [], 0, 0
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == "," and not depth:
            parts.append(text[start:at])
            start = at + 1
        if depth < 0:
            break
    if depth:
        raise ValueError(f"{text!r}: a parenthesis has no partner")
    return [*parts, text[start:]] if text else []


def _read_table(text: str, numbers: Mapping[str, int]) -> int:
    return numbers[text] if text in numbers else read_number(text)


def _read_actions(text: str, numbers: Mapping[str, int]) -> Actions:
    if text == "drop":
        return ()
    if not text:
        raise ValueError("actions=: an empty list is written as drop")
    return tuple(_read_act(word, numbers) for word in _split(text))


def _read_act(word: str, numbers: Mapping[str, int]) -> Act:
    if word == "in_port":
        return Output(IN_PORT)
    for pattern, read in _READERS:
        found = pattern.fullmatch(word)
        if found:
            return read(found, numbers)
    raise ValueError(f"actions: {word!r} is no action of ours")


def _read_load(found: re.Match[str], _: Mapping[str, int]) -> Load:
    value, dst = read_number(found[1]), read_slice(found[2])
    if value >> dst.bits:
        raise ValueError(f"{found[0]}: the value does not fit {dst.bits} bits")
    return Load(dst, value)


def _read_set_field(found: re.Match[str], _: Mapping[str, int]) -> Load:
    field, value = read_whole(found[1])
    return Load(Slice(field, 0, field.bits), value)


def _read_output(found: re.Match[str], _: Mapping[str, int]) -> Output | OutputReg:
    return OutputReg(read_slice(found[1])) if "[" in found[1] else Output(read_number(found[1]))


def _read_ct(found: re.Match[str], numbers: Mapping[str, int]) -> Ct:
    commit = force = False
    table: int | None = None
    zone: Slice | int = 0
    inner: list[Load | Move] = []
    nat: Nat | None = None
    for part in _split(found[1]):
        name, _, value = part.partition("=")
        if part in ("commit", "force"):
            commit, force = commit or part == "commit", force or part == "force"
        elif name == "table":
            table = _read_table(value, numbers)
        elif name == "zone":
            zone = read_slice(value) if "[" in value else read_number(value)
        elif part.startswith("nat"):
            nat = _read_nat(part)
        elif part.startswith("exec("):
            inner += _read_exec(part[5:-1], numbers)
        else:
            raise ValueError(f"ct: {part!r} is nothing of ours")
    return Ct(zone, commit, force, table, tuple(inner), nat)


_NAT = re.compile(r"nat\((src|dst)=(?:(?:\[([0-9a-f:.]+)\]|([0-9.]+))(?::(\d+))?|([0-9a-f:.]+))\)", re.ASCII)
"""An IPv6 address with a port is in brackets."""


def _read_nat(text: str) -> Nat:
    if text == "nat":
        return Nat()
    found = _NAT.fullmatch(text)
    if found is None:
        raise ValueError(f"ct: {text!r} is no translation of ours")
    side, host, port = found[1], found[2] or found[3] or found[5], found[4]
    return Nat(Side(side), ip_address(host), None if port is None else read_number(port))


def _read_exec(text: str, numbers: Mapping[str, int]) -> Iterator[Load | Move]:
    for act in _read_actions(text, numbers):
        if not isinstance(act, Load | Move):
            raise ValueError(  # noqa: TRY004 - the text is wrong, not a caller's type
                f"ct: exec({text}) holds something else than load, set_field and move"
            )
        yield act


_READERS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], Mapping[str, int]], Act]], ...] = (
    (re.compile(r"load:([^-]+)->(.+)"), _read_load),
    (re.compile(r"set_field:(.+)"), _read_set_field),
    (re.compile(r"move:([^-]+)->(.+)"), lambda m, _: Move(read_slice(m[1]), read_slice(m[2]))),
    (re.compile(r"resubmit\(,([^()]+)\)"), lambda m, numbers: Resubmit(_read_table(m[1], numbers))),
    (re.compile(r"goto_table:(.+)"), lambda m, numbers: Goto(_read_table(m[1], numbers))),
    (re.compile(r"controller\(max_len=(.+)\)"), lambda m, _: Output(CONTROLLER, read_number(m[1]))),
    (re.compile(r"output:(.+)"), _read_output),
    (re.compile(r"ct\((.*)\)"), _read_ct),
    (
        re.compile(r"conjunction\((\d+),(\d+)/(\d+)\)", re.ASCII),
        lambda m, _: Conjunction(read_number(m[1]), read_number(m[2]), read_number(m[3])),
    ),
    (re.compile(r"dec_ttl"), lambda _, __: DecTtl()),
    (re.compile(r"meter:(.+)"), lambda m, _: Meter(read_number(m[1]))),
    (re.compile(r"group:(.+)"), lambda m, _: Group(read_number(m[1]))),
    (re.compile(r"set_queue:(.+)"), lambda m, _: SetQueue(read_number(m[1]))),
)

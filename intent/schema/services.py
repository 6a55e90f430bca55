"""The words for what opens a connection: `tcp/80`, `udp`, `icmp/8/0`, `proto/47`, `any`."""

import re
from functools import lru_cache

from intent.model import PortName, PortRange, ServiceMatch
from intent.schema.problems import did_you_mean, echo
from intent.schema.scalars import CACHED, refusal
from topology.packet import ICMP, ICMPV6, SCTP, TCP, UDP

MAX_PORT = 65535
_MAX_BYTE = 255
_WITH_PORTS = {"tcp": TCP, "udp": UDP, "sctp": SCTP}
_WITH_TYPES = {"icmp": ICMP, "icmpv6": ICMPV6}
_WORDS = {number: word for word, number in (_WITH_PORTS | _WITH_TYPES).items()}
_NUMBER = re.compile(r"0|[1-9][0-9]{0,9}")
_RANGE = re.compile(r"(0|[1-9][0-9]{0,9})-(0|[1-9][0-9]{0,9})")
_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")
_SHOWN = 4
"""Matches that a remedy spells out."""
_EXAMPLES = "write it as `tcp/80`, `tcp/8000-8099`, `udp`, `icmp/8`, `proto/47` or `any`"


@lru_cache(CACHED)
def parse_match(text: str) -> ServiceMatch:
    """Read one match of a service.

    Raises:
        PydanticCustomError: not one, with the remedy in its context.
    """
    word, *parts = text.split("/")
    if word == "any" and not parts:
        return ServiceMatch()
    if word in _WITH_PORTS:
        return ServiceMatch(_WITH_PORTS[word], port=_port(text, word, parts))
    if word in _WITH_TYPES:
        return _icmp(text, word, parts)
    if word == "proto" and len(parts) == 1:
        return ServiceMatch(_number(parts[0], "protocol", _MAX_BYTE))
    raise refusal(f"{echo(text)} is no service match", _meant(text) or _EXAMPLES)


def _meant(text: str) -> str:
    """Return a remedy for what other tools write: `80`, `80/tcp`, `tcp:80`, `TCP/80`; nothing where it is unclear."""
    if _NUMBER.fullmatch(text):
        return f"say of which protocol: `tcp/{text}` or `udp/{text}`"
    words = re.fullmatch(r"(\w{1,12})[/: -](\w{1,12}(?:-\d{1,5})?)", text.lower(), re.ASCII)
    for word, rest in (words.groups(), words.groups()[::-1]) if words else ():
        near = did_you_mean(word, (*_WITH_PORTS, *_WITH_TYPES, "proto"), "").removeprefix("did you mean `").rstrip("`?")
        if near and (_NUMBER.fullmatch(rest) or _RANGE.fullmatch(rest)):
            return f"did you mean `{near}/{rest}`?"
    return did_you_mean(text.lower(), (*_WITH_PORTS, *_WITH_TYPES, "any"), "") if text.isalnum() else ""


def match_text(match: ServiceMatch) -> str:
    """Write a match in its canonical words; `parse_match` reads it back."""
    if match.protocol is None:
        return "any"
    parts = [_WORDS.get(match.protocol, f"proto/{match.protocol}")]
    if isinstance(match.port, PortName):
        parts.append(match.port.name)
    elif match.port is not None:
        first, last = match.port.first, match.port.last
        parts.append(str(first) if first == last else f"{first}-{last}")
    parts.extend(str(number) for number in (match.icmp_type, match.icmp_code) if number is not None)
    return "/".join(parts)


@lru_cache(CACHED)
def canonical_match(text: str) -> str:
    """Return the canonical words for a match; raises as `parse_match`."""
    return match_text(parse_match(text))


def parse_named_port(text: str) -> tuple[int, int]:
    """Read what an endpoint's port name stands for: (protocol, number).

    Raises:
        PydanticCustomError: not one protocol with one port number.
    """
    match = parse_match(text)
    if match.protocol is None or not isinstance(match.port, PortRange) or match.port.first != match.port.last:
        raise refusal(f"{echo(text)} is not one port", "write it as `tcp/80`")
    return match.protocol, match.port.first


def canonical_named_port(text: str) -> str:
    """Return the canonical words for a port number; raises as `parse_named_port`."""
    parse_named_port(text)
    return canonical_match(text)


def parse_forwarded(text: str) -> tuple[int, int, int]:
    """Read which ports a forward holds: (protocol, first, last).

    Raises:
        PydanticCustomError: not ports of TCP or UDP by number.
    """
    match = parse_match(text)
    if match.protocol not in (TCP, UDP) or not isinstance(match.port, PortRange):
        raise refusal(f"{echo(text)} cannot be forwarded", "write it as `tcp/8443` or `udp/5000-5099`")
    return match.protocol, match.port.first, match.port.last


def canonical_forwarded(text: str) -> str:
    """Return the canonical words for forwarded ports; raises as `parse_forwarded`."""
    parse_forwarded(text)
    return canonical_match(text)


def _number(text: str, what: str, most: int, least: int = 0) -> int:
    if not _NUMBER.fullmatch(text):
        raise refusal(f"{echo(text)} is no {what} number", f"write a number from {least} to {most}")
    if not least <= int(text) <= most:
        raise refusal(f"{what} {text} is outside {least}..{most}", f"write a number from {least} to {most}")
    return int(text)


def _port(text: str, word: str, parts: list[str]) -> PortRange | PortName | None:
    if not parts:
        return None
    if len(parts) > 1:
        raise refusal(f"{echo(text)}: {word} takes one port, not a type and code", f"write `{word}/80`")
    if found := _RANGE.fullmatch(parts[0]):
        first, last = (_number(end, "port", MAX_PORT, 1) for end in found.groups())
        if first > last:
            raise refusal(f"the port range {echo(parts[0])} ends before it begins", f"write `{word}/{last}-{first}`")
        return PortRange(first, last)
    if _NAME.fullmatch(parts[0]):
        return PortName(parts[0])
    if "," in parts[0]:
        each = [f"`{word}/{part}`" for part in parts[0].split(",")[:_SHOWN] if _NUMBER.fullmatch(part)]
        raise refusal(f"{echo(text)} is more than one match", f"list each: {', '.join(each) or f'`{word}/80`, …'}")
    number = _number(parts[0], "port", MAX_PORT, 1)
    return PortRange(number, number)


def _icmp(text: str, word: str, parts: list[str]) -> ServiceMatch:
    if len(parts) > 2:  # noqa: PLR2004 (type and code)
        raise refusal(f"{echo(text)}: {word} takes a type and a code", f"write `{word}/8/0`")
    if any("-" in part for part in parts):
        raise refusal(f"{echo(text)}: {word} takes no port or range", f"write `{word}/8` for one type")
    numbers = [_number(part, f"{word} type or code", _MAX_BYTE) for part in parts]
    icmp_type, icmp_code = (*numbers, None, None)[:2]
    return ServiceMatch(_WITH_TYPES[word], icmp_type=icmp_type, icmp_code=icmp_code)

"""`ringfence topology`: what exists, as a picture in text, as a graph for Graphviz, or as JSON."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cli.exits import Exit
from cli.terminal import BOLD, DIM, GREEN, RED, YELLOW, emit_json, paint, printable, say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

    from cli.answer import Answer
    from cli.client import Client

STYLES = {"up": GREEN, "down": RED, "faulty": RED, "waiting": YELLOW, "foreign": DIM, "idle": DIM}
UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def topology(client: Client, args: argparse.Namespace) -> Exit:
    """Show what exists."""
    answer = client.get("/v1/topology")
    if args.json or args.output == "json":
        emit_json(answer.value)
    else:
        now = datetime.now(UTC)
        for line in dot(answer) if args.output == "dot" else picture(answer, now):
            say(line)
    return Exit.OK


# -- text --------------------------------------------------------------------------------------


def picture(answer: Answer, now: datetime) -> Iterator[str]:
    """Yield the picture: a tree of each host, then links and networks."""
    bridges = _by(answer.items("bridges"), "host")
    ports = _by(answer.items("ports"), "host", "bridge")
    people = _by(answer.items("endpoints"), "dpid", "interface")
    far = _far_ends(answer)
    for host in answer.items("hosts"):
        version = host.text("version", "")
        yield _title("host", host.text("name"), f"Open vSwitch {version}" if version else "", _standing(host, now))
        own = bridges.get((host.text("name"),), [])
        for bridge, branch, stem in _tree(own):
            words = (bridge.text("dpid", ""), bridge.text("datapathType", ""))
            yield f"{branch}{_title('bridge', bridge.text('name'), *words, _standing(bridge, now))}"
            here = [p for p in ports.get((host.text("name"), bridge.text("name")), []) if p.text("role") != "local"]
            here.sort(key=lambda p: p.number("ofport", 0))
            for port, twig, _ in _tree(here):
                yield f"{stem}{twig}{_port(port, bridge.text('dpid', ''), people, far, now)}"
    yield from _links(answer, now)
    yield from _networks(answer, now)


def _tree(items: Sequence[Answer]) -> Iterator[tuple[Answer, str, str]]:
    """Yield each item with the branch in front of it, and the stem in front of what hangs on it."""
    for number, item in enumerate(items, 1):
        yield item, *(("└─ ", "   ") if number == len(items) else ("├─ ", "│  "))


def _title(kind: str, name: str, *words: str) -> str:
    return " ".join(filter(None, (f"{kind} {paint(printable(name), BOLD)}", *map(_plain, words))))


def _plain(word: str) -> str:
    return word if word.startswith("\x1b") else printable(word)


def _port(
    port: Answer,
    dpid: str,
    people: Mapping[tuple[str, ...], list[Answer]],
    far: Mapping[tuple[str, int], str],
    now: datetime,
) -> str:
    number = str(port.number("ofport")) if port.has("ofport") else "-"
    role, name = port.text("role"), port.text("name")
    words = [f"{number:>3} {printable(name)}"]
    for endpoint in people.get((dpid, name), []):
        where = " ".join(endpoint.texts("addresses")) or "no address yet"
        words.append(f"{paint(printable(endpoint.text('name')), BOLD)} ({printable(endpoint.text('network'))}) {where}")
    if role == "link" and port.has("ofport"):
        words.append(f"── {far.get((dpid, port.number('ofport')), '?')}")
    elif role == "tunnel":
        words.append(f"{printable(port.text('type'))} tunnel")
    elif role == "unknown":
        words.append(paint("nobody known: denied", YELLOW))
    words += [printable(port.text("error", ""))]
    return "  ".join(filter(None, (*words, _standing(port, now))))


def _far_ends(answer: Answer) -> dict[tuple[str, int], str]:
    names = {b.text("dpid", ""): f"{b.text('name')} of {b.text('host')}" for b in answer.items("bridges")}
    found = {}
    for link in answer.items("links"):
        for near, other in (("a", "b"), ("b", "a")):
            end = link.part(other)
            dpid = end.text("dpid")
            where = f"{names.get(dpid, dpid)} port {end.number('ofport')}"
            found[link.part(near).text("dpid"), link.part(near).number("ofport")] = printable(where)
    return found


def _links(answer: Answer, now: datetime) -> Iterator[str]:
    links = answer.items("links")
    if links:
        yield ""
        yield paint("links", BOLD)
    for link in links:
        ends = [f"{link.part(e).text('dpid')} port {link.part(e).number('ofport')}" for e in ("a", "b")]
        yield f"  {printable(' ── '.join(ends))}  {_standing(link, now)}"


def _networks(answer: Answer, now: datetime) -> Iterator[str]:
    networks = answer.items("networks")
    if networks:
        yield ""
        yield paint("networks", BOLD)
    for network in networks:
        count, hosts = network.number("endpoints"), len(network.texts("hosts"))
        words = f"{count} endpoint{'' if count == 1 else 's'} on {hosts} host{'' if hosts == 1 else 's'}"
        yield f"  {printable(network.text('name'))}  {words}  {_standing(network, now)}"


def _standing(node: Answer, now: datetime) -> str:
    state = node.text("state")
    return f"{paint(printable(state), STYLES.get(state, YELLOW))} {age(node.text('since'), now)}"


def age(since: str, now: datetime) -> str:
    """Return how long ago an RFC 3339 instant was, in the two largest units; `?` for what is none."""
    try:
        left = max(0, int((now - datetime.fromisoformat(since)).total_seconds()))
    except (ValueError, TypeError, OverflowError):
        return "?"
    parts = []
    for size, unit in UNITS:
        count, left = divmod(left, size)
        parts.append(f"{count}{unit}" if count else "")
    first = next((n for n, part in enumerate(parts) if part), len(parts) - 1)
    return "".join(parts[first : first + 2]) or "0s"


def _by(items: Sequence[Answer], *keys: str) -> dict[tuple[str, ...], list[Answer]]:
    found: dict[tuple[str, ...], list[Answer]] = defaultdict(list)
    for item in items:
        found[tuple(item.text(key, "") for key in keys)].append(item)
    return found


# -- Graphviz ----------------------------------------------------------------------------------


def dot(answer: Answer) -> Iterator[str]:
    """Yield a graph in Graphviz's language: a cluster for each host, links and tunnels between switches."""
    yield "graph ringfence {"
    yield "  node [shape=box, fontname=sans];"
    bridges = [b for b in answer.items("bridges") if b.text("state") != "foreign"]
    for number, host in enumerate(answer.items("hosts")):
        yield f"  subgraph cluster_{number} {{"
        yield f"    label={_quoted(host.text('name'))};"
        for bridge in bridges:
            if bridge.text("host") == host.text("name") and bridge.has("dpid"):
                yield f"    {_quoted(bridge.text('dpid'))} [label={_quoted(bridge.text('name'))}{_shade(bridge)}];"
        yield "  }"
    for endpoint in answer.items("endpoints"):
        name = f"endpoint {endpoint.text('name')}"
        label = "\n".join((endpoint.text("name"), *endpoint.texts("addresses")))
        yield f"  {_quoted(name)} [label={_quoted(label)}, shape=ellipse{_shade(endpoint)}];"
        yield f"  {_quoted(name)} -- {_quoted(endpoint.text('dpid'))};"
    for link in answer.items("links"):
        ends = (link.part("a"), link.part("b"))
        yield f"  {' -- '.join(_quoted(e.text('dpid')) for e in ends)} [style=bold{_shade(link)}];"
    for tunnel in answer.items("tunnels"):
        yield from _tunnel(tunnel, bridges)
    yield "}"


def _tunnel(tunnel: Answer, bridges: Sequence[Answer]) -> Iterator[str]:
    place = (tunnel.text("host"), tunnel.text("bridge"))
    near = next((b for b in bridges if (b.text("host"), b.text("name")) == place and b.has("dpid")), None)
    remote = tunnel.text("remote", "")
    if near is not None and remote and remote != "flow":
        label = f"label={_quoted(tunnel.text('type'))}, style=dashed{_shade(tunnel)}"
        yield f"  {_quoted(near.text('dpid'))} -- {_quoted(remote)} [{label}];"


def _shade(node: Answer) -> str:
    return "" if node.text("state") == "up" else ", color=red"


def _quoted(text: str) -> str:
    parts = (printable(part).replace("\\", "\\\\").replace('"', '\\"') for part in text.split("\n"))
    return '"' + "\\n".join(parts) + '"'

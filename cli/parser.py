"""The command line: every command, option, help text and example, declared once.

Completion scripts and `docs/cli.md` are made from what `build` returns.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cli.exits import MEANING
from cli.helping import Formatter, Parser, Version
from cli.words import KINDS, count, kind, kind_or_all, revision, seconds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    Commands: TypeAlias = argparse._SubParsersAction[Parser]  # noqa: SLF001 - argparse has no public name

SHELLS = ("bash", "zsh", "fish")
SETTINGS = ("ports", "tunnels", "queues", "policing", "mirrors", "managers", "netflow", "sflow", "ipfix", "ssl")
"""What `ovsdb` sets up on a host."""
SYSTEMS = ("k8s",)
"""What `import` reads."""
SORTS = ("traffic", "rx", "tx", "packets", "dropped", "kept", "opened", "name")
"""What `top` sorts by."""
TOP = """\
All figures are the endpoint's own: RX is what it received. P/S and B/S are packets and
bytes a second; DROP is what it sent and the switch dropped, KEPT what others sent to it
and policy dropped, OPEN and ACC the connections it opened and accepted; WHY the reason of
most. On a terminal: q ends, s sorts by the next, r turns the order, d shows only who drops.
Elsewhere one picture follows the other; with --json each is a line."""

EXIT_CODES = "exit codes:\n" + "\n".join(f"  {int(code):<4}{meaning}" for code, meaning in MEANING.items())

RUN_EXIT_CODES = """\
exit codes, the controller's own:
  0   stopped as asked (Ctrl-C, SIGTERM), or the configuration was printed
  2   the command line or the configuration is wrong
  3   another instance holds the store
  4   the store cannot be used
  5   an address to listen on is in use"""

ENVIRONMENT = """\
environment:
  RINGFENCE_SERVER      address of the controller (default http://127.0.0.1:8181)
  RINGFENCE_TOKEN_FILE  file with the token (default /var/lib/ringfence/token)
  RINGFENCE_CA_FILE     authority that signed an https controller's certificate
  RINGFENCE_CONFIG      configuration of `ringfence run`
  NO_COLOR              no colours, not even on a terminal"""


def build() -> argparse.ArgumentParser:
    """Return the parser of the whole command; `.command` of what it parses names the command."""
    parser = Parser(
        prog="ringfence",
        description="Say which labelled endpoints may talk to which; Open vSwitch enforces it.",
        epilog="first steps:\n  ringfence run                   start the controller on this host\n"
        "  ringfence apply -f shop.yaml    say what may talk to what\n"
        "  ringfence verdict web-1 db-1 tcp/5432\n\n" + ENVIRONMENT + "\n\n" + EXIT_CODES,
        formatter_class=Formatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=Version, nargs=0, help="say which version this is and end")
    _common(parser, top=True)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    looking = (
        _endpoints,
        _top,
        _switches,
        _topology,
        _events,
        _counters,
        _observed,
        _verdict,
        _why,
        _matrix,
        _revisions,
    )
    for add in (_run, _docker_driver, _apply, _import, _get, _delete, _revert, _status, *looking):
        add(commands)
    _ovsdb(commands)
    _leases(commands)
    _completion(commands)
    _help(commands)
    return parser


def _command(commands: Commands, name: str, text: str, examples: Sequence[str]) -> argparse.ArgumentParser:
    lines = "\n".join(f"  ringfence {example}" for example in examples)
    command = commands.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=f"examples:\n{lines}",
        formatter_class=Formatter,
        allow_abbrev=False,
    )
    if name not in {"run", "docker-driver", "completion", "help"}:
        _common(command, top=False)
    return command


def _common(parser: argparse.ArgumentParser, *, top: bool) -> None:
    """Add the options of every command; they may stand before the command or after it."""

    def default(value: object) -> object:
        return value if top else argparse.SUPPRESS

    group = parser.add_argument_group("connection and output")
    group.add_argument("--json", action="store_true", default=default(False), help="print the answer as JSON")
    group.add_argument(
        "--server", metavar="URL", default=default(None), help="the controller (default http://127.0.0.1:8181)"
    )
    group.add_argument("--token-file", metavar="FILE", default=default(None), help="file with the bearer token")
    group.add_argument("--ca-file", metavar="FILE", default=default(None), help="authority of an https controller")


def _run(commands: Commands) -> None:
    examples = ["run", "run --config /etc/ringfence/config.yaml", "run --print-config > config.yaml"]
    command = _command(commands, "run", "start the controller in the foreground", examples)
    command.epilog = f"{command.epilog}\n\n{RUN_EXIT_CODES}"
    command.add_argument("--config", metavar="FILE", help="configuration (YAML); see docs/configuration.md")
    command.add_argument("--print-config", action="store_true", help="print the effective configuration and end")


def _docker_driver(commands: Commands) -> None:
    examples = ["docker-driver", "docker-driver --config docker.yaml", "docker-driver --print-config > docker.yaml"]
    command = _command(commands, "docker-driver", "start the network driver for Docker in the foreground", examples)
    command.add_argument("--config", metavar="FILE", help="configuration (YAML); see docs/docker.md")
    command.add_argument("--print-config", action="store_true", help="print every key with its default and end")


def _apply(commands: Commands) -> None:
    examples = [
        "apply -f shop.yaml --wait",
        "apply -f networks.yaml -f policies/ --dry-run",
        "get all -o yaml | ringfence apply -f -",
    ]
    command = _command(commands, "apply", "put documents into force, all of them or none, as one revision", examples)
    _files(command, "documents, YAML or JSON; - for standard input; a directory for its .yaml, .yml and .json files")
    _dry_run(command)
    _wait(command, "until the switches confirmed it")
    _context(command)


def _import(commands: Commands) -> None:
    examples = ["import k8s policies.yaml --dry-run", "import k8s namespaces.yaml pods.yaml policies/ --wait"]
    text = "put what objects of another system mean into force, all of them or none, as one revision"
    command = _command(commands, "import", text, examples)
    command.add_argument("system", metavar="SYSTEM", choices=SYSTEMS, help="k8s: see docs/kubernetes.md")
    command.add_argument(
        "files", metavar="FILE", nargs="+", help="as for apply: files, directories, - for standard input"
    )
    _dry_run(command)
    _wait(command, "until the switches confirmed it")
    _context(command)
    _network(command, "network of the imported workloads (default pods)")


def _get(commands: Commands) -> None:
    examples = ["get policies", "get policy web-to-app -o yaml", "get all -o yaml > backup.yaml"]
    command = _command(commands, "get", "show documents", examples)
    command.add_argument(
        "kind", metavar="KIND", type=kind_or_all, help=f"one of {', '.join(KINDS)}, or all of them with all"
    )
    command.add_argument("name", metavar="NAME", nargs="?", help="one document; without it, all of the kind")
    command.add_argument(
        "-o", "--output", choices=("table", "yaml", "json"), help="default: table for a list, yaml for one document"
    )


def _delete(commands: Commands) -> None:
    examples = ["delete policy web-to-app", "delete groups web app", "delete -f shop.yaml --wait"]
    command = _command(commands, "delete", "delete documents, all of them or none, as one revision", examples)
    command.add_argument("kind", metavar="KIND", nargs="?", type=kind, help=f"one of {', '.join(KINDS)}")
    command.add_argument("names", metavar="NAME", nargs="*", help="documents of that kind")
    command.add_argument(
        "-f", "--file", metavar="FILE", action="append", dest="files", help="delete what these documents name"
    )
    command.add_argument("--ignore-missing", action="store_true", help="what is not there is no error")
    _dry_run(command)
    _wait(command, "until the switches confirmed it")
    _context(command)


def _revert(commands: Commands) -> None:
    text = "take a revision back, all of it or none, as a new revision"
    command = _command(commands, "revert", text, ["revert 7 --dry-run", "revert 7 --wait"])
    command.add_argument("number", type=revision, metavar="NUMBER", help="which revision; see `ringfence revisions`")
    _dry_run(command)
    _wait(command, "until the switches confirmed it")
    _context(command)


def _status(commands: Commands) -> None:
    examples = ["status", "status --wait --timeout 30 && echo realized"]
    command = _command(commands, "status", "show what is realized on the switches, and what is not", examples)
    _wait(command, "until everything is realized")


def _endpoints(commands: Commands) -> None:
    command = _command(commands, "endpoints", "show what is plugged in, and where", ["endpoints", "endpoints --json"])
    _network(command, "only this network")


def _top(commands: Commands) -> None:
    examples = ["top", "top --sort dropped --network shop", "top --once --match 'web-*'", "top --once --json"]
    text = "show live what endpoints receive, send, are refused and open"
    command = _command(commands, "top", text, examples)
    command.description = f"{text[0].upper()}{text[1:]}.\n\n{TOP}"
    command.add_argument("--once", action="store_true", help="print one picture and end")
    command.add_argument(
        "--interval", type=seconds, default=1.0, metavar="S", help="seconds from one picture to the next (default 1)"
    )
    command.add_argument("--sort", choices=SORTS, default=SORTS[0], help=f"most first (default {SORTS[0]})")
    command.add_argument("--reverse", action="store_true", help="least first")
    command.add_argument("--match", metavar="GLOB", help="only endpoints with such a name, as web-*")
    command.add_argument("--dropping", action="store_true", help="only endpoints of which something did not pass")
    command.add_argument("--limit", type=count, metavar="N", help="the first N (default: all there is room for)")
    _network(command, "only this network")


def _switches(commands: Commands) -> None:
    _command(commands, "switches", "show the switches", ["switches"])


def _topology(commands: Commands) -> None:
    examples = ["topology", "topology -o dot | dot -Tsvg > topology.svg"]
    text = "show hosts, bridges, ports, links, tunnels, networks and endpoints as one picture"
    command = _command(commands, "topology", text, examples)
    command.add_argument("-o", "--output", choices=("text", "dot", "json"), help="default: text")


def _events(commands: Commands) -> None:
    examples = ["events", "events --once", "events --after oldest", "events --limit 1 --json"]
    command = _command(commands, "events", "follow what happens, until Ctrl-C", examples)
    command.add_argument("--after", metavar="ID", help="begin after this event; oldest: with all that is kept")
    command.add_argument("--limit", type=count, metavar="N", help="end after N events")
    command.add_argument(
        "--once", action="store_true", help="end with the newest event there is; begins with the oldest"
    )


def _counters(commands: Commands) -> None:
    text = "show what rules decided and what was dropped, a few seconds old"
    _command(commands, "counters", text, ["counters", "counters --json"])


def _observed(commands: Commands) -> None:
    _command(commands, "observed", "show what the policies in `observe` would change", ["observed"])


def _verdict(commands: Commands) -> None:
    examples = ["verdict web-1 db-1 tcp/5432", "verdict 192.0.2.7 web-1 tcp/443", "verdict a b icmp && echo yes"]
    _connection(_command(commands, "verdict", "say whether a connection is allowed, and why", examples))


def _why(commands: Commands) -> None:
    examples = ["why app-1 db-1 tcp/5432", "why app-1 db-1 tcp/5432 --json"]
    text = "say what stops a connection: policy, an endpoint, a switch, what was dropped, what changed last"
    _connection(_command(commands, "why", text, examples))


def _connection(command: argparse.ArgumentParser) -> None:
    command.add_argument("source", metavar="FROM", help="who opens the connection: an endpoint or an address")
    command.add_argument("destination", metavar="TO", help="to whom: an endpoint or an address")
    services = "tcp/80, tcp/http, icmp, icmpv6, proto/47, or the name of a Service"
    command.add_argument("service", metavar="SERVICE", help=services)
    _network(command, "which network, where addresses occur in several")


def _matrix(commands: Commands) -> None:
    command = _command(commands, "matrix", "show who may open connections to whom", ["matrix --service tcp/80"])
    command.add_argument("--service", default="tcp/80", help="which, as for verdict (default tcp/80)")
    _network(command, "only this network")


def _revisions(commands: Commands) -> None:
    examples = ["revisions", "revisions --limit 5", "revisions 7"]
    command = _command(commands, "revisions", "show who changed what, and when", examples)
    command.add_argument(
        "number", type=revision, nargs="?", metavar="NUMBER", help="only this one, with what it changed"
    )
    command.add_argument("--limit", type=count, default=20, metavar="N", help="newest N (default 20)")


def _ovsdb(commands: Commands) -> None:
    examples = [
        "ovsdb hosts",
        "ovsdb set tunnels to-b type=geneve remote=192.0.2.2 key=7 --dry-run",
        "ovsdb set queues web-1 maxRate=100000000 queues.1.minRate=5000000",
        "ovsdb set mirrors tap outputPort=tap0 selectAll=true --host host-a",
        "ovsdb set sflow targets='[\"192.0.2.9:6343\"]' sampling=64",
        "ovsdb remove tunnels to-b",
        "ovsdb forget --host host-a",
    ]
    text = "show the hosts, and set up or take away what is not policy: tunnels, queues, mirrors, flow records"
    command = _command(commands, "ovsdb", text, examples)
    command.add_argument(
        "verb", metavar="VERB", choices=("hosts", "set", "remove", "forget"), help="hosts, set, remove or forget"
    )
    command.add_argument(
        "kind", metavar="KIND", nargs="?", choices=SETTINGS, help=f"what to set or remove: {', '.join(SETTINGS)}"
    )
    command.add_argument(
        "words", metavar="WORD", nargs="*", help="NAME, for kinds with a name, then KEY=VALUE; see docs/ovsdb.md"
    )
    command.add_argument("--host", metavar="HOST", help="on which host; needed where there are several")
    command.add_argument("--dry-run", action="store_true", help="say what would change, change nothing")


def _leases(commands: Commands) -> None:
    text = "show the addresses that Docker drivers have, and take back those of a host that is gone for good"
    command = _command(commands, "leases", text, ["leases", "leases --json", "leases drop host-b"])
    verbs = ("list", "drop")
    command.add_argument("verb", metavar="VERB", nargs="?", choices=verbs, default=verbs[0], help="list or drop")
    command.add_argument("name", metavar="NAME", nargs="?", help="whose leases are dropped; they rest ten minutes")


def _completion(commands: Commands) -> None:
    examples = ["completion bash > /etc/bash_completion.d/ringfence", "completion fish | source"]
    command = _command(commands, "completion", "print the completion script of a shell", examples)
    command.add_argument("shell", choices=SHELLS, help="which shell")


def _help(commands: Commands) -> None:
    command = _command(commands, "help", "explain a command", ["help", "help apply"])
    command.add_argument("topic", metavar="COMMAND", nargs="?", choices=list(commands.choices), help="which; else all")


def _files(command: argparse.ArgumentParser, text: str) -> None:
    command.add_argument("-f", "--file", metavar="FILE", action="append", dest="files", required=True, help=text)


def _wait(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument("--wait", action="store_true", help=f"wait {what}")
    command.add_argument(
        "--timeout", type=seconds, default=60.0, metavar="S", help="longest wait in seconds (default 60)"
    )


def _context(command: argparse.ArgumentParser) -> None:
    command.add_argument("--author", metavar="WHO", help="who changes it, for the revision (default: your user name)")
    command.add_argument("-m", "--message", metavar="WHY", help="why, for the revision")


def _dry_run(command: argparse.ArgumentParser) -> None:
    command.add_argument("--dry-run", action="store_true", help="check and say what would change, change nothing")


def _network(command: argparse.ArgumentParser, text: str) -> None:
    command.add_argument("--network", metavar="NAME", help=text)


def commands_of(parser: argparse.ArgumentParser) -> list[tuple[str, str, argparse.ArgumentParser]]:
    """Return every command of a parser: name, help, its own parser."""
    for action in parser._actions:  # noqa: SLF001 - argparse offers no other way to see them
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            texts = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001
            return [(name, texts[name], command) for name, command in action.choices.items()]
    return []

"""The command line without a controller: parsing, completion, help, tables, files, and servers that misbehave."""

import importlib.metadata
import io
import json
import os
import pty
import resource
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli import completion, reference, run, sources, terminal
from cli.answer import Answer, decode
from cli.client import Client, Server, is_in_clear
from cli.exits import MEANING, Exit, Failure
from cli.main import main
from cli.parser import build, commands_of
from cli.words import kind

ROOT = Path(__file__).parents[2]
COMMANDS = [
    *("run", "docker-driver", "apply", "import", "get", "delete", "revert", "status", "endpoints", "switches"),
    "topology",
    *("events", "counters", "observed", "top", "verdict", "why", "matrix", "revisions", "ovsdb"),
    "leases",
]


# -- parsing and help --------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["policy", "Policy", "policies", "POLICIES"])
def test_a_kind_may_be_singular_plural_and_in_any_case(word):
    assert kind(word) == "policies"


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["aply"],
        ["apply"],
        ["apply", "-f", "x", "--timeout", "0"],
        ["apply", "-f", "x", "--timeout", "nan"],
        ["apply", "-f", "x", "--timeout", "9999"],
        ["get"],
        ["get", "thing"],
        ["get", "policies", "-o", "xml"],
        ["revisions", "--limit", "0"],
        ["revisions", "--limit", "9" * 5000],
        ["verdict", "a", "b"],
        ["completion", "csh"],
        ["status", "--wai"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_ends_with_2_and_says_why(argv, capsys):
    assert main([a[:5000] for a in argv]) == Exit.USAGE
    assert "usage: ringfence" in capsys.readouterr().err


def test_options_may_stand_before_and_after_the_command():
    for argv in (["--json", "--server", "http://h:1", "status"], ["status", "--json", "--server", "http://h:1"]):
        args = build().parse_args(argv)
        assert (args.json, args.server) == (True, "http://h:1")


@pytest.mark.parametrize("command", [*COMMANDS, "completion", "help"])
def test_every_command_explains_itself_with_an_example(command, capsys):
    assert main([command, "--help"]) == Exit.OK
    assert f"examples:\n  ringfence {command}" in capsys.readouterr().out.replace("get all -o yaml | ringfence ", "")


def test_help_is_a_command_too(capsys):
    assert main(["help", "apply"]) == Exit.OK
    assert "usage: ringfence apply" in capsys.readouterr().out
    assert main(["help"]) == Exit.OK
    assert "first steps:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "meant"), [(["statsu"], "'status'"), (["get", "polices"], "policies"), (["completion", "fihs"], "'fish'")]
)
def test_a_mistyped_word_is_answered_with_the_one_that_was_meant(argv, meant, capsys):
    assert main(argv) == Exit.USAGE
    assert f"did you mean {meant}?" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_picture_is_shown_in_what_the_reader_can_show(encoding, monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", out)
    terminal.say("└─ Çelik ☃")
    out.flush()
    shown = out.buffer.getvalue().decode(encoding)
    expected = {"ascii": "`- \\xc7elik \\u2603\n", "latin-1": "`- Çelik \\u2603\n", "utf-8": "└─ Çelik ☃\n"}
    assert shown == expected[encoding]


def test_the_version_is_that_of_the_distribution(capsys):
    assert main(["--version"]) == Exit.OK
    assert capsys.readouterr().out == f"ringfence {importlib.metadata.version('ringfence')}\n"


def test_every_exit_code_is_explained(capsys):
    assert set(MEANING) == set(Exit)
    main(["--help"])
    assert all(meaning in capsys.readouterr().out for meaning in [MEANING[Exit.REFUSED]])


def test_help_comes_quickly():
    def spent_s() -> float:
        """CPU time, so that a busy machine does not fail it."""
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    def python_s(*words: str) -> float:
        before = spent_s()
        subprocess.run([sys.executable, *words], cwd=ROOT, check=True, capture_output=True)
        return spent_s() - before

    nothing_s = max(0.012, min(python_s("-c", "") for _ in range(3)))  # as long as it takes on a quick machine
    assert any(python_s("-m", "cli.main", "--help") < 8 * nothing_s for _ in range(5))


def test_help_loads_nothing_heavy():
    code = "import sys; from cli.main import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert not {"yaml", "ssl", "http.client", "pydantic", "dataclasses", "importlib.metadata"} & set(
        done.stderr.split()
    )


def test_the_page_is_current():
    assert (ROOT / "docs" / "cli.md").read_text() == reference.page(), "regenerate it with python -m cli.reference"


def test_the_controller_is_started_outside_the_working_directory():
    args = build().parse_args(["run", "--config", "c.yaml", "--print-config"])
    assert run.command_line(args) == [
        *[sys.executable, "-P", "-m", "ryu_apps.main"],
        *["--config", "c.yaml", "--print-config"],
    ]


# -- completion --------------------------------------------------------------------------------


def completed_by_bash(*words: str) -> list[str]:
    script = f"""{completion.bash()}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ringfence; printf '%s\\n' "${{COMPREPLY[@]}}" """
    done = subprocess.run(
        ["bash", "--norc", "-c", script, "bash", "ringfence", *words], check=True, capture_output=True, text=True
    )
    assert not done.stderr
    return done.stdout.split()


def test_bash_completes_commands_options_kinds_and_files(tmp_path, monkeypatch):
    assert completed_by_bash("revi") == ["revisions"]
    assert set(completed_by_bash("")) == {*COMMANDS, "completion", "help"}
    assert completed_by_bash("apply", "--dr") == ["--dry-run"]
    assert completed_by_bash("--json", "get", "pol") == ["policies"]
    assert completed_by_bash("completion", "f") == ["fish"]
    (tmp_path / "shop.yaml").touch()
    monkeypatch.chdir(tmp_path)
    assert completed_by_bash("apply", "-f", "sh") == ["shop.yaml"]
    assert completed_by_bash("import", "k") == ["k8s"]
    assert completed_by_bash("import", "k8s", "") == ["shop.yaml"]
    assert completed_by_bash("import", "k8s", "shop.yaml", "--dr") == ["--dry-run"]
    assert completed_by_bash("import", "k8s", "shop.yaml", "--network", "") == []


def test_every_shell_completes_the_files_of_an_import():
    assert "__fish_seen_subcommand_from k8s' -F" in completion.fish()
    assert '*" k8s "*' in completion.zsh()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_names_every_command_and_long_option(shell, capsys):
    assert main(["completion", shell]) == Exit.OK
    script = capsys.readouterr().out
    for name, _, command in commands_of(build()):
        assert name in script
        for word in completion.words_of(command):
            assert word.text.removeprefix("--") in script


# -- output ------------------------------------------------------------------------------------


def test_a_table_is_never_wider_than_the_terminal():
    rows = [["x" * 80, "short", "y" * 60], ["a", "b", "c"]]
    lines = list(terminal.table(("one", "two", "three"), rows, limit=60))
    assert max(map(len, lines)) <= 60
    assert len(lines) == 3
    assert "~" in lines[1]


@pytest.mark.parametrize("text", ["\x1b[2J", "a\nb", "a\rb", "\u202egpj.exe", "\x9b31m", "\ud800", "\u2028"])
def test_nothing_that_steers_a_terminal_is_printed(text):
    shown = terminal.printable(text)
    assert shown.isprintable()
    assert "\u202e" not in shown
    assert "\\" in shown


def test_harmless_text_is_printed_as_it_is():
    assert terminal.printable("Grüße, 世界") == "Grüße, 世界"


def in_terminal(argv: list[str], env: dict[str, str]) -> str:
    main_fd, child_fd = pty.openpty()
    done = subprocess.run(argv, stdout=child_fd, stderr=child_fd, env={**os.environ, **env}, cwd=ROOT, check=False)
    os.close(child_fd)
    text = b""
    try:
        while part := os.read(main_fd, 65536):
            text += part
    except OSError:
        pass  # Linux ends a pseudo-terminal with EIO
    os.close(main_fd)
    assert done.returncode == Exit.UNREACHABLE
    return text.decode()


def test_colours_only_on_a_terminal_and_unless_unwanted(capsys):
    argv = [sys.executable, "-m", "cli.main", "status", "--server", "http://127.0.0.1:1"]
    assert "\x1b[" in in_terminal(argv, {"NO_COLOR": "", "TERM": "xterm"})
    assert "\x1b[" not in in_terminal(argv, {"NO_COLOR": "1", "TERM": "xterm"})
    assert "\x1b[" not in in_terminal(argv, {"NO_COLOR": "", "TERM": "dumb"})
    main(argv[3:])
    assert "\x1b[" not in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_traceback():
    code = "import sys; from cli.main import main; sys.exit(main(['completion', 'fish']))"
    script = f'{sys.executable} -c "{code}" | true; echo ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, check=True, capture_output=True, text=True)
    assert not done.stderr
    assert int(done.stdout) in {Exit.OK, Exit.PIPE_CLOSED}


# -- files -------------------------------------------------------------------------------------


def test_a_line_of_the_body_leads_back_to_its_file(tmp_path):
    (tmp_path / "a.yaml").write_text("kind: Group\nname: a\n")
    (tmp_path / "b.json").write_text('\ufeff{"kind": "Group",\n"name": "b"}')
    (tmp_path / "ignored.txt").write_text("x")
    read = sources.read([str(tmp_path), str(tmp_path / "a.yaml")])
    lines = read.body.decode().splitlines()
    for name, text, line in (("a.yaml", "name: a", 2), ("b.json", '"name": "b"}', 2)):
        assert read.place(lines.index(text) + 1) == f"{tmp_path / name}:{line}"
    assert read.place(len(lines)) == f"{tmp_path / 'a.yaml'}:2"


def test_standard_input_is_a_file(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"kind: Group\n")))
    assert sources.read(["-"]) == sources.Sources(b"kind: Group\n", ("standard input",), (1,))


def test_what_cannot_be_read_is_a_usage_error(tmp_path, capsys):
    for files in (["-", "-"], [str(tmp_path / "none.yaml")], [str(tmp_path)]):
        argv = ["apply", *[word for file in files for word in ("-f", file)]]
        assert main(argv) == Exit.USAGE
        assert capsys.readouterr().err.startswith("ringfence: ")


# -- servers that misbehave --------------------------------------------------------------------


@contextmanager
def server(answer: bytes):
    """Listen on a loopback port and give one answer to whatever comes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        seen: list[bytes] = []

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                seen.append(connection.recv(65536))
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", seen
        thread.join()


def reply(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


MISBEHAVING = [
    (b"", Exit.UNREACHABLE),
    (b"SSH-2.0-OpenSSH\r\n", Exit.UNREACHABLE),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", Exit.UNREACHABLE),
    (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", Exit.UNREACHABLE),
    (reply(b"<html>"), Exit.BROKEN),
    (reply(b"[" * 100_000), Exit.BROKEN),
    (reply(b"3"), Exit.BROKEN),
    (reply(b"\xff"), Exit.BROKEN),
    (reply(b'{"switches": "many", "items": 3, "intents": 7}'), Exit.BROKEN),
    (reply(b"<html>", "500 Oh"), Exit.BROKEN),
    (reply(b"", "302 Found"), Exit.BROKEN),
    (reply(b'{"title": 3}', "400 Bad Request"), Exit.BROKEN),
    (reply(b"{}", "401 Unauthorized"), Exit.UNAUTHORISED),
    (reply(b"{}", "404 Not Found"), Exit.NOT_FOUND),
    (reply(b"{}", "409 Conflict"), Exit.REFUSED),
    (reply(b"{}", "503 Service Unavailable"), Exit.UNREACHABLE),
]


@pytest.mark.parametrize(("answer", "code"), MISBEHAVING, ids=lambda v: str(v)[:40])
def test_an_answer_that_makes_no_sense_ends_the_command_with_a_reason(answer, code, capsys):
    with server(answer) as (url, _):
        assert main(["status", "--server", url]) == code
    assert capsys.readouterr().err.startswith("ringfence: ")


def test_an_answer_without_end_is_not_read_for_ever(monkeypatch):
    monkeypatch.setattr("cli.client.MAX_ANSWER", 1000)
    with server(reply(b" " * 1001)) as (url, _), pytest.raises(Failure, match="longer than 1000 bytes"):
        Client(Server(url)).get("/v1/status")


def test_a_silent_server_is_given_up_on():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = Client(Server(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_s=0.2))
        with pytest.raises(Failure) as caught:
            client.get("/v1/status")
    assert caught.value.code is Exit.UNREACHABLE


def test_without_a_controller_the_remedy_says_how_to_start_one(capsys):
    assert main(["status", "--server", "http://127.0.0.1:1"]) == Exit.UNREACHABLE
    assert "`ringfence run`" in capsys.readouterr().err
    assert main(["--json", "status", "--server", "http://127.0.0.1:1"]) == Exit.UNREACHABLE
    assert json.loads(capsys.readouterr().err)["code"] == Exit.UNREACHABLE


def test_tls_to_a_server_without_it_is_told_from_no_server(capsys):
    with server(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n") as (url, _):
        assert main(["status", "--server", url.replace("http:", "https:")]) == Exit.UNREACHABLE
    err = capsys.readouterr().err
    assert f"the server speaks no TLS: use {url}" in err
    assert "ringfence run" not in err


def test_a_server_that_hangs_up_may_want_tls(capsys):
    with server(b"") as (url, _):
        assert main(["status", "--server", url]) == Exit.UNREACHABLE
    err = capsys.readouterr().err
    assert f"if it serves https, use {url.replace('http:', 'https:')}" in err


def test_the_token_of_the_file_is_sent(tmp_path, monkeypatch):
    (tmp_path / "token").write_text("s3cret\n")
    monkeypatch.setenv("RINGFENCE_TOKEN_FILE", str(tmp_path / "token"))
    with server(reply(b"{}")) as (url, seen):
        monkeypatch.setenv("RINGFENCE_SERVER", url)
        main(["status"])
    assert b"\r\nAuthorization: Bearer s3cret\r\n" in seen[0]


@pytest.mark.parametrize("content", [b"a b", b"a\nb", b"\xff", b"", b"x" * 5000])
def test_a_file_that_holds_no_token_sends_none_and_is_named(tmp_path, capsys, content):
    (tmp_path / "token").write_bytes(content)
    with server(reply(b"{}", "401 Unauthorized")) as (url, seen):
        assert main(["status", "--server", url, "--token-file", str(tmp_path / "token")]) == Exit.UNAUTHORISED
    assert b"Authorization" not in seen[0]
    assert f"{tmp_path / 'token'}: holds no token" in capsys.readouterr().err


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8181", "ftp://h", "http://", "http://u:p@h", "http://h/path", "http://h:99999", "http://[::1"]
)
def test_a_wrong_address_is_a_usage_error(url, capsys):
    assert main(["status", "--server", url]) == Exit.USAGE
    assert "http://127.0.0.1:8181" in capsys.readouterr().err


def test_a_token_in_clear_over_a_network_is_warned_of():
    assert is_in_clear("http://192.0.2.1:8181")
    assert not any(map(is_in_clear, ["https://192.0.2.1", "http://127.0.0.1", "http://[::1]:1", "http://localhost"]))


def test_a_wrong_authority_file_is_a_usage_error(tmp_path, capsys):
    (tmp_path / "ca.pem").write_text("no certificate")
    for name in ("ca.pem", "none.pem"):
        argv = ["status", "--server", "https://127.0.0.1:1", "--ca-file", str(tmp_path / name)]
        assert main(argv) == Exit.USAGE
    assert "--ca-file" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["part", "items", "text", "number", "flag", "texts", "pairs"])
def test_a_field_of_the_wrong_type_is_named(method):
    wrong = {"part": 3, "items": {}, "text": 3, "number": True, "flag": 1, "texts": [3], "pairs": {"a": 1}}
    with pytest.raises(Failure, match=r"here\.x"):
        getattr(Answer({"x": wrong[method]}, "here"), method)("x")
    with pytest.raises(Failure, match="here is no object"):
        getattr(Answer([], "here"), method)("x")


def test_an_absent_field_has_a_default_or_is_missed():
    answer = decode(b'{"a": null}', "here")
    assert answer.text("a", "d") == "d"
    assert (answer.number("b", 7), answer.flag("b", default=True), answer.items("b")) == (7, True, [])
    for method in ("text", "number", "flag"):
        with pytest.raises(Failure, match=r"here\.b"):
            getattr(answer, method)("b")

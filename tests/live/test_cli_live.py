"""The command line against the real API with a real store, served on a loopback port; only the switches are made up."""

import http.client
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cli.exits import Exit
from cli.main import main
from tests.unit.cli_kit import SHOP, TOKEN, endpoint
from topology.model import Inventory

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shop(world, tmp_path, capsys):
    (tmp_path / "shop.yaml").write_text(SHOP)
    assert main(["apply", "-f", str(tmp_path / "shop.yaml"), "--author", "ann", "-m", "first"]) == Exit.OK
    capsys.readouterr()
    return tmp_path / "shop.yaml"


def answered(capsys, *argv: str) -> object:
    """Run a command that must succeed; return the JSON it printed."""
    assert main([*argv, "--json"]) == Exit.OK
    return json.loads(capsys.readouterr().out)


# -- documents ---------------------------------------------------------------------------------


def test_apply_says_what_changed_and_apply_again_changes_nothing(world, shop, capsys):
    shop.write_text(SHOP.replace("8080", "8081"))
    assert main(["apply", "-f", str(shop), "--wait", "--timeout", "5"]) == Exit.OK
    out = capsys.readouterr().out
    assert "Policy/web-to-app changed\n" in out
    assert "Network/shop unchanged\n" in out
    assert "revision 2\nrealized on 1/1 switches\n" in out
    assert world.waits == [5.0]
    assert answered(capsys, "apply", "-f", str(shop))["committed"] is False


def test_apply_reads_standard_input_and_several_files_as_one_revision(world, tmp_path, monkeypatch, capsys):
    (tmp_path / "a.json").write_text('{"kind": "Network", "name": "a"}')
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SHOP.encode())))
    assert main(["apply", "-f", str(tmp_path / "a.json"), "-f", "-"]) == Exit.OK
    assert world.store.revision == 1
    assert len(world.store.documents()) == 4


def test_what_is_odd_is_warned_of_with_its_place(world, tmp_path, capsys):
    over = tmp_path / "over.yaml"
    over.write_text("kind: Policy\nname: p\nexpires: 2026-01-01T00:00:00Z\nrules: [{action: allow}]\n")
    assert main(["apply", "-f", str(over)]) == Exit.OK
    said = capsys.readouterr()
    assert said.out == "Policy/p created\nrevision 1\n"
    assert said.err.startswith(f"warning: {over}:3: Policy/p.expires: it expired at 2026-01-01T00:00:00Z: ")
    assert answered(capsys, "apply", "-f", str(over))["warnings"][0]["line"] == 3
    assert main(["status"]) == Exit.OK
    assert "1/1       not in force: expired at 2026-01-01T00:00:00Z\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text", [b"kind: Group\nname: \xff", b"just words", b"[1, 2]", b'{"kind": "Grup", "name": "g"}']
)
def test_every_error_names_its_file(world, tmp_path, capsys, text):
    (tmp_path / "bad.yaml").write_bytes(text)
    assert main(["apply", "-f", str(tmp_path / "bad.yaml")]) == Exit.REFUSED
    first = capsys.readouterr().err.splitlines()[1].strip()
    assert first.startswith(f"{tmp_path / 'bad.yaml'}:"), first


@pytest.mark.parametrize("text", [b"# \xff", b"- words"])
def test_an_error_of_the_second_file_names_it(world, tmp_path, capsys, text):
    (tmp_path / "a.yaml").write_text(SHOP)
    (tmp_path / "b.yaml").write_bytes(b"\n" + text)
    assert main(["apply", "-f", str(tmp_path)]) == Exit.REFUSED
    assert f"  {tmp_path / 'b.yaml'}:2: documents" in capsys.readouterr().err


def test_a_dry_run_changes_nothing(world, tmp_path, capsys):
    (tmp_path / "shop.yaml").write_text(SHOP)
    assert main(["apply", "-f", str(tmp_path / "shop.yaml"), "--dry-run", "--wait"]) == Exit.OK
    assert "Group/web created\n" in (out := capsys.readouterr().out)
    assert "nothing was changed; it would be revision 1" in out
    assert world.store.revision == 0


def test_a_refused_document_is_found_in_its_file_and_nothing_changes(world, tmp_path, capsys):
    (tmp_path / "1.yaml").write_text(SHOP)
    (tmp_path / "2.yaml").write_text("kind: Service\nname: s\nmatches: [tcp/80]\nmatche: []\n")
    assert main(["apply", "-f", str(tmp_path)]) == Exit.REFUSED
    err = capsys.readouterr().err
    assert f"{tmp_path / '2.yaml'}:4: Service/s.matche: " in err
    assert "did you mean" in err
    assert world.store.revision == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "kind: [",
        "kind: Nonsense\nname: x",
        "kind: Policy\nname: x\nrules: [{action: allow, to: [{group: none}]}]",
        "a: &a [1]\nb: *a",
        "kind: Service\nname: s\nmatches: [tcp/70000]",
        "#" * 100_001,
        "#" * 8_000_000,
        "[" * 50_000,
        "\x00",
    ],
    ids=lambda t: t[:20],
)
def test_bad_input_is_refused_with_a_remedy(world, tmp_path, capsys, text):
    (tmp_path / "bad.yaml").write_text(text)
    assert main(["apply", "-f", str(tmp_path / "bad.yaml")]) == Exit.REFUSED
    assert "  " in capsys.readouterr().err
    assert main(["apply", "-f", str(tmp_path / "bad.yaml"), "--json"]) == Exit.REFUSED
    problem = json.loads(capsys.readouterr().err)
    assert problem["code"] == Exit.REFUSED
    assert all(e["message"] and e["remedy"] for e in problem["errors"])
    assert world.store.revision == 0


def test_what_is_not_realized_in_time_ends_with_1(world, shop, capsys):
    world.confirms = False
    shop.write_text(SHOP.replace("8080", "8081"))
    assert main(["apply", "-f", str(shop), "--wait", "--timeout", "0.1"]) == Exit.NEGATIVE
    assert "pending on 0/1 switches" in capsys.readouterr().out
    assert main(["status", "--wait", "--timeout", "0.1"]) == Exit.NEGATIVE
    assert main(["status"]) == Exit.NEGATIVE
    world.confirms = True
    assert main(["status", "--wait"]) == Exit.OK


def test_what_get_writes_can_be_applied(world, shop, tmp_path, capsys):
    for form in ("yaml", "json"):
        assert main(["get", "all", "-o", form]) == Exit.OK
        (tmp_path / "all").write_text(capsys.readouterr().out)
        assert answered(capsys, "apply", "-f", str(tmp_path / "all"))["committed"] is False


def test_get_shows_a_list_and_one_document(world, shop, capsys):
    assert main(["get", "policies"]) == Exit.OK
    out = capsys.readouterr().out.splitlines()
    assert out[0].split() == ["NAME", "TIER", "ORDER", "MODE", "OWNER", "RULES"]
    assert out[1].split(None, 5)[1:] == [
        *("application", "1000", "enforce", "shop-team"),
        "allow group web to tier=app: tcp/8080",
    ]
    assert main(["get", "policy", "web-to-app"]) == Exit.OK
    assert yaml.safe_load(capsys.readouterr().out)["rules"][0]["services"] == ["tcp/8080"]
    assert answered(capsys, "get", "group", "web")["kind"] == "Group"
    assert main(["get", "group", "wib"]) == Exit.NOT_FOUND
    assert "did you mean `web`?" in capsys.readouterr().err
    assert main(["get", "services"]) == Exit.OK
    assert capsys.readouterr().out == "KIND  NAME  CONTENT\n(none)\n"
    assert main(["get", "tiers"]) == Exit.OK
    assert "default ones" in capsys.readouterr().err
    assert main(["get", "services", "-o", "yaml"]) == Exit.OK
    assert capsys.readouterr().out == ""
    assert main(["get", "all", "web"]) == Exit.USAGE


def test_delete_by_name_and_by_file_as_one_revision(world, shop, capsys):
    assert main(["delete", "group", "web"]) == Exit.REFUSED, "a policy names it"
    assert main(["delete", "policy", "web-to-app", "--wait", "--timeout", "5"]) == Exit.OK
    assert "Policy/web-to-app deleted\nrevision 2\nrealized on 1/1 switches\n" in capsys.readouterr().out
    assert world.waits == [5.0]
    assert main(["apply", "-f", str(shop)]) == Exit.OK
    assert main(["delete", "-f", str(shop), "--dry-run", "--wait"]) == Exit.OK
    assert "nothing was changed; it would be revision 4" in capsys.readouterr().out
    assert answered(capsys, "delete", "-f", str(shop), "-m", "closed")["revision"] == 4
    assert world.store.documents() == []
    assert world.store.revisions()[0].message == "closed"


def test_delete_names_all_that_is_missing_and_can_pass_over_it(world, shop, capsys):
    assert main(["delete", "policies", "web-to-ap", "web-to-app", "none"]) == Exit.NOT_FOUND
    err = capsys.readouterr().err
    assert "Policy/web-to-ap: there is no Policy 'web-to-ap' (did you mean `web-to-app`?)" in err
    assert "Policy/none: there is no Policy 'none' (leave it out, or" in err
    assert main(["delete", "policy", "web-to-app"]) == Exit.OK
    capsys.readouterr()
    assert main(["delete", "-f", str(shop)]) == Exit.NOT_FOUND
    assert f"{shop}:9: Policy/web-to-app: there is no Policy" in capsys.readouterr().err
    assert len(world.store.documents()) == 2
    assert main(["delete", "-f", str(shop), "--ignore-missing"]) == Exit.OK
    assert world.store.documents() == []
    capsys.readouterr()
    assert main(["delete", "-f", str(shop), "--ignore-missing"]) == Exit.OK
    assert capsys.readouterr().out == "nothing to do\n"


@pytest.mark.parametrize("argv", [[], ["policy"], ["-f", "x", "policy", "y"]], ids=" ".join)
def test_delete_wants_names_or_a_file(world, argv, capsys):
    assert main(["delete", *argv]) == Exit.USAGE


@pytest.mark.parametrize("text", ["3", "kind: All\nname: x", "kind: 3", "a: [", "[" * 5000, "kind: Group\nname: [x]"])
def test_a_file_that_names_nothing_deletes_nothing(world, tmp_path, capsys, text):
    (tmp_path / "f").write_text(text)
    assert main(["delete", "-f", str(tmp_path / "f")]) == Exit.REFUSED


# -- what is -----------------------------------------------------------------------------------


def test_status_shows_each_document_and_what_to_look_at(world, shop, capsys):
    assert main(["status"]) == Exit.OK
    out = capsys.readouterr().out
    assert out.startswith("revision 1: realized on 1/1 switches; 3 endpoints\n")
    assert ["Policy", "web-to-app", "1", "realized", "1/1"] in [line.split() for line in out.splitlines()]
    assert "endpoint \\x1b[31mevil: has the address of web-1\n  give it another" in out


def test_endpoints_and_switches(world, shop, capsys):
    assert main(["endpoints", "--network", "shop"]) == Exit.OK
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["web-1", "shop", "10.1.0.1,fd00::1", "02:00:00:00:00:01", "0000000000000001/v1", "tier=web"] in lines
    for command in ("endpoints", "matrix"):
        assert main([command, "--network", "shp"]) == Exit.REFUSED
        assert "there is no network 'shp' (did you mean `shop`?)" in capsys.readouterr().err
    assert main(["switches"]) == Exit.OK
    assert "0000000000000001  br-ring" in capsys.readouterr().out
    assert answered(capsys, "switches")["items"][0]["flows"] == 42
    assert len(answered(capsys, "endpoints")["items"]) == 3


def test_counters_and_what_is_observed(world, shop, capsys):
    assert main(["counters"]) == Exit.OK
    out = capsys.readouterr().out
    assert "web-to-app  http  allow   egress     3        300" in out
    assert "web-to-app  r     -       egress     1        60" in out
    assert "posture shop  5" in out
    assert main(["observed"]) == Exit.OK
    assert "set `mode: observe`" in capsys.readouterr().out
    strict = "kind: Policy\nname: strict\nmode: observe\nrules: [{action: deny}]\n"
    (shop.parent / "strict.yaml").write_text(strict)
    assert main(["apply", "-f", str(shop.parent / "strict.yaml")]) == Exit.OK
    capsys.readouterr()
    assert main(["observed"]) == Exit.OK
    out = capsys.readouterr().out
    assert "observing strict" in out
    assert "(all together)" in out
    answer = answered(capsys, "observed")
    assert answer["total"] == [
        {"policy": "", "rule": "", "enforced": "allow", "candidate": "deny", "packets": 7, "connections": 2}
    ]


def test_a_verdict_is_a_sentence_with_its_reasons_and_an_exit_code(world, shop, capsys):
    assert main(["verdict", "web-1", "app-1", "tcp/8080"]) == Exit.OK
    out = capsys.readouterr().out
    assert out.startswith("allow: web-1 may open tcp/8080 to app-1\n")
    assert "rule http of policy web-to-app (owner shop-team, the shop's front)" in out
    assert "tier application, order 1000" in out
    assert main(["verdict", "db-1", "web-1", "icmp"]) == Exit.NEGATIVE
    assert "egress and ingress: deny, the posture of network shop: no rule decides" in capsys.readouterr().out
    assert main(["verdict", "192.0.2.1", "web-1", "tcp/80", "--network", "shop"]) == Exit.NEGATIVE
    assert "world (192.0.2.1) to web-1 (10.1.0.1)" in capsys.readouterr().out
    assert answered(capsys, "verdict", "web-1", "app-1", "tcp/8080")["verdict"] == "allow"


@pytest.mark.parametrize("argv", [["web-2", "app-1", "tcp/80"], ["web-1", "app-1", "tcp/0"], ["\x1b", "é", "\n"]])
def test_a_question_about_nothing_is_refused(world, shop, argv, capsys):
    assert main(["verdict", *argv]) == Exit.REFUSED
    assert "query." in capsys.readouterr().err


def test_the_matrix_has_a_cell_for_every_pair(world, shop, capsys):
    assert main(["matrix", "--service", "tcp/8080"]) == Exit.OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "tcp/8080 from row to column, revision 1"
    assert [line.split() for line in lines[2:6]] == [
        ["1", "2", "3"],
        ["1", "app-1", "x", "x"],
        ["2", "db-1", "x", "x"],
        ["3", "web-1", "+", "x"],
    ]
    assert lines[-1] == "+ allow   x deny   r reject   % mixed   . unreachable"
    assert answered(capsys, "matrix")["service"] == "tcp/80"


def test_a_wide_matrix_is_cut_into_blocks(world, shop, capsys, monkeypatch):
    many = [endpoint(f"web-{n:03}", n) for n in range(1, 31)]
    world.inventory = Inventory({e.name: e for e in many})
    monkeypatch.setattr("cli.verdicts.width", lambda: 40)
    assert main(["matrix"]) == Exit.OK
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 40
    assert sum(line.split()[:2] == ["30", "web-030"] for line in lines) == 3


def test_revisions_say_who_what_and_why(world, shop, capsys):
    assert main(["delete", "policy", "web-to-app", "--author", "bert"]) == Exit.OK
    assert main(["apply", "-f", str(shop), "--author", "Çelik"]) == Exit.OK
    capsys.readouterr()
    assert main(["revisions"]) == Exit.OK
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[1][2:] == ["Çelik", "+Policy/web-to-app"]
    assert rows[2][2:] == ["bert", "-Policy/web-to-app"]
    assert rows[3][2:] == ["ann", "+Group/web", "+Network/shop", "+Policy/web-to-app", "first"]
    assert [r["number"] for r in answered(capsys, "revisions", "--limit", "2")] == [3, 2]


def test_revisions_are_read_page_by_page(world, shop, capsys, monkeypatch):
    monkeypatch.setattr("cli.views.PAGE", 2)
    for number in range(4):
        shop.write_text(SHOP.replace("8080", str(9000 + number)))
        main(["apply", "-f", str(shop)])
    capsys.readouterr()
    assert [r["number"] for r in answered(capsys, "revisions")] == [5, 4, 3, 2, 1]


def test_one_revision_shows_its_lines_and_is_taken_back(world, shop, capsys):
    shop.write_text(SHOP.replace("8080", "8081"))
    assert main(["apply", "-f", str(shop), "--dry-run"]) == Exit.OK
    assert "Policy/web-to-app changed\n" in (out := capsys.readouterr().out)
    assert "\n  -  - tcp/8080\n  +  - tcp/8081\n" in out
    assert main(["apply", "-f", str(shop), "-m", "the other port"]) == Exit.OK
    assert main(["revisions", "2"]) == Exit.OK
    assert ": the other port\n\n~Policy/web-to-app\n" in (out := capsys.readouterr().out)
    assert "\n  -  - tcp/8080\n  +  - tcp/8081" in out
    capsys.readouterr()
    assert main(["revert", "2", "--wait", "--timeout", "5"]) == Exit.OK
    assert "Policy/web-to-app changed\nrevision 3\nrealized" in capsys.readouterr().out
    assert answered(capsys, "revisions", "3")["message"] == "revert revision 2"
    assert main(["revert", "2"]) == Exit.OK
    assert main(["revert", "9"]) == main(["revisions", "9"]) == Exit.NOT_FOUND


# -- who may ask -------------------------------------------------------------------------------


def test_without_the_token_the_remedy_names_the_file(world, tmp_path, capsys):
    assert main(["status", "--token-file", str(tmp_path / "none")]) == Exit.UNAUTHORISED
    assert f"{tmp_path / 'none'}: No such file" in (err := capsys.readouterr().err)
    assert "RINGFENCE_TOKEN_FILE" in err
    (tmp_path / "wrong").write_text("x" * 64)
    assert main(["status", "--token-file", str(tmp_path / "wrong")]) == Exit.UNAUTHORISED
    assert TOKEN not in capsys.readouterr().err


def test_the_command_works_as_a_process(world, shop):
    def run(*argv: str) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, "-m", "cli.main", *argv], cwd=ROOT, capture_output=True, text=True)  # noqa: PLW1510

    allowed, denied = (run("verdict", "web-1", "app-1", service) for service in ("tcp/8080", "tcp/22"))
    assert (allowed.returncode, denied.returncode) == (0, 1)
    assert allowed.stdout.startswith("allow: ")
    assert (allowed.stderr, denied.stderr) == ("", "")


def test_a_user_without_a_name_is_no_obstacle(world, tmp_path, capsys, monkeypatch):
    def nobody() -> str:
        raise KeyError("uid")

    monkeypatch.setattr("getpass.getuser", nobody)
    (tmp_path / "shop.yaml").write_text(SHOP)
    assert main(["apply", "-f", str(tmp_path / "shop.yaml")]) == Exit.OK
    capsys.readouterr()
    assert answered(capsys, "revisions")[0]["author"] == "api"


def test_waiting_for_a_controller_that_is_about_to_start(world, shop, monkeypatch):
    tries = iter([OSError(111, "Connection refused"), None])
    real = http.client.HTTPConnection.request

    def request(self, *args):
        if error := next(tries):
            raise error
        real(self, *args)

    monkeypatch.setattr("http.client.HTTPConnection.request", request)
    assert main(["status", "--wait", "--timeout", "5"]) == Exit.OK


def test_waiting_in_vain_says_why(capsys):
    assert main(["status", "--wait", "--timeout", "0.1", "--server", "http://127.0.0.1:1"]) == Exit.UNREACHABLE
    assert "Connection refused" in capsys.readouterr().err

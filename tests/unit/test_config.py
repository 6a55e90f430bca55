"""The configuration: what is accepted, what is refused and how, and that it can be written and read back."""

from pathlib import Path

import pytest

from ryu_apps import config_reference
from ryu_apps.config import MAX_BYTES, Config, ConfigError, load, parse, render_commented

ROOT = Path(__file__).parents[2]
TLS = "{key: /k, cert: /c, ca: /a}"

REFUSED = [
    ("opnflow: {}", "opnflow", "did you mean openflow?"),
    ("rest: {prt: 1}", "rest.prt", "did you mean port?"),
    ("rest: {zzz: 1}", "rest.zzz", "known here: host, port"),
    ("openflow: {tls: {kee: /k, cert: /c, ca: /a}}", "openflow.tls.kee", "did you mean key?"),
    ("rest: {port: 70000}", "rest.port", "TCP port of the REST API"),
    ("rest: {port: 0}", "rest.port", "TCP port"),
    ("rest: {port: '8181'}", "rest.port", "TCP port"),
    ("rest: {port: 1.5}", "rest.port", "TCP port"),
    ("rest: {host: example.org}", "rest.host", "127.0.0.1"),
    ("rest: {host: 0.0.0.0}", "rest.host", "rest.tls"),
    ("rest: {body_limit: 1}", "rest.body_limit", "413"),
    ("rest: {token_file: token}", "rest.token_file", "start it with /"),
    ("rest: {tls: {key: /k}}", "rest.tls.cert", "certificate"),
    ("openflow: 6653", "openflow", "write keys below it, indented: host, port, tls, admission"),
    ("openflow: {tls: x}", "openflow.tls", "write keys below it, indented: key, cert, ca"),
    ("openflow: {host: '::'}", "openflow.admission.datapath_ids", "set openflow.tls"),
    ("openflow: {admission: {names: [sw1]}}", "openflow.admission.names", "set openflow.tls"),
    ("openflow: {admission: {datapath_ids: [0000000000000001]}}", "openflow.admission.datapath_ids", "quotes"),
    ("openflow: {admission: {datapath_ids: []}}", "openflow.admission.datapath_ids", "quotes"),
    ("openflow: {admission: {datapath_ids: all}}", "openflow.admission.datapath_ids", "any"),
    ("openflow: {switches: [a]}", "openflow.switches", "16 hex digits"),
    ("openflow: {switches: {'0000000000000000': all}}", "openflow.switches", "16 hex digits"),
    ("openflow: {switches: {'00000000000000aa': all, '00000000000000AA': all}}", "openflow.switches", "once"),
    ("openflow: {switches: {'0000000000000001': some}}", "openflow.switches", "names of ports"),
    ("openflow: {switches: {'0000000000000001': ['a b']}}", "openflow.switches", "names of ports"),
    (
        "openflow: {switches: {'0000000000000001': all}, admission: {datapath_ids: ['0000000000000002']}}",
        "openflow.switches",
        "add it to openflow.admission",
    ),
    ("ovsdb: {targets: []}", "ovsdb.targets", "unix:/path"),
    ("ovsdb: {targets: ['unix:db.sock']}", "ovsdb.targets[0]", "unix:/absolute/path"),
    ("ovsdb: {targets: ['tcp:h:1', 'tcp:h:70000']}", "ovsdb.targets[1]", "tcp:host:6640"),
    ("ovsdb: {targets: ['tcp:::1:6640']}", "ovsdb.targets[0]", "around IPv6"),
    ("ovsdb: {targets: ['unix:/a', 'unix:/a']}", "ovsdb.targets", "once"),
    ("ovsdb: {targets: ['ssl:127.0.0.1:6640']}", "ovsdb.ssl", "ovsdb.ssl.key"),
    ("ovsdb: {targets: ['tcp:192.0.2.7:6640']}", "bridge.controller_target", "tcp:192.0.2.1:6653"),
    ("ovsdb: {targets: [], listen: {}}\nopenflow: {host: x}", "openflow.host", "127.0.0.1"),
    ("ovsdb: {listen: {host: 0.0.0.0}}", "ovsdb.listen.hosts", "set ovsdb.listen.tls, list the hosts"),
    ("ovsdb: {listen: {host: 192.0.2.7, hosts: [a]}}", "bridge.controller_target", "tcp:192.0.2.1:6653"),
    ("ovsdb: {listen: {hosts: []}}", "ovsdb.listen.hosts", "certificates"),
    ("ovsdb: {listen: {hosts: [a/b]}}", "ovsdb.listen.hosts", "certificates"),
    ("ovsdb: {listen: {tls: {key: /k, cert: /c}}}", "ovsdb.listen.tls.ca", "authority"),
    ("bridge: {name: a/b}", "bridge.name", "1 to 15"),
    ("bridge: {name: sixteen-letters-}", "bridge.name", "1 to 15"),
    ("bridge: {adopt: 1}", "bridge.adopt", "take over"),
    ("bridge: {datapath_type: dpdk}", "bridge.datapath_type", "netdev"),
    ("bridge: {controller_target: 'unix:/x'}", "bridge.controller_target", "tcp:host:6653"),
    ("reconcile: {verify_interval_s: .nan}", "reconcile.verify_interval_s", "Seconds"),
    ("reconcile: {verify_interval_s: 60}", "reconcile.verify_interval_s", "Seconds"),
    ("state_dir: state", "state_dir", "start it with /"),
    ("log_level: loud", "log_level", "debug, info"),
    ("log_level: [debug]", "log_level", "debug, info"),
    ("- 1", "", "key: value"),
    ("a: 1\na: 2", "", "correct the line"),
    ("a: &x [1]\nb: *x", "", "correct the line"),
    ("1: 2", "", "correct the line"),
    ("[1", "", "correct the line"),
    ("[" * 1000, "", "correct the line"),
    ("a: " + "9" * 5000, "", "correct the line"),
    ("a: 2024-99-99", "", "correct the line"),
    ("a: !!python/object:os.system x", "", "correct the line"),
    ('log_level: "\\ud800"', "", "--print-config"),
    ("#" * (MAX_BYTES + 1), "", "remove"),
]


@pytest.mark.parametrize(("text", "path", "remedy"), REFUSED, ids=lambda v: v[:40])
def test_a_wrong_key_is_refused_with_its_path_and_a_remedy(text, path, remedy):
    with pytest.raises(ConfigError) as caught:
        parse(text.encode(), source="f.yaml")
    assert [p.path for p in caught.value.problems] == [path] or path in [p.path for p in caught.value.problems]
    assert remedy in next(p.remedy for p in caught.value.problems if p.path == path)
    assert all(p.message and p.remedy for p in caught.value.problems)
    assert str(caught.value).startswith("f.yaml: ")


def test_a_wrong_item_is_the_only_complaint_about_its_list():
    with pytest.raises(ConfigError) as caught:
        parse(b"ovsdb: {targets: [3]}", source="f")
    assert [p.path for p in caught.value.problems] == ["ovsdb.targets[0]"]


def test_every_wrong_key_is_reported_at_once():
    with pytest.raises(ConfigError) as caught:
        parse(b"rest: {prt: 1}\nlog_level: x\nbridge: {adopt: x}", source="f")
    assert {p.path for p in caught.value.problems} == {"rest.prt", "log_level", "bridge.adopt"}


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(ConfigError, match="no valid YAML"):
        parse(b"\xff\xfe\x00", source="f")


def test_an_empty_file_means_the_defaults():
    assert parse(b"# nothing\n", source="f") == Config()


def test_the_option_wins_over_the_environment_and_that_over_the_system_file(tmp_path):
    for name in ("option", "env", "system"):
        (tmp_path / name).write_text(f"state_dir: /{name}")
    env, system = {"RINGFENCE_CONFIG": str(tmp_path / "env")}, tmp_path / "system"
    assert load(tmp_path / "option", env, system_path=system).state_dir == Path("/option")
    assert load(None, env, system_path=system).state_dir == Path("/env")
    assert load(None, {}, system_path=system).state_dir == Path("/system")
    assert load(None, {"RINGFENCE_CONFIG": ""}, system_path=tmp_path / "none") == Config()


def test_a_file_that_was_named_must_exist(tmp_path):
    with pytest.raises(ConfigError, match=r"No such file.*--config"):
        load(tmp_path / "none", {})
    with pytest.raises(ConfigError, match="directory"):
        load(None, {"RINGFENCE_CONFIG": str(tmp_path)})


def test_derived_values():
    assert Config().controller_target == "tcp:127.0.0.1:6653"
    assert Config().token_path == Path("/var/lib/ringfence/token")
    assert Config().store_path == Path("/var/lib/ringfence/ringfence.db")
    assert Config().openflow.admission.dpids is None
    text = f"openflow: {{host: '::', port: 7, tls: {TLS}, admission: {{datapath_ids: [00000000000000aB]}}}}"
    secured = parse(text.encode(), source="f")
    assert secured.controller_target == "ssl:[::1]:7"
    assert secured.openflow.admission.dpids == frozenset({0xAB})
    remote = parse(
        b"ovsdb: {targets: ['tcp:192.0.2.7:6640']}\nbridge: {controller_target: 'tcp:[fd00::1]:6653'}", source="f"
    )
    assert remote.controller_target == "tcp:[fd00::1]:6653"


def test_switches_without_database_alone_are_enough():
    text = "ovsdb: {targets: []}\nopenflow: {switches: {'00000000000000aA': [p2, p1], '0000000000000001': all}}"
    config = parse(text.encode(), source="f")
    assert config.openflow.bare == {1: "all", 0xAA: ("p2", "p1")}
    assert parse(render_commented(config).encode(), source="f") == config


def test_every_key_has_a_comment():
    lines = render_commented(Config()).splitlines()
    for before, line in zip(["", *lines], lines, strict=False):
        assert line.lstrip().startswith("#") or before.lstrip().startswith("#"), line


def test_the_page_is_current():
    page = ROOT / "docs" / "configuration.md"
    assert page.read_text() == config_reference.page(), "regenerate it with python -m ryu_apps.config_reference"


@pytest.mark.parametrize(
    "text", ["bridge:", "bridge: # nothing said", "openflow:\n  admission:\n", "bridge:\nopenflow:\n  tls:\nlabels: {}"]
)
def test_a_section_of_which_nothing_is_said_is_as_by_default(text):
    assert parse(text.encode(), source="c") == Config()


def test_a_value_that_is_no_section_is_refused_in_words():
    with pytest.raises(ConfigError, match=r"c: bridge: 7 is no section \(write keys below it"):
        parse(b"bridge: 7", source="c")
    with pytest.raises(ConfigError, match=r"c: bridge\.name: Input should be"):
        parse(b"bridge: {name: }", source="c")

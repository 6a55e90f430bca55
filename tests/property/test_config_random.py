"""Any configuration reads back as it was written; any bytes are one, or refused."""

import contextlib
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from ryu_apps.config import Config, ConfigError, parse, render_commented

FILES = st.from_regex(r"/[^\0\ud800-\udfff]{0,20}", fullmatch=True)
MUTUAL = st.none() | st.fixed_dictionaries({"key": FILES, "cert": FILES, "ca": FILES})
CONFIGS = st.fixed_dictionaries(
    {
        "openflow": st.fixed_dictionaries(
            {
                "host": st.ip_addresses().map(str),
                "port": st.integers(1, 65535),
                "tls": st.fixed_dictionaries({"key": FILES, "cert": FILES, "ca": FILES}),
                "admission": st.fixed_dictionaries(
                    {
                        "datapath_ids": st.just("any")
                        | st.lists(st.integers(0, 2**64 - 1).map("{:016x}".format), min_size=1, max_size=3),
                        "names": st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=9), max_size=3),
                    }
                ),
            }
        ),
        "rest": st.fixed_dictionaries(
            {
                "token_file": st.none() | FILES,
                "tls": st.none() | st.fixed_dictionaries({"key": FILES, "cert": FILES}),
                "body_limit": st.integers(1024, 1 << 30),
            }
        ),
        "ovsdb": st.fixed_dictionaries(
            {"targets": st.lists(FILES.map("unix:{}".format), min_size=1, max_size=3, unique=True), "ssl": MUTUAL}
        ),
        "bridge": st.fixed_dictionaries(
            {"datapath_type": st.sampled_from(["auto", "system", "netdev"]), "adopt": st.booleans()}
        ),
        "reconcile": st.fixed_dictionaries({"verify_interval_s": st.floats(0.5, 8)}),
        "state_dir": FILES,
        "log_level": st.sampled_from(["debug", "info", "warning", "error"]),
    }
)


@settings(max_examples=40)
@given(CONFIGS)
def test_what_is_written_reads_back_the_same(data):
    config = parse(json.dumps(data).encode(), source="f")
    assert parse(render_commented(config).encode(), source="f") == config


@settings(max_examples=100)
@given(st.binary(max_size=60) | st.text("{}[]:,-#&*!|>'\"% \n\t?ab1.", max_size=60).map(str.encode))
def test_any_bytes_are_a_configuration_or_refused(raw):
    with contextlib.suppress(ConfigError):
        assert isinstance(parse(raw, source="f"), Config)

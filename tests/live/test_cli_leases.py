"""`ringfence leases` against the real API with the real book."""

import json
from ipaddress import ip_network

import pytest

from cli.exits import Exit
from cli.main import main
from intent.leasing import Wish


def test_leases_are_listed_and_those_of_a_host_that_is_gone_are_taken_back(world, capsys):
    assert main(["leases"]) == Exit.OK
    assert capsys.readouterr().out.splitlines()[-1] == "(none)"
    for turn, holder in enumerate(("host-a", "host-b")):
        world.leases.settle(holder, Wish(turn, claims=frozenset({ip_network(f"10.1.0.{7 + turn}")})))
    assert main(["leases"]) == Exit.OK
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[1:] == [["host-a", "-", "10.1.0.7/32", "-"], ["host-b", "-", "10.1.0.8/32", "-"]]
    assert main(["leases", "drop", "host-b"]) == Exit.OK
    assert capsys.readouterr().out.startswith("host-b: taken back")
    assert main(["leases", "--json"]) == Exit.OK
    told = json.loads(capsys.readouterr().out)
    held = {one["holder"]: (one["claims"], one["resting"]) for one in told["items"]}
    assert held == {"host-a": (["10.1.0.7/32"], []), "host-b": ([], ["10.1.0.8/32"])}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["drop"], Exit.USAGE, "leases drop NAME"),
        (["list", "host-b"], Exit.USAGE, "too much"),
        (["drop", "host-z"], Exit.NOT_FOUND, "host-z has no leases"),
        (["drop", "NO"], Exit.REFUSED, "holder"),
    ],
)
def test_leases_that_nobody_has_are_not_dropped(world, capsys, words, code, said):
    assert main(["leases", *words]) == code
    assert said in capsys.readouterr().err

"""The real API with a real store, served on a loopback port, and a command line that finds it."""

import pytest

from intent.api import Limits, Ports, make_app
from intent.store import Store
from ryu_apps.leasing import Leases
from tests.unit.cli_kit import TOKEN, World, served


@pytest.fixture
def world(tmp_path, monkeypatch):
    with Store(tmp_path / "store.db") as store:
        world = World(store)
        world.leases = Leases(store, lambda: False)
        ports = Ports(store, world, world, world, world, world, world, leases=world.leases)
        app = make_app(ports, token=TOKEN, limits=Limits(body_bytes=100_000))
        (tmp_path / "token").write_text(TOKEN + "\n")
        with served(app) as url:
            monkeypatch.setenv("RINGFENCE_SERVER", url)
            monkeypatch.setenv("RINGFENCE_TOKEN_FILE", str(tmp_path / "token"))
            yield world
        assert not world.faults

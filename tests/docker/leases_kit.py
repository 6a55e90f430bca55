"""Drivers and a book without threads and sockets between them, and a network that loses and delays what is said."""

from docker_driver.errors import Unreachable
from docker_driver.ipam import Ipam
from docker_driver.leases import Leases
from docker_driver.state import State
from intent.api import Ports, make_app
from intent.store import Store
from ryu_apps.leasing import Leases as Book
from tests.unit.api_kit import TOKEN, World


class Clock:
    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


class Server:
    """The real API over a real book in a real store; it can be restarted."""

    def __init__(self, directory, clock, client):
        self._path, self._clock, self._client = directory / "store.db", clock, client
        self.store = None
        self.start()

    def start(self):
        self.store = Store(self._path)
        self.book = Book(self.store, lambda: False, self._clock)
        ports = Ports(self.store, *(World(),) * 6, leases=self.book)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        self.client = self._client(make_app(ports, token=TOKEN), headers=headers)

    def restart(self):
        self.store.close()
        self.start()

    def put(self, holder, wish):
        answer = self.client.simulate_put(f"/v1/leases/{holder}", json=wish)
        assert answer.status_code == 200, answer.text
        return answer.json


class Wire:
    """Between one driver and the server: `fate` says of each request whether it, or its answer, arrives."""

    def __init__(self, server, fate=lambda: "well"):
        self.server, self.fate, self.late, self.calls = server, fate, [], 0

    def lease(self, holder, wish):
        self.calls += 1
        fate = self.fate()
        if fate == "away":
            raise Unreachable("the controller is away")
        if fate == "late":
            self.late.append((holder, wish))
            raise Unreachable("no answer in time")
        answer = self.server.put(holder, wish)
        if fate == "deaf":
            raise Unreachable("the answer was lost")
        return answer

    def deliver_late(self):
        while self.late:
            self.server.put(*self.late.pop())


class Inline(Leases):
    """Its thread is whoever asks."""

    def ask(self):
        self._asked += 1
        self.look()


class Host:
    """A driver's addresses, that can be killed and started again."""

    def __init__(self, directory, wire, clock, *, refuse=True, rest_s=600):
        self._directory, self._wire, self._clock, self._refuse, self._rest_s = directory, wire, clock, refuse, rest_s
        self.state = None
        self.start()

    def start(self):
        self.state = State(self._directory)
        self.ipam = Ipam(self.state, ["172.29.0.0/22", "fd00::/62"], self._rest_s, self._clock)
        self.leases = Inline(self.state, self._wire, refuse=self._refuse, clock=self._clock)
        self.ipam.lessor = self.leases

    def restart(self):
        self.state.close()
        self.start()

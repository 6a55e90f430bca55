"""An Engine and a controller that are plain values."""

from docker_driver.engine import Attached
from docker_driver.errors import Refused, Unreachable
from docker_driver.labels import Container


def uid(number):
    return f"{number:064x}"


class FakeEngine:
    def __init__(self):
        self.away = False
        self.names = {}
        self.ends = {}
        self.known = {}
        self.options = []

    def attach(self, network, endpoint, name, **labels):
        container = Container(uid(hash(name) & 0xFFFF), name, "img", "sha256:" + "0" * 64, labels)
        self.ends.setdefault(network, {})[endpoint] = container.uid
        self.known[container.uid] = container

    def attached(self, network):
        if self.away:
            raise Unreachable("the Engine is away")
        if network not in self.names:
            return None
        ends = self.ends.get(network, {})
        return Attached(self.names[network], frozenset(ends), ends)

    def containers(self, uids):
        return {u: self.known[u] for u in uids if u in self.known}

    def networks(self):
        if self.away:
            raise Unreachable("the Engine is away")
        return [(network, self.names[network.uid]) for network in self.options]


class FakeController:
    def __init__(self):
        self.away = False
        self.refuses = set()
        self.table = {}
        self.networks = {}
        self.calls = []

    def _note(self, *call):
        self.calls.append(call)
        if self.away:
            raise Unreachable("the controller is away")

    def ports(self):
        self._note("ports")
        return {name: dict(ids) for name, ids in self.table.items()}

    def put_port(self, name, ids):
        self._note("put", name)
        if name in self.refuses:
            raise Refused("no")
        self.table[name] = dict(ids)

    def delete_port(self, name):
        self._note("delete", name)
        self.table.pop(name, None)

    def ensure_network(self, document):
        self._note("network", document["name"])
        self.networks.setdefault(document["name"], tuple(document["subnets"]))

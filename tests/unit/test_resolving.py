"""Numbers are no names: the resolver is loaded by the first name, and then looks it up."""

import subprocess
import sys
from pathlib import Path

ASK = """
import sys
from ryu_apps import resolving
eventlet = resolving.load()
eventlet.monkey_patch()
import socket
for host in ("127.0.0.1", "::1", None):
    print(socket.getaddrinfo(host, 80, 0, socket.SOCK_STREAM)[0][4][0])
assert resolving.RESOLVER not in sys.modules
print(socket.getaddrinfo("localhost", 80, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])
assert resolving.RESOLVER in sys.modules
listener = eventlet.listen(("127.0.0.1", 0))
eventlet.spawn(listener.accept)
print(socket.create_connection(("localhost", listener.getsockname()[1]), timeout=30).getpeername()[0])
"""


def test_the_resolver_is_loaded_by_the_first_name() -> None:
    command = [sys.executable, "-W", "ignore", "-c", ASK]
    root = Path(__file__).parents[2]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    first, second, unnamed, *named = ran.stdout.split()
    assert (first, second, named) == ("127.0.0.1", "::1", ["127.0.0.1", "127.0.0.1"])
    assert unnamed in {"::1", "127.0.0.1"}, "a machine without IPv6 has the other first"

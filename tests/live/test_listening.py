"""A connection that is listened to at once takes each message once, in order, and is as strict as its own loop."""

from __future__ import annotations

import eventlet
import pytest

from ryu_apps import framework
from ryu_apps.framework import Connection

ROOM_S = 30.0


class Board:
    """Writes down what it is told."""

    def __init__(self):
        self.frames = []

    def frame(self, _link, frame):
        self.frames.append(frame)


class Alone(Connection):
    """A connection without Ryu's application around it, which nobody tells of its states."""

    def set_state(self, state):
        self.state = state


@pytest.fixture
def board(monkeypatch):
    board = Board()
    monkeypatch.setattr(framework, "_board", board)
    return board


@pytest.fixture
def joined():
    server = eventlet.listen(("127.0.0.1", 0))
    far = eventlet.connect(server.getsockname())
    near, _ = server.accept()
    server.close()
    connection = Alone(near, ("192.0.2.1", 6653))
    connection.ready = True
    loop = eventlet.spawn(connection._recv_loop)
    eventlet.sleep(0)
    yield connection, far.fd, loop
    loop.kill()
    near.close()
    far.close()


def barrier(xid):
    return bytes((5, 21, 0, 8)) + xid.to_bytes(4)


def test_messages_are_taken_once_and_in_order_whoever_takes_them(joined, board):
    connection, far, loop = joined
    wanted = [barrier(xid) for xid in range(2000)]
    stream = b"".join(wanted)
    for turn, at in enumerate(range(0, len(stream), 1001)):
        far.sendall(stream[at : at + 1001])
        if turn % 3:
            assert connection.listen(ROOM_S)
        else:
            eventlet.sleep(0.001)
    with eventlet.Timeout(ROOM_S):
        while len(board.frames) < len(wanted):
            eventlet.sleep(0.001)
    assert board.frames == wanted
    assert not loop.dead


def test_nothing_is_listened_to_before_the_handshake_and_nobody_waits_who_could_run(joined, board):
    connection, far, _ = joined
    far.sendall(barrier(1))
    connection.ready = False
    assert not connection.listen(ROOM_S)
    connection.ready = True
    ran = []
    eventlet.spawn(ran.append, 1)
    assert connection.listen(ROOM_S)
    assert ran


@pytest.mark.parametrize("bad", [b"\x05\x15\x00\x04\x00\x00\x00\x00", b"\x63" * 8, b"\x05\x63\x00\x08\x00\x00\x00\x00"])
def test_a_malformed_message_closes_the_connection(joined, board, bad):
    connection, far, loop = joined
    far.sendall(barrier(1) + bad)
    connection.listen(ROOM_S)
    assert board.frames in ([], [barrier(1)])
    assert connection.state == framework.handler.DEAD_DISPATCHER
    with eventlet.Timeout(ROOM_S):
        loop.wait()


def test_the_end_of_a_connection_is_left_to_its_own_loop(joined):
    connection, far, loop = joined
    far.close()
    assert not connection.listen(ROOM_S)
    with eventlet.Timeout(ROOM_S):
        loop.wait()


def test_a_fault_of_ours_over_a_message_ends_the_connection_whoever_took_it(joined, monkeypatch):
    """Else it would go on without what came with that message, and nobody would read the switch again."""

    class Faulty(Board):
        def frame(self, _link, frame):
            super().frame(_link, frame)
            raise ZeroDivisionError

    connection, far, loop = joined
    board = Faulty()
    monkeypatch.setattr(framework, "_board", board)
    far.sendall(barrier(1) + barrier(2))
    with pytest.raises(ZeroDivisionError):
        connection.listen(ROOM_S)
    assert board.frames == [barrier(1)]
    assert connection.state == framework.handler.DEAD_DISPATCHER
    with eventlet.Timeout(ROOM_S):
        loop.wait()


def test_a_peer_is_greeted_once_it_greets_or_keeps_silent_for_a_while(board):
    # Mininet's RemoteController looks by telnet whether anybody listens, and hangs if telnet is told a Hello.
    server = eventlet.listen(("127.0.0.1", 0))
    heard = {}
    for speaks in (True, False):
        far = eventlet.connect(server.getsockname())
        near, _ = server.accept()
        serving = eventlet.spawn(Alone(near, ("192.0.2.1", 6653)).serve)
        far.settimeout(framework.GREET_S / 5)
        with pytest.raises(TimeoutError):
            far.recv(1)
        if speaks:
            far.sendall(bytes((5, 0, 0, 8, 0, 0, 0, 9)))
        far.settimeout(ROOM_S)
        heard[speaks] = far.recv(1000)
        far.close()
        with eventlet.Timeout(ROOM_S):
            serving.wait()
    server.close()
    assert heard[True][1] == heard[False][1] == framework.HELLO
    assert len(heard[True]) == len(heard[False]) == int.from_bytes(heard[True][2:4]), "said once"

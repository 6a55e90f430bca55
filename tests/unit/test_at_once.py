"""What is waited for at once: answers that come soon are taken, nobody who could run waits longer than was said."""

from __future__ import annotations

import socket
import threading
import time

import eventlet
import pytest
from eventlet.green import socket as green

from ryu_apps import at_once
from ryu_apps.conversation import Conversation, Disconnected, Exchange

FRAME = bytes((5, 21, 0, 8, 0, 0, 0, 7))


@pytest.fixture
def pair():
    near, far = green.socketpair()
    yield near, far.fd
    near.close()
    far.close()


def test_bytes_that_come_soon_are_had_while_nobody_else_runs(pair):
    near, far = pair
    ran = []
    eventlet.spawn_after(0.01, ran.append, 1)
    sender = threading.Timer(0.03, far.sendall, (b"soon",))
    sender.start()
    assert at_once.received(near, 100, 5.0) == b"soon"
    sender.join()
    assert not ran


def test_nothing_is_had_where_nothing_comes_or_the_peer_is_gone_or_tls_is_between(pair):
    near, far = pair
    assert at_once.received(near, 100, 0.001) == b""
    far.sendall(b"x")
    assert at_once.received(near.fd, 100, 0.001) == b"", "no green socket of the plain kind"
    assert near.recv(1) == b"x"
    far.shutdown(socket.SHUT_RDWR)
    assert at_once.received(near, 100, 5.0) == b""
    near.close()
    assert at_once.received(near, 100, 0.001) == b""


def test_who_could_run_is_known():
    at_once.let_others()
    assert not at_once.others_wait()
    thread = eventlet.spawn(lambda: None)
    assert at_once.others_wait()
    at_once.let_others()
    thread.wait()
    later = eventlet.spawn_after(5, lambda: None)
    assert not at_once.others_wait()
    later.cancel()


class Talker:
    """A link whose switch answers after so many looks."""

    peer, names = "test", ()

    def __init__(self, looks):
        self.looks, self.looked, self.exchange = looks, 0, Exchange(self)

    def write(self, data):
        return True

    def listen(self, seconds):
        self.looked += 1
        if self.looked == self.looks:
            self.exchange.answer(FRAME)
        time.sleep(0.001)
        return True


def test_an_answer_is_taken_where_it_comes():
    link = Talker(3)
    with Conversation(link.exchange, 7) as talk:
        talk.at_once_s = 5.0
        assert talk.next(time.monotonic() + 5, "test") == FRAME
    assert link.looked == 3
    assert 4 < talk.at_once_s < 5, "what is left is for the next answer"


def test_who_gets_no_answer_at_once_waits_as_everybody_does():
    link = Talker(0)
    with Conversation(link.exchange, 7) as talk:
        talk.at_once_s = 0.01
        later = threading.Timer(0.05, link.exchange.answer, (FRAME,))
        later.start()
        assert talk.next(time.monotonic() + 5, "test") == FRAME
        later.join()
        assert 2 <= link.looked <= 11
        assert talk.at_once_s == 0
        link.exchange.close()
        with pytest.raises(Disconnected):
            talk.next(time.monotonic() + 5, "test")


def test_what_is_computed_aside_comes_back_brief_or_long_and_so_do_its_errors():
    aside, ticks = at_once.Aside(), []

    def tick():
        while True:
            ticks.append(1)
            eventlet.sleep(0.001)

    here = threading.get_ident()
    assert aside.run(threading.get_ident) != here
    ticking = eventlet.spawn(tick)
    with pytest.raises(ZeroDivisionError):
        aside.run(lambda: 1 // 0)
    before = len(ticks)
    assert aside.run(lambda: time.sleep(0.1) or "long") == "long"
    assert len(ticks) - before > 10, "others ran meanwhile"
    ticking.kill()

"""The loop that keeps ports, ways out and leases as they should be: it loses no wake and never gives up."""

import logging

import pytest

from docker_driver import looking
from docker_driver.errors import Refused, Unreachable
from docker_driver.looking import Looker, Pace, Troubles

PACE = Pace(look_s=30.0, first_retry_s=0.5, last_retry_s=3.0)
log = logging.getLogger("ringfence.docker.test")


class Clock:
    """Time that passes only while somebody waits; it stands in for the event that wakes a looker too."""

    def __init__(self):
        self.now = 1000.0
        self.waits = []
        self.is_set = False

    def monotonic(self):
        return self.now

    def set(self):
        self.is_set = True

    def clear(self):
        self.is_set = False

    def wait(self, timeout_s):
        self.waits.append(timeout_s)
        if not self.is_set:
            self.now += timeout_s


class Scripted(Looker):
    """Each look is the next step of a script, and the last one stops."""

    def __init__(self, *steps):
        super().__init__(log, PACE)
        self.steps = list(steps)
        self.forgot = 0
        self.looked_at = []

    def look(self):
        self.looked_at.append(looking.time.monotonic())
        step = self.steps.pop(0)
        if not self.steps:
            self.stop()
        return step(self) if callable(step) else step

    def forget(self):
        self.forgot += 1


@pytest.fixture
def run(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(looking, "time", clock)

    def run(looker):
        looker._woken = clock
        looker.run()
        return clock.waits[:-1]  # the last is that of one who is stopped

    return run


def broken(_looker):
    raise ValueError("a fault of ours")


def woken(looker):
    """Look while somebody wakes it."""
    looker.wake()
    return True


def test_who_is_settled_rests_until_everything_is_compared_anew(run):
    looker = Scripted(True, True, True)
    assert run(looker) == [30.0, 30.0]
    assert looker.forgot == 3, "each look was one without a reason"


def test_who_fails_tries_again_ever_later_and_soon_again_once_it_went_well(run):
    assert run(Scripted(*[False] * 6, True, False, True)) == [0.5, 1.0, 2.0, 3.0, 3.0, 3.0, 17.5, 0.5]


def test_who_fails_for_long_compares_everything_anew_all_the_same(run):
    looker = Scripted(*[False] * 13, True)
    run(looker)
    assert looker.looked_at[-1] - looker.looked_at[0] >= PACE.look_s
    assert looker.forgot == 2


def test_what_wakes_it_while_it_looks_is_not_lost(run):
    looker = Scripted(woken, True)
    run(looker)
    first, second = looker.looked_at
    assert second == first, "it looked again at once"
    assert looker.forgot == 1, "with a reason, so nothing else was compared anew"


def test_a_fault_of_ours_ends_no_thread_and_begins_anew(run, caplog):
    looker = Scripted(broken, True)
    assert run(looker) == [0.5]
    assert looker.forgot == 2
    assert "report it with these lines" in caplog.text
    assert "a fault of ours" in caplog.text


def test_who_is_stopped_before_it_runs_never_looks(run):
    looker = Scripted(True, True)
    looker.stop()
    run(looker)
    assert looker.looked_at == []


def test_a_trouble_is_told_once_until_it_changes_or_is_over(caplog):
    caplog.set_level(logging.INFO, logger="ringfence")
    troubles = Troubles(log, "the way out, ")

    def fail(error):
        raise error

    for error in (Unreachable("gone"), Unreachable("gone"), Refused("no")):
        assert not troubles.attempt("the controller", lambda error=error: fail(error))
    troubles.tell("the host", "forwards nothing")
    for _ in range(2):
        assert troubles.attempt("the controller", lambda: None)
        troubles.tell("the host", "")
    troubles.relieve("the host")
    assert caplog.messages == [
        "the way out, the controller: gone; trying again",
        "the way out, the controller: no; trying again",
        "the way out, the host: forwards nothing",
        "the way out, the controller: well again",
    ]
    with pytest.raises(ValueError, match="ours"):
        troubles.attempt("the host", lambda: broken(None))

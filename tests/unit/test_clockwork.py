"""When time changes what holds: expiry at its instant, windows at whole minutes of local time."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from intent.clockwork import Watch, effective, next_look, zones
from intent.model import Action, Intents, Policy, Rule, Schedule, Window

NOW = datetime(2026, 6, 5, 22, 30, 20, tzinfo=UTC)  # a Friday
RULES = (Rule("r", Action.ALLOW, None, None),)
NIGHT = Schedule("Europe/Berlin", (Window(frozenset({4}), 23 * 60, 2 * 60),))


def intents(**policies):
    return Intents(policies={n: Policy(n, "application", 1000, RULES, **more) for n, more in policies.items()})


def test_without_times_the_clock_never_matters():
    plain = intents(a={}, b={})
    assert next_look(plain, NOW) is None
    assert effective(plain, NOW, {}) is plain


def test_the_next_look_is_at_the_first_expiry_that_is_still_to_come():
    ends = NOW + timedelta(hours=3)
    timed = intents(over={"expires": NOW}, soon={"expires": ends}, later={"expires": ends + timedelta(days=1)})
    assert next_look(timed, NOW) == ends
    assert sorted(effective(timed, NOW, {}).policies) == ["later", "soon"]
    assert sorted(effective(timed, ends, {}).policies) == ["later"]


def test_a_schedule_is_looked_at_every_minute():
    timed = intents(night={"schedule": NIGHT}, end={"expires": NOW + timedelta(hours=1)})
    assert zones(timed) == {"Europe/Berlin"}
    assert next_look(timed, NOW) == NOW.replace(minute=31, second=0)


@pytest.mark.parametrize(
    ("local", "holds"),
    [
        ("2026-06-05T22:59:59", False),
        ("2026-06-05T23:00:00", True),
        ("2026-06-06T01:59:59", True),
        ("2026-06-06T02:00:00", False),
        ("2026-06-06T23:30:00", False),
        ("2026-06-05T01:00:00", False),
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_it_began(local, holds):
    offset = timedelta(hours=2)
    now = datetime.fromisoformat(local).replace(tzinfo=UTC) - offset
    assert bool(effective(intents(night={"schedule": NIGHT}), now, {"Europe/Berlin": offset}).policies) is holds


@pytest.mark.parametrize("seed", range(6))
def test_a_watch_says_what_the_functions_say(seed):
    chance, watch, now = random.Random(seed), Watch(), NOW
    policies: dict[str, Policy] = {}
    window = Window(frozenset({chance.randrange(7), 4}), 60 * chance.randrange(24), 60 * chance.randrange(24))
    for _ in range(60):
        now += timedelta(minutes=chance.choice((0, 1, 45)))
        name = f"p{chance.randrange(8)}"
        ends = now + timedelta(minutes=chance.randrange(-20, 200)) if chance.random() < 0.4 else None
        schedule = Schedule("Europe/Berlin", (window,)) if chance.random() < 0.3 else None
        order = chance.randrange(3)
        policies = {**policies, name: Policy(name, "application", order, RULES, expires=ends, schedule=schedule)}
        if chance.random() < 0.3:
            del policies[name]
        stored, offsets = Intents(policies=policies), {"Europe/Berlin": timedelta(hours=1)}
        watch.take(stored)
        assert watch.effective(now, offsets) == effective(stored, now, offsets)
        assert watch.zones() == zones(stored)
        assert watch.next_look(now) == next_look(stored, now)
        assert watch.by_clock == any(p.expires or p.schedule for p in policies.values())

"""Speed is of the last minute, and a pause is no part of it."""

from __future__ import annotations

from escl.tui.speed import Speed


def rate(speed: Speed) -> float | None:
    return speed.per_s


def test_speed_is_of_the_last_minute() -> None:
    speed = Speed()
    assert rate(speed) is None
    for second in range(200):
        speed.note(float(second), second if second < 100 else 100 + 5 * (second - 100))
    assert rate(speed) == 5.0
    assert list(speed.history)[:2] == [1.0, 1.0]
    assert speed.history[-1] == 5.0


def test_a_pause_slows_nothing() -> None:
    speed = Speed()
    speed.note(0.0, 0)
    speed.note(1.0, 4)
    speed.rest()
    assert rate(speed) is None
    speed.note(3600.0, 4)
    speed.note(3601.0, 8)
    assert rate(speed) == 4.0
    assert list(speed.history) == [4.0, 4.0]


def test_what_does_not_grow_has_no_speed() -> None:
    speed = Speed()
    for second in range(5):
        speed.note(float(second), 7)
    assert rate(speed) is None
    assert list(speed.history) == [0.0] * 4

"""How many steps a budget has room for: found out while it passes, by a clock of the test's own."""

import pytest

from smalti.train.pace import FIRST_LOOK, Pace


def run(budget_s, step_s, planned, every=50, validation_s=0.0):
    """Steps and validations as in the loop, the time of each by its number; what was spent, and how often."""
    pace = Pace(budget_s, every, each_s=validation_s)
    step, steps, changes, validations = 0, planned, [], 0
    while step < steps:
        step += 1
        pace.stepped(step_s(step, pace.seconds))
        before, steps = steps, pace.steps(step, steps)
        changes += [(step, steps)] * (before != steps)
        if pace.due(step) or step >= steps:
            pace.validated(validation_s)
            validations += 1
    return pace, step, changes, validations


def test_a_plan_that_was_right_is_kept():
    pace, steps, changes, _ = run(100.0, lambda step, seconds: 0.1, 1000)
    assert (steps, changes) == (1000, [])
    assert pace.seconds == pytest.approx(100)


@pytest.mark.parametrize("planned", [30, 1000, 100_000])
def test_a_plan_that_was_wrong_is_put_right(planned):
    pace, _, changes, _ = run(100.0, lambda step, seconds: 0.1, planned)
    assert pace.seconds == pytest.approx(100, rel=0.03)
    assert planned == 1000 or changes[0][0] == FIRST_LOOK


@pytest.mark.parametrize("factor", [0.3, 3.0])
def test_a_machine_that_changes_its_speed_in_the_middle_ends_in_time(factor):
    pace, *_ = run(100.0, lambda step, seconds: 0.1 if seconds < 50 else 0.1 * factor, 1000)
    assert pace.seconds == pytest.approx(100, rel=0.1)


def test_a_machine_that_is_slow_now_and_then_ends_in_time():
    pace, *_ = run(100.0, lambda step, seconds: 0.5 if step // 40 % 3 == 2 else 0.1, 1000)
    assert pace.seconds == pytest.approx(100, rel=0.1)


def test_slow_first_steps_do_not_count():
    pace, steps, changes, _ = run(100.0, lambda step, seconds: 5.0 if step < 3 else 0.1, 900)
    assert steps == pytest.approx(900, rel=0.02)
    assert pace.seconds == pytest.approx(100, rel=0.03)
    assert len(changes) <= 1


def test_noise_does_not_move_the_number_of_steps_about():
    _, _, changes, _ = run(100.0, lambda step, seconds: 0.08 + 0.04 * (step * 7919 % 11) / 10, 1000)
    assert len(changes) <= 3


@pytest.mark.parametrize("validation_s", [0.2, 1.0, 4.0, 12.0])
def test_validations_take_little_of_the_time(validation_s):
    pace, _, _, validations = run(100.0, lambda step, seconds: 0.1, 900, validation_s=validation_s)
    assert pace.seconds == pytest.approx(100, rel=0.1)
    assert pace.validation_s <= 0.16 * pace.seconds or validations == 1
    assert validations >= 1


def test_without_a_budget_nothing_changes():
    _, steps, changes, validations = run(None, lambda step, seconds: float(step), 120, validation_s=1e6)
    assert (steps, changes, validations) == (120, [], 3)


def test_a_budget_that_is_spent_ends_at_once():
    _, steps, *_ = run(10.0, lambda step, seconds: 0.1 if step < 50 else 8.0, 100)
    assert steps == 50

"""A training budget is in minutes or in steps, and says how much of it is spent."""

import pytest

from generator.training.budget import Budget


def test_steps_do_not_look_at_the_clock_and_minutes_not_at_steps():
    assert Budget(steps=40).share(10, spent_s=9999) == 0.25
    assert Budget(minutes=2).share(9999, spent_s=30) == 0.25


@pytest.mark.parametrize("given", [{}, {"minutes": 1, "steps": 1}, {"minutes": 0}, {"steps": -3}])
def test_a_budget_without_sense_is_refused(given):
    with pytest.raises(ValueError, match="budget"):
        Budget(**given)

from nst_core.fast.step_budget import steps_in_budget


def test_steps_are_counted_from_the_time_of_the_first_ones():
    assert steps_in_budget(100, [0, 2, 4, 6]) == 0  # the first are slow
    assert steps_in_budget(1000, [0, 2, 4, 6, 7]) == 0  # too little of the budget to tell
    assert steps_in_budget(100, [0, 2, 4, 6, 7, 8]) == 5 + 92
    assert steps_in_budget(100, [0, 2, 4, 6, 7, 8], earlier=10) == 10 + 5 + 92
    assert steps_in_budget(3, [0, 2, 4, 6, 7]) == 4  # already used up

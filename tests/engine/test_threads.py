"""The number of threads follows what steps take, by a clock that the test winds."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch

from engine.execution.cpu_threads import TRIED_EVERY, Pace

QUIET = {4: 1.0, 2: 1.6}
BUSY = {4: 50.0, 2: 1.7}


class Machine:
    """Steps take as long as the table says for the number of threads that torch is set to."""

    def __init__(self, most: int = 4) -> None:
        self.now = 0.0
        self.pace = Pace(most, lambda: self.now)

    def run(self, seconds: Mapping[int, float], steps: int) -> list[int]:
        used = []
        for _ in range(steps):
            with self.pace.step():
                used.append(torch.get_num_threads())
                self.now += seconds[used[-1]]
        return used


@pytest.fixture(autouse=True)
def four_threads() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    assert torch.get_num_threads() == 4, "a step leaves the number as it was"
    torch.set_num_threads(before)


def test_on_quiet_cores_all_threads_are_used_but_for_a_trial_now_and_then() -> None:
    used = Machine().run(QUIET, 200)
    assert used[:3] == [4, 4, 4]
    assert used.count(2) <= 1 + 200 // TRIED_EVERY


def test_on_busy_cores_the_fourth_step_is_faster() -> None:
    used = Machine().run(BUSY, 40)
    assert used[:4] == [4, 4, 4, 2]
    assert used[4:] == [2] * 36


def test_cores_that_become_busy_are_noticed_after_two_slow_steps() -> None:
    machine = Machine()
    machine.run(QUIET, 20)
    assert machine.run(BUSY, 10) == [4, 2, 4] + [2] * 7


def test_cores_that_become_quiet_again_are_noticed_within_one_trial() -> None:
    machine = Machine()
    machine.run(BUSY, 20)
    used = machine.run(QUIET, 2 * TRIED_EVERY)
    assert used[-1] == 4
    assert used.index(4) <= TRIED_EVERY + 1


def test_one_slow_step_changes_nothing_for_long() -> None:
    machine = Machine()
    machine.run(QUIET, 20)
    machine.run({4: 9.0, 2: 1.6}, 1)
    used = machine.run(QUIET, 3 * TRIED_EVERY)
    assert used[-1] == 4


def test_one_thread_is_left_alone() -> None:
    torch.set_num_threads(1)
    assert Machine(most=1).run({1: 1.0}, 100) == [1] * 100
    torch.set_num_threads(4)

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from irnet_pipe.training.schedule import Schedule, learning_rate_factor

SIZES = {"samples": st.integers(1, 40), "batch": st.integers(1, 8), "epochs": st.integers(1, 4)}


@settings(deadline=None, max_examples=25)
@given(schedule=st.builds(Schedule, **SIZES), data=st.data())
def test_batches_from_any_step_are_the_rest_of_all(schedule, data):
    if schedule.steps == 0:
        return
    batches = list(schedule.batches(0, seed=1, stage="train_cam"))
    assert len(batches) == schedule.steps
    first = data.draw(st.integers(0, schedule.steps))
    assert list(schedule.batches(first, seed=1, stage="train_cam")) == batches[first:]


@settings(deadline=None, max_examples=25)
@given(schedule=st.builds(Schedule, **SIZES))
def test_each_epoch_takes_each_sample_once_at_most(schedule):
    if schedule.steps == 0:
        return
    seen = Counter(key for batch in schedule.batches(0, seed=1, stage="train_cam") for key in batch)
    assert set(seen.values()) == {1}
    assert len(seen) == schedule.steps * schedule.batch
    assert {epoch for epoch, _ in seen} == set(range(schedule.epochs))


def test_order_depends_on_seed_stage_and_epoch():
    schedule = Schedule(samples=50, batch=50, epochs=2)
    orders = [
        tuple(index for _, index in batch)
        for seed, stage in ((1, "train_cam"), (2, "train_cam"), (1, "train_irnet"))
        for batch in schedule.batches(0, seed=seed, stage=stage)
    ]
    assert len(set(orders)) == 6


def test_polynomial_is_that_of_the_paper():
    factors = [learning_rate_factor({"schedule": "polynomial"}, t, 4) for t in range(4)]
    assert factors == pytest.approx([1, 0.75**0.9, 0.5**0.9, 0.25**0.9])


def test_one_cycle_agrees_with_torch():
    steps = 1000
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1, steps, cycle_momentum=False)
    for step in range(steps):
        # torch's cycle ends one step earlier
        assert learning_rate_factor({"schedule": "one_cycle"}, step, steps) == pytest.approx(
            cycle.get_last_lr()[0], abs=5e-3
        )
        optimizer.step()
        if step < steps - 1:
            cycle.step()


@pytest.mark.parametrize("name", ["polynomial", "one_cycle"])
@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_factors_lie_in_0_to_1(name, steps):
    assert all(0 < learning_rate_factor({"schedule": name}, step, steps) <= 1 for step in range(steps))

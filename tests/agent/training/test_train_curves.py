"""What TensorBoard shows of a training."""

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from agent.training.train import train
from tests.support.maze_runs import tiny


def test_a_run_that_replaces_another_shows_no_curves_of_it(data, copy):
    train(tiny(data, copy, steps=3, log_every=1, overwrite=True))
    events = EventAccumulator(str(copy / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/total")] == [1, 2, 3]


def test_a_run_that_continues_keeps_the_curves_up_to_the_step_it_stopped_at(data, copy):
    train(tiny(data, copy, evaluate_every=15, resume=True))
    events = EventAccumulator(str(copy / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/total")] == [10, 20, 30, 40]
    assert [event.step for event in events.Scalars("test/image")] == [15, 30, 40]


def test_tensorboard_shows_terms_speed_boundaries_and_pictures(whole):
    events = EventAccumulator(str(whole / "tensorboard"))
    events.Reload()
    scalars = set(events.Tags()["scalars"])
    for name in ("image", "kl_s", "kl_z", "kl_m", "nelbo", "total", "gradient", "boundaries", "samples_per_s"):
        assert f"train/{name}" in scalars
    for name in ("image", "kl_z", "boundary_f1", "boundary_precision", "boundary_recall", "boundary_share"):
        assert f"test/{name}" in scalars
    assert [event.step for event in events.Scalars("train/total")] == [10, 20, 30, 40]
    assert [event.step for event in events.Scalars("test/image")] == [15, 30, 40]
    assert all(np.isfinite(event.value) for event in events.Scalars("train/total"))
    assert {"reconstruction", "generation/full", "generation/jumpy"} <= set(events.Tags()["images"])

"""`jumpy collect --env`: walks of other environments, and models that are trained on them."""

import gymnasium
import numpy as np
import pytest

from agent.data.collect import CollectConfig, collect
from agent.data.exchange.episodes import specification
from agent.training.config import TrainConfig
from agent.training.evaluate import EvaluationConfig
from agent.training.train import train
from envs.camera import Camera
from experiments.cli import main
from tests.support.ring import Ring


@pytest.fixture(scope="module", autouse=True)
def ring():
    gymnasium.register("Ring-v0", lambda **options: Ring(**options))
    yield
    del gymnasium.registry["Ring-v0"]


def config(out, **options):
    return CollectConfig(
        **{"out": out, "steps": 120, "env": "Ring-v0", "camera": Camera(size=8), "length": 12, **options}
    )


@pytest.mark.parametrize("ends", ["false", "true"])
def test_episodes_are_whole_and_their_actions_legal(tmp_path, ends):
    replay = collect(config(tmp_path / "data", env_options=f'{{"ends": {ends}}}', actions=(0, 1)))
    fields = replay.slices(np.arange(10), np.zeros(10, np.int64), 12)
    place = fields["observation"][..., 0, 0, 0] // 20
    assert (fields["observation"] == fields["achieved_goal"]).all()
    assert (np.diff(place.astype(int)) % 12 == np.where(fields["action"][:, :-1] == 0, 1, 11)).all()
    assert replay.manifest.actions == 2 and (fields["action_mask"][..., 1] == (place != 0)).all()
    assert np.take_along_axis(fields["action_mask"], fields["action"][..., None].astype(int), 2).all()
    if ends == "true":
        assert (place < 11).all()  # the frame that ends an episode has no action of its own


def test_its_specification_is_known_unless_it_was_wrapped(tmp_path):
    plain = collect(config(tmp_path / "plain", env_options='{"ends": false}'))
    spec = specification(plain)
    assert spec is not None and gymnasium.make(spec).reset()[0].shape == (10, 14, 3)
    wrapped = ("gymnasium.wrappers:OrderEnforcing",)
    assert specification(collect(config(tmp_path / "wrapped", wrappers=wrapped))) is None


def test_a_seed_decides_and_an_interrupted_collection_goes_on(tmp_path):
    one = collect(config(tmp_path / "one", steps=1320))
    (tmp_path / "two").mkdir()
    other = collect(config(tmp_path / "two", steps=1320))
    assert one.manifest.digest == other.manifest.digest
    assert collect(config(tmp_path / "one", steps=1320)).manifest == one.manifest
    with pytest.raises(ValueError, match=r"--env-options"):
        collect(config(tmp_path / "one", steps=1320, env_options='{"ends": true}'))


@pytest.mark.parametrize(("model", "goals"), [("rssm", "false"), ("hrssm", "true")])
def test_models_are_trained_on_it(tmp_path, model, goals):
    data = collect(
        config(tmp_path / "data", steps=600, length=60, camera=Camera(size=32), env_options=f'{{"goals": {goals}}}')
    )
    assert data.manifest.fields["achieved_goal"] == (
        (np.dtype(np.float32), (2,)) if goals == "true" else (np.dtype(np.uint8), (32, 32, 3))
    )
    train(
        TrainConfig(
            tmp_path / "data",
            tmp_path / "run",
            model,
            steps=2,
            batch_size=2,
            device="cpu",
            evaluate_every=2,
            evaluation=EvaluationConfig(batches=1, batch_size=2, episodes=1),
        )
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--env", "Nowhere-v0"], "cannot be made"),
        (["--env", "Pendulum-v1"], "only Discrete"),
        (["--env", "CartPole-v1"], "not uint8 pictures"),
        (["--env", "Ring-v0", "--env-options", "{"], "cannot be made"),
        (["--env", "Ring-v0", "--wrappers", "Nothing"], "MODULE:NAME"),
        (["--env", "Ring-v0", "--actions", "5"], "0 to 2, got 5"),
        (["--env", "Ring-v0", "--env-options", '{"ends": true}', "--length", "2000"], "choose a shorter --length"),
        (["--env", "Ring-v0", "--actions", "1"], "allows none of its actions"),
        (["--env", "Ring-v0", "--layout", "random-3"], "--layout is a maze"),
        (["--actions", "1"], "give its --env"),
        (["--length", "50"], "in the maze"),
    ],
)
def test_what_cannot_be_walked_is_one_line_and_leaves_nothing(tmp_path, capsys, options, message):
    steps = "2000" if "2000" in options else "100"
    assert main(["collect", "--out", str(tmp_path / "data"), "--steps", steps, *options]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("jumpy: error:") and message in error
    assert not list((tmp_path / "data").glob("[!.]*"))

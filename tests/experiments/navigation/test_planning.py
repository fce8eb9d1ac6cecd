"""Planners as options of a command."""

import pytest

from experiments import cli
from experiments.navigation.benchmark import BenchmarkConfig
from experiments.navigation.navigation import NavigationConfig
from experiments.navigation.planning import Standard, planner_of
from planners.interface import Planner
from planners.registry import PLANNERS
from planners.shooting import Shooting
from planners.tree import TreeSearch
from world_models.registry import MODELS


def test_the_standard_planner_follows_the_model() -> None:
    assert Standard().of("hrssm") == TreeSearch()
    assert Standard().of("rssm") == Shooting()
    assert Standard(40).of("hrssm") == TreeSearch(depth=3)
    assert Standard(40).of("rssm") == Shooting(transitions=40)
    assert all(Standard().of(name).kind == spec.planner for name, spec in MODELS.items())
    assert planner_of(Standard().with_budget(3), "hrssm") == TreeSearch(depth=1)
    assert planner_of(Shooting(horizon=4), "hrssm") == Shooting(horizon=4)


def parsed(arguments: str) -> BenchmarkConfig:
    return cli.parse(BenchmarkConfig, "jumpy benchmark", ["--out", "out", *arguments.split()])


@pytest.mark.parametrize(
    ("arguments", "planner"),
    [
        ("--agents random h=run", Standard()),
        ("--agents random h=run --budget 363", Standard(363)),
        ("--agents random h=run standard --budget 363", Standard(363)),
        ("--agents random h=run tree", TreeSearch()),
        ("--agents random h=run tree --depth 5 --tie-tolerance 0.1", TreeSearch(5, 0.1)),
        ("tree --depth 5 --agents random h=run", TreeSearch(5)),
        ("shooting --horizon 9 --agents random h=run --transitions 18", Shooting(9, 18)),
    ],
)
def test_one_word_names_the_planner(arguments: str, planner: Standard | Planner) -> None:
    config = parsed(arguments)
    assert config.agents == ("random", "h=run")
    assert config.planner == planner


def test_budgets_go_before_or_after_the_planner() -> None:
    for arguments in ("--budgets 3 12 39 tree", "tree --budgets 3 12 39"):
        config = parsed(arguments)
        assert (config.budgets, config.planner) == ((3, 12, 39), TreeSearch())


@pytest.mark.parametrize("kind", PLANNERS)
def test_every_planner_of_the_registry_has_its_word(kind: str) -> None:
    assert parsed(kind).planner == PLANNERS[kind]()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("astar", "astar.*standard, tree, shooting, mcts, cem, merging.*jumpy benchmark --help"),
        ("tree --depth 0", "--depth.*at least 1.*got 0"),
        ("--budget 0", "--budget must be at least 1, got 0"),
        ("tree --horizon 3", "--horizon"),
        ("--depth 3", "--depth.*standard, tree, shooting"),
    ],
)
def test_a_wrong_planner_is_one_line(arguments: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        parsed(arguments)
    assert "\n" not in str(error.value)


def test_two_planners_of_one_command_are_told_apart_by_their_fields() -> None:
    def planners(arguments: str) -> tuple[Planner, Planner]:
        config = cli.parse(NavigationConfig, "jumpy navigation", ["--hrssm", "run", *arguments.split()])
        return config.hrssm_planner, config.rssm_planner

    assert planners("") == (TreeSearch(), Shooting())
    assert planners("--hrssm-planner.depth 3 --rssm-planner.horizon 4") == (TreeSearch(3), Shooting(4))
    assert planners("rssm-planner:tree --budgets 3 12") == (TreeSearch(), TreeSearch())

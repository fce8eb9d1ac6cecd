"""Options as words of the command line."""

from dataclasses import dataclass, field

from experiments.common.command_line import arguments


@dataclass(frozen=True)
class Options:
    out: str
    seeds: tuple[int, ...] = ()
    check_all: bool = False
    names: list[str] = field(default_factory=list)


def test_only_what_differs_is_said() -> None:
    assert arguments(Options("x")) == ["--out", "x"]
    assert arguments(Options("x", (1, 2), True)) == ["--out", "x", "--seeds", "1", "2", "--check-all"]

"""One figure or table of the results: what it is measured from, and how it is rendered from its numbers alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from matplotlib.figure import Figure

from experiments.common.numbers import Numbers


@dataclass(frozen=True)
class Sources:
    """What numbers are measured from. Each figure and table says what it needs."""

    runs: tuple[str, ...] = ()
    """Trained runs, as PATH or LABEL=PATH; PATH is a run folder, or pretrained/MODEL-VARIANT. Several runs of one label
    (by default the model) are its training seeds."""
    predictions: tuple[Path, ...] = ()
    """Folders that 'jumpy predict' wrote (its --out)."""
    benchmarks: tuple[Path, ...] = ()
    """Folders with benchmarks of the same episodes, as the --out of 'jumpy navigation'."""
    navigation: tuple[str, ...] = ()
    """JSON files of 'jumpy navigation', as LABEL=FILE."""
    data: tuple[Path, ...] = ()
    """Data sets that the runs were trained on; their test splits count."""
    sequences: int | None = None
    """Test videos that runs are measured on, the first of them; default: all."""
    seed: int = 0
    """Of whatever is sampled."""
    device: str = "auto"
    """auto (CUDA where there is one), cpu or cuda."""

    def __post_init__(self) -> None:
        """Check the ranges of the counts."""
        if self.sequences is not None and self.sequences < 1:
            raise ValueError(f"--sequences must be at least 1, got {self.sequences}")
        if self.seed < 0:
            raise ValueError(f"--seed must be 0 or more, got {self.seed}")


@dataclass(frozen=True)
class Artefact:
    """One entry of the registry."""

    render: Callable[[Numbers], Figure | dict[str, str]]
    """makes a figure, or texts by the suffixes of their files"""
    measure: Callable[..., Numbers | None] | None = None
    """makes the numbers from the options in `needs` and `accepts`, by name; gives None if there is nothing to show"""
    files: tuple[str, ...] = ("json",)
    """suffixes of the files of its numbers"""
    needs: Mapping[str, str] = field(default_factory=dict)
    """the options of `Sources` that it is measured from, with what to give; several where that ends in …"""
    accepts: tuple[str, ...] = ()
    """options of `Sources` that it can do without"""
    models: tuple[str, ...] = ()
    """models that `runs` may be of; none: any"""
    trained_on: Literal["maze", "videos"] | None = None
    """what `runs` must have been trained on; None: either"""
    origin: str = ""
    """where the numbers come from if there is nothing to measure them with"""

    def remedy(self, command: str) -> str:
        """How to get the numbers, with `command` such as 'jumpy figure NAME'."""
        if self.measure is None:
            return self.origin
        options = "".join(f" --{option} {what}" for option, what in self.needs.items())
        models = f" (runs of {' or '.join(self.models)})" if self.models else ""
        return f"make it with '{command} --measure{options}'{models}"


def split_label(text: str) -> tuple[str, str]:
    """The label and the path of LABEL=PATH; without a label the first is empty."""
    label, equals, path = text.partition("=")
    return (label, path) if equals else ("", text)

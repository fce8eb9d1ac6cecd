"""A figure or table of the results: what its numbers are measured from, and how it is rendered from them alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from matplotlib.figure import Figure

from experiments.common.numbers import Numbers


@dataclass(frozen=True)
class Sources:
    """What numbers are measured from; each figure and table names what it needs."""

    runs: tuple[str, ...] = ()
    """Trained runs, as PATH or LABEL=PATH; PATH is a run folder, or pretrained/MODEL-VARIANT. Several runs of one label
    (by default the model) are its training seeds."""
    predictions: tuple[Path, ...] = ()
    """Output folders of 'jumpy predict'."""
    benchmarks: tuple[Path, ...] = ()
    """Folders with benchmarks on the same episodes, such as the --out of 'jumpy navigation'."""
    navigation: tuple[str, ...] = ()
    """JSON files of 'jumpy navigation', as LABEL=FILE."""
    data: tuple[Path, ...] = ()
    """Data sets that the runs were trained on; their test splits are used."""
    sequences: int | None = None
    """How many test videos the runs are measured on, from the first; default: all."""
    seed: int = 0
    """Seed of all sampling."""
    device: str = "auto"
    """auto (CUDA where there is one), cpu or cuda."""

    def __post_init__(self) -> None:
        if self.sequences is not None and self.sequences < 1:
            raise ValueError(f"--sequences must be at least 1, got {self.sequences}")
        if self.seed < 0:
            raise ValueError(f"--seed must be 0 or more, got {self.seed}")


@dataclass(frozen=True)
class Artefact:
    """One entry of the registry."""

    render: Callable[[Numbers], Figure | dict[str, str]]
    """makes a figure, or texts by file suffix"""
    measure: Callable[..., Numbers | None] | None = None
    """makes the numbers from the options in `needs` and `accepts`, by name, or None if there is nothing to show;
    raises ValueError if what these name is missing, damaged or does not belong together"""
    files: tuple[str, ...] = ("json",)
    """file suffixes of its numbers"""
    needs: Mapping[str, str] = field(default_factory=dict)
    """required options of `Sources`, each with its metavar; an … at the end allows several"""
    accepts: tuple[str, ...] = ()
    """optional options of `Sources`"""
    models: tuple[str, ...] = ()
    """models that `runs` may be of; empty: any"""
    trained_on: Literal["maze", "videos"] | None = None
    """what `runs` must have been trained on; None: either"""
    origin: str = ""
    """where the numbers come from if `measure` is None"""
    add: Callable[[Numbers, Numbers], Numbers] | None = None
    """adds measured agents to the numbers that are there; ValueError if these do not belong together"""

    def remedy(self, command: str) -> str:
        """How to make the numbers, with a `command` such as 'jumpy figure NAME'."""
        if self.measure is None:
            return self.origin
        options = "".join(f" --{option} {what}" for option, what in self.needs.items())
        models = f" (runs of {' or '.join(self.models)})" if self.models else ""
        return f"make it with '{command} --measure{options}'{models}"


def split_label(text: str) -> tuple[str, str]:
    """Split LABEL=PATH into label and path; the label is empty where there is none."""
    label, equals, path = text.partition("=")
    return (label, path) if equals else ("", text)

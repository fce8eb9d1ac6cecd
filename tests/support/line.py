"""A model of a line of integers, whose every imagination is known."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from planners.interface import ModelFunctions

END = 20


class Place(NamedTuple):
    """A belief about where on the line one is."""

    x: Tensor


class Line:
    """Actions 0, 1, 2 go right, left and nowhere between the ends -20 and 20; keeps what is imagined."""

    def __init__(self, allowed: tuple[bool, bool, bool] = (True, True, True)) -> None:
        self.allowed = torch.tensor(allowed)
        self.taken: list[Tensor] = []

    def functions(self) -> ModelFunctions:
        return ModelFunctions(self.imagine, self.feature, self.legal)

    def imagine(self, state: Place, action: Tensor) -> Place:
        self.taken.append(action)
        return Place((state.x + torch.tensor([1, -1, 0])[action]).clamp(-END, END))

    def feature(self, state: Place) -> Tensor:
        return F.one_hot(state.x + END, 2 * END + 1).float()

    def legal(self, state: Place) -> Tensor:
        return self.allowed.expand(len(state.x), 3)


def goals(*x: int) -> Tensor:
    """Features of places on the line."""
    return F.one_hot(torch.tensor(x) + END, 2 * END + 1).float()


def start(*x: int) -> Place:
    """Beliefs at places on the line."""
    return Place(torch.tensor(x))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


ANY = torch.ones(2, 3, dtype=torch.bool)
"""two roots at which every action is legal"""
START = start(0, 0)

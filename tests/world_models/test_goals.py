"""Losses that teach imagined states to match goal crops."""

import math

import pytest
import torch

from envs.layout import Layout
from world_models.blocks.goals import contrastive_loss, cosine_loss, crop_id


def test_equal_numbers_are_equal_crops():
    crops = torch.from_numpy(Layout.paper().crops.copy()).flatten(0, 1)  # (H * W, 3, 3, 3)
    number = crop_id(crops)
    same_crop = (crops[:, None] == crops[None, :]).flatten(2).all(-1)
    same_number = number[:, None] == number[None, :]
    assert torch.equal(same_crop, same_number)
    assert len(number.unique()) > 50


def test_order_of_pixels_matters():
    crop = torch.zeros(3, 3, 3, 3, dtype=torch.uint8)
    crop[1, 0, 0, 0] = 1
    crop[2, 0, 0, 1] = 1
    assert len(crop_id(crop).unique()) == 3


def test_cosine_loss_teaches_the_goal_only():
    feature = torch.tensor([[1.0, 0.0], [0.0, 2.0]], requires_grad=True)
    goal = torch.tensor([[3.0, 0.0], [1.0, 1.0]], requires_grad=True)
    loss = cosine_loss(feature, goal)
    assert loss.item() == pytest.approx(-(1 + math.sqrt(0.5)) / 2)  # cosines 1 and cos 45°
    loss.backward()
    assert feature.grad is None
    assert goal.grad is not None
    assert goal.grad[0].tolist() == pytest.approx([0, 0], abs=1e-6)  # already parallel
    assert goal.grad[1, 0] > 0 > goal.grad[1, 1]  # descent turns (1, 1) towards (0, 2)


def test_equal_crops_are_no_negatives():
    # Cosines / temperature: 2 where the unit vectors agree, 0 elsewhere. Rows 0 and 2 show the same crop.
    feature = torch.tensor([[5.0, 0.0], [0.0, 1.0], [2.0, 0.0]])
    goal = torch.tensor([[1.0, 0.0], [0.0, 3.0], [1.0, 0.0]])
    #   [2 0 x]    row 0: -log(e² / (e² + 1))
    #   [0 2 0]    row 1: -log(e² / (e² + 2))     the columns are the same
    #   [x 0 2]    row 2: as row 0
    expected = (2 * math.log(1 + math.exp(-2)) + math.log(1 + 2 * math.exp(-2))) / 3
    assert contrastive_loss(feature, goal, torch.tensor([7, 8, 7]), 0.5).item() == pytest.approx(expected)
    #   [2 0 2]    rows 0 and 2 now compete: -log(e² / (2 e² + 1))
    expected = (2 * math.log(2 + math.exp(-2)) + math.log(1 + 2 * math.exp(-2))) / 3
    assert contrastive_loss(feature, goal, torch.tensor([7, 8, 9]), 0.5).item() == pytest.approx(expected)


def test_contrast_is_the_mean_of_rows_and_columns():
    # Unit vectors; cosines of feature i (row) and goal j (column), temperature 1:
    #   [1.0 0.0 0.6]
    #   [1.0 0.0 0.6]
    #   [0.0 1.0 0.8]
    feature = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    goal = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], requires_grad=True)
    own_cosine = [1.0, 0.0, 0.8]  # the diagonal
    rows = [[1.0, 0.0, 0.6], [1.0, 0.0, 0.6], [0.0, 1.0, 0.8]]
    columns = [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.6, 0.6, 0.8]]
    by_row, by_column = (
        sum(math.log(sum(map(math.exp, line))) - own for line, own in zip(lines, own_cosine, strict=True)) / 3
        for lines in (rows, columns)
    )
    assert by_row != pytest.approx(by_column)
    loss = contrastive_loss(feature, goal, torch.tensor([1, 2, 3]), 1.0)
    assert loss.item() == pytest.approx((by_row + by_column) / 2)
    loss.backward()
    for side in (feature, goal):
        assert side.grad is not None
        assert (side.grad.norm(dim=1) > 0).all()

"""The first setting that differs is named."""

import pytest

from agent.system.settings import check_same_settings


def test_equal_settings_pass() -> None:
    check_same_settings("a folder", {"a": 1, "b": {"c": [1, 2]}}, {"b": {"c": [1, 2]}, "a": 1}, "")


@pytest.mark.parametrize(
    ("found", "wanted", "message"),
    [
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, "x with b 2, asked for is 3: remedy"),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, r"x with a\.b\.c 1, asked for is 2"),
        ({"a": 1}, {}, "x with a 1, asked for is None"),
        ({}, {"a": "y" * 100}, r"asked for is y{57}\.\.\.: remedy"),
    ],
)
def test_a_difference_is_named(found: dict, wanted: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_same_settings("x", found, wanted, "remedy")

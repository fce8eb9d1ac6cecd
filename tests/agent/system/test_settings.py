"""Settings that are compared before something is continued."""

import pytest

from agent.system.settings import check_same_settings, first_difference


def test_equal_settings_pass():
    check_same_settings("it was made", {"a": 1, "b": {"c": [2]}}, {"b": {"c": [2]}, "a": 1}, "make it again")


@pytest.mark.parametrize(
    ("found", "wanted", "difference"),
    [
        ({"a": 1}, {"a": 2}, ("a", 1, 2)),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, ("a.c", 2, 3)),
        ({"a": {"b": 1}}, {"a": None}, ("a", {"b": 1}, None)),
        ({}, {"a": 1}, ("a", None, 1)),
        ({"a": 1}, {}, ("a", 1, None)),
        ({"x": 1, "y": 1}, {"y": 2, "x": 2}, ("y", 1, 2)),  # in the order of what is wanted
        ({"a": 1}, {"a": 1.0}, None),
    ],
)
def test_the_first_difference(found, wanted, difference):
    assert first_difference(found, wanted) == difference


def test_the_message_has_both_values_and_the_remedy():
    with pytest.raises(ValueError, match=r"^x was made with size 1.* 2: take another$"):
        check_same_settings("x was made", {"size": 1}, {"size": 2}, "take another")
    with pytest.raises(ValueError, match=r"a{57}\.\.\.,"):
        check_same_settings("x was made", {"name": "a" * 80}, {"name": "b"}, "take another")

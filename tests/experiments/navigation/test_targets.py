"""The worst of the seeds, what is reached, and the file of the rows."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.common.bootstrap import Estimate
from experiments.navigation.targets import Measured, merged, reached, targets_table, worst


def test_worst_seed_by_hand() -> None:
    seeds = [Estimate(0.9, 0.8, 1.0), Estimate(0.5, 0.4, 0.6), Estimate(0.7, 0.6, 0.8)]
    numbers = {"value": 0.5, "mean": pytest.approx(0.7), "ci95": [0.4, 0.6], "seeds": [0.9, 0.5, 0.7]}
    assert worst("success", seeds) == numbers
    assert worst("elbo_gap", seeds) == numbers | {"value": 0.9, "ci95": [0.8, 1.0]}
    undefined = Estimate(math.nan, math.nan, math.nan)
    for row in ("success", "elbo_gap"):
        numbers = {"value": None, "mean": None, "ci95": None, "seeds": [0.9, None]}
        assert worst(row, [seeds[0], undefined]) == numbers
        assert reached(row, numbers) is False


@pytest.mark.parametrize(
    ("row", "value", "ends", "verdict"),
    [
        ("success", 0.995, [0.99, 1.0], True),
        ("success", 0.994, [0.99, 1.0], False),
        ("elbo_gap", 0.02, [0.0, 0.1], True),
        ("elbo_gap", 0.021, [0.0, 0.1], False),
        ("rssm_gap_3", 1.0, [0.1, 2.0], True),
        ("rssm_gap_3", 1.0, [0.0, 2.0], False),
        ("jump_accuracy_1", 0.99, None, True),
        ("jump_accuracy_3", 0.99, None, None),
        ("frame_accuracy_5", 0.94, None, False),
        ("skips_hallway", 0.0, None, None),
    ],
)
def test_what_is_reached(row: str, value: float, ends: list[float] | None, verdict: bool | None) -> None:
    numbers = {"value": value, "mean": value, "ci95": ends, "seeds": [value]}
    assert reached(row, numbers) is verdict
    assert targets_table({row: numbers}).endswith({True: "yes", False: "NO", None: "-"}[verdict])


def test_other_variants_and_rows_stay(tmp_path: Path) -> None:
    path = tmp_path / "navigation.json"
    before = {"ours": {"paper": {"success": {"value": 1.0}}}, "vta": {"quick": {"success": {"value": 0.2}}}}
    path.write_text(json.dumps(before))
    new = Measured("ours", "quick", {"episodes": 5}, {"success": {"value": 0.9}})
    content = merged(path, new, overwrite=False)
    assert content["vta"] == before["vta"]
    assert content["ours"] == before["ours"] | {"quick": {"success": {"value": 0.9}}}
    path.write_text(json.dumps(content))
    more = replace(new, about={"episodes": 5, "rssm_gap_3": {}}, rows={"rssm_gap_3": {"value": 2.0}})
    content = merged(path, more, overwrite=False)
    assert list(content["ours"]["quick"]) == ["success", "rssm_gap_3"]
    assert content["about"]["ours"]["quick"] == {"episodes": 5, "rssm_gap_3": {}}
    other = replace(new, about={"episodes": 6})
    with pytest.raises(ValueError, match="holds rows of ours, quick with episodes 5, asked for is 6"):
        merged(path, other, overwrite=False)
    assert merged(path, other, overwrite=True)["about"]["ours"]["quick"] == {"episodes": 6}


@pytest.mark.parametrize("text", ["[]", "{", "\ud800"])
def test_file_of_something_else_is_an_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "navigation.json"
    path.write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(ValueError, match=r"navigation\.json is damaged.*--json"):
        merged(path, Measured("ours", "quick", {}), overwrite=True)

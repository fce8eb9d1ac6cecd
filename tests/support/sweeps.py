"""Small lists for `jumpy sweep`."""

from pathlib import Path

TRAIN = "--model rssm --steps 3 --batch-size 2 --device cpu --log-every 1 --checkpoint-every 1 --evaluate-every 9"
EVALUATION = "--evaluation.batches 1 --evaluation.batch-size 2 --evaluation.episodes 1"
BENCHMARK = "--episodes 4 --batch 2 --first-seed 100000 --device cpu shooting --transitions 6 --horizon 3"


def write_list(path: Path, data: Path, rest: str, train: str = "") -> Path:
    """A list of trainings of a few steps on some data."""
    words = f"--data {data} {TRAIN} {EVALUATION} {train}".strip()
    path.write_text(f'train = "{words}"\nbenchmark = "{BENCHMARK}"\n{rest}')
    return path

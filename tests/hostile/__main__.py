"""`python -m tests.hostile pairs|kills|wheel`: one row per command; the exit status is 1 if something went wrong."""

import argparse
import sys
import tempfile
from pathlib import Path

from agent.system.cpu_tuning import tune_cpu
from tests.hostile.commands import COMMANDS, make_sources
from tests.hostile.forked import import_commands
from tests.hostile.kills import KILLED, try_kills
from tests.hostile.pairs import try_pairs
from tests.hostile.wheel import try_wheel


def main() -> int:
    """Run one of the trials."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("trial", choices=("pairs", "kills", "wheel"))
    parser.add_argument("--times", type=int, default=20, help="pairs or kills of each command")
    parser.add_argument("--commands", nargs="+", choices=COMMANDS, help="default: all")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        if options.trial == "wheel":
            wrong = try_wheel(folder)
        else:
            tune_cpu()
            import_commands()
            make_sources(folder / "sources")
            trial = _pairs if options.trial == "pairs" else _kills
            wrong = trial(options.commands, options.times, folder)
    print(*wrong, f"{len(wrong)} things went wrong", sep="\n")
    return bool(wrong)


def _pairs(names: list[str] | None, times: int, folder: Path) -> list[str]:
    print("| command | pairs together, refused, wrong | a second apart, refused, wrong |\n|---|---|---|")
    found = []
    for name in names or COMMANDS:
        results = [try_pairs(name, seconds, times, folder / "sources", folder / "out") for seconds in (0, 1)]
        cells = [f"{each.pairs}, {each.refused}, {len(each.wrong)}" for each in results]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
        found += [f"{name}: {text}" for each in results for text in each.wrong]
    return found


def _kills(names: list[str] | None, times: int, folder: Path) -> list[str]:
    print("| command | kills | completed | orphans after 5 s | wrong |\n|---|---|---|---|---|")
    found = []
    for name in names or KILLED:
        result = try_kills(name, times, folder / "sources", folder / "out")
        print(f"| {name} | {result.kills} | {result.finished} | {result.orphans} | {len(result.wrong)} |", flush=True)
        found += [f"{name}: {text}" for text in result.wrong]
        found += [f"{name}: {result.orphans} orphans"] if result.orphans else []
    return found


if __name__ == "__main__":
    sys.exit(main())

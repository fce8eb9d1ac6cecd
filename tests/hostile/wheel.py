"""Every command from an installed wheel, as a user without a home, in a folder that holds packages of our names."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from tests.hostile.commands import arguments
from tests.support.kth_files import write_source

ROOT = Path(__file__).parents[2]
USER = 54321
"""a user id that nobody has; only root can become it, others stay who they are"""
SMALL = {
    "--version": 0,
    "help": 0,
    "collect --out maze --steps 2000": 0,
    "videos moving-ball --out balls --sequences 10 --length 60": 0,
    "import kth --source KTH --out kth --length 12": 0,
    "train --data maze --out hrssm --steps 2 --batch-size 2 --device cpu": 0,
    "train --data maze --out rssm --model rssm --steps 2 --batch-size 2 --device cpu": 0,
    "train --data balls --out dlh --model dlh --steps 1 --batch-size 2 --device cpu --options levels=2 window=40": 0,
    "benchmark --out bench --agents hrssm=pretrained rssm=rssm --episodes 20 --processes 2": 0,
    "plot bench": 0,
    "navigation --hrssm hrssm --episodes 10 --gap-episodes 5 --out nav --json nav.json": 0,
    "predict --run dlh --data balls --out predict --samples 2 --sequences 1": 0,
    "unseen --out unseen --numbers numbers --layouts random-7001 --frames 1000 --steps 2 --points 1 --episodes 5": 0,
    "figure all --out pictures": 0,
    "table all --out tables": 0,
    "speed --out speed": 0,
    "speed plan --repeats 1 --episodes 5 --json speed/speed_plan.json": 0,
    "speed train --models rssm --presets quick --rounds 1 --batch-size 2 --json speed/speed_train.json": 0,
    "speed env --environments 2 --rounds 1 --seconds 0.1 --poses 2 --frames 1000 --json speed/speed_env.json": 0,
    "demo --out demo --frames 2000 --hrssm-steps 2 --rssm-steps 2 --episodes 10": 0,
    "speed demo --out demo --frames 2000 --hrssm-steps 2 --rssm-steps 2 --episodes 10 --json speed/speed_demo.json": 0,
    "figure vta-8": 2,  # would write into the installed package
    "speed": 2,
    "ship rssm rssm-ours --frames 2000 --minutes 1 --device none": 2,
}
"""commands in this order, with their exit statuses"""


def try_wheel(folder: Path) -> list[str]:
    """Build and install the wheel, run every command, and return what went wrong."""
    jumpy = _install(folder)
    write_source(folder / "kth")
    work = folder / "work"
    work.mkdir()
    for name in ("agent", "envs", "experiments", "planners", "world_models"):
        (work / name).mkdir()
        (work / name / "__init__.py").write_text("raise SystemExit('not ours')\n")
    root = os.geteuid() == 0
    for path in (folder, *folder.rglob("*")) if root else ():
        if path.is_relative_to(work):
            os.chown(path, USER, USER)
        elif path.is_dir():
            path.chmod(0o755)
    wrong = []
    for text, expected in SMALL.items():
        command = [part.replace("KTH", str(folder / "kth")) for part in arguments(text, folder)]
        as_user: dict[str, Any] = {"user": USER, "group": USER, "extra_groups": []} if root else {}
        done = subprocess.run(
            [str(jumpy), *command], cwd=work, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, **as_user
        )
        last = (done.stderr.strip().splitlines() or [""])[-1]
        print(f"  {done.returncode}  jumpy {text}" + (f"\n     {last}" if done.returncode else ""), flush=True)
        if done.returncode != expected or "Traceback" in done.stderr:
            wrong.append(f"jumpy {text}: exit status {done.returncode}, {last}")
    return wrong


def _install(folder: Path) -> Path:
    """Install a wheel of this tree into an environment that sees this one's other packages; return its `jumpy`."""
    tree = folder / "tree"
    for name in subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tree / name)
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*pip, "wheel", *options, "-w", str(folder), str(tree)], check=True)
    shutil.rmtree(tree)
    system = Path(
        f"/usr/bin/python{sysconfig.get_python_version()}"
    )  # this one may lie in a home that others cannot read
    base = system if system.exists() else sys.executable
    subprocess.run([base, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    python = folder / "venv/bin/python"
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], check=True, capture_output=True
    ).stdout.decode()
    (Path(site.strip()) / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)], check=True)
    return folder / "venv/bin/jumpy"

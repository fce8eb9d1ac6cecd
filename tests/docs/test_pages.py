"""Every code block of the documentation runs, at tiny sizes, and its pages need no network."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from experiments import cli
from tests.docs.pages import DOCS, NOTEBOOK, SMALL, blocks, notebook, small

ROOT = DOCS.parent
PAGES = sorted(DOCS.glob("*.md"))
ELSEWHERE = ("tools",)
"""pages whose blocks need other tools, which tests/clients installs and tries in its own way"""
AS_NOTEBOOK = "tutorial"
"""the page that runs as a notebook"""
TINY = {
    "collect": "--steps 1000",
    "videos": "--sequences 10 --length 30",
    "train": "--steps 1 --batch-size 2 --evaluation.batches 1 --evaluation.episodes 1",
    "benchmark": "--episodes 2",
    "report": "--worst 1",
}
"""options that make a command small"""


def test_there_is_something_to_run():
    assert len(PAGES) > 8
    assert sum(len(blocks(page, "python")) for page in PAGES) > 12


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if blocks(page, "python") and page.stem not in (*ELSEWHERE, AS_NOTEBOOK)],
    ids=lambda page: page.stem,
)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks(page, "python"):
        exec(compile(block, page.name, "exec"), names)
    assert capsys.readouterr().out


def test_the_commands_of_all_pages_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    order = ("data", "models", "planners", "benchmark", "index")  # a page may use what one before it made
    pages = sorted(PAGES, key=lambda page: order.index(page.stem) if page.stem in order else len(order))
    for line in [
        line
        for page in pages
        if page.stem not in ELSEWHERE
        for block in blocks(page, "sh")
        for line in block.splitlines()
    ]:
        program, *arguments = shlex.split(line)
        if program == "make":
            assert arguments[0] in targets
        elif arguments[0] == "view":
            cli.parse(cli.import_module(cli.COMMANDS["view"].module).ViewConfig, "jumpy view", arguments[1:])
        else:
            assert program == "jumpy"
            assert cli.main(shrunk(arguments)) == 0, line


def shrunk(arguments: list[str]) -> list[str]:
    """A command at a tiny size."""
    for option, value in re.findall(r"(--\S+) (\S+)", TINY.get(arguments[0], "")):
        if option == "--episodes" and "--batch" in arguments:  # small as it is
            continue
        if option in arguments:
            arguments[arguments.index(option) + 1] = value
        else:
            words = [number for number, word in enumerate(arguments) if number and word.startswith("--")]
            place = words[0] if words else len(arguments)  # before a word that names a planner
            arguments[place:place] = [option, value]
    return arguments


def test_the_notebook_is_the_tutorial():
    text = (DOCS / f"{AS_NOTEBOOK}.md").read_text()
    assert all(text.count(size) == 1 for size in SMALL)
    assert nbformat.reads(NOTEBOOK.read_text(), as_version=4) == notebook(), "run python -m tests.docs.pages"


def test_the_notebook_runs_in_a_kernel(tmp_path):
    found = nbformat.read(NOTEBOOK, as_version=4)
    for cell in found.cells:
        if cell.cell_type == "code":
            cell.source = small(cell.source)
    nbformat.write(found, tmp_path / "small.ipynb")
    run = (
        "import nbformat, nbclient, sys; book = nbformat.read('small.ipynb', 4);"
        "nbclient.NotebookClient(book, timeout=300, kernel_name='python3').execute();"
        "print(sum(bool(cell.get('outputs')) for cell in book.cells))"
    )
    done = subprocess.run([sys.executable, "-c", run], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[-1]) >= 5


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built pages; a broken link or reference fails."""
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_pages_load_nothing_from_elsewhere(site: Path):
    pages = list(site.rglob("*.html"))
    assert len(pages) >= len(PAGES)
    for page in pages:
        loaded = re.findall(r"<(?:script|img|iframe|link)\b[^>]*?(?:src|href)=[\"']?([^\"'\s>]+)", page.read_text())
        assert not [each for each in loaded if re.match(r"(?:https?:)?//", each)], page


def test_the_equations_of_each_model_are_shown(site: Path):
    text = (site / "models.html").read_text()
    assert "p(z_t | z_" in text
    assert "Eq. 8a" in text

"""The page in a real browser: `make test-page` runs this file with the system's Chromium, driven by Playwright.

Screenshots of it in both themes and sizes are left in runs/page.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.navigation_runs import untrained

SHOTS = Path(os.environ.get("PAGE_SHOTS", "runs/page"))
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


@contextmanager
def serving(*arguments: str) -> Iterator[str]:
    """`jumpy view`, and its address."""
    program = "import sys; from experiments.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "view", "--no-browser", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.match(r"http://127\.0\.0\.1:\d+/", line)
            assert found, (line, process.communicate(timeout=10))
            yield found[0]
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=10)


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.fail("no Chromium was found: install it with 'apt-get install chromium'")
    playwright = pytest.importorskip("playwright.sync_api", reason="install the extra dev")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return untrained(tmp_path_factory.mktemp("page") / "run", "hrssm")


@pytest.fixture(scope="module")
def address(run):
    with serving("--agents", "hrssm=pretrained", "rssm=pretrained", "dlh=pretrained", f"mine={run}") as address:
        yield address


@pytest.fixture
def complaints():
    """Errors and warnings in the page's console."""
    return []


@pytest.fixture
def open_page(browser, address, complaints):
    """Opens the page; at the end no message may have been written to the console."""
    opened = []

    def open_(size=WIDE, theme="light", at=address):
        page = browser.new_page(viewport=size, color_scheme=theme)
        page.on(
            "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else 0
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        opened.append(page)
        page.goto(at)
        page.wait_for_selector(".node.chosen")
        settled(page)
        return page

    yield open_
    for page in opened:
        page.close()
    assert complaints == []


def settled(page: Any) -> None:
    """Wait until the page has done what it was asked."""
    page.locator("body[aria-busy=false]").wait_for(timeout=20_000)


def state(page: Any) -> tuple[str, int]:
    agent, taken = page.locator("body").get_attribute("data-ready").split()
    return agent, int(taken)


def reached(page: Any, taken: int) -> None:
    """Wait until HRSSM has taken so many steps."""
    page.locator(f"body[data-ready='hrssm {taken}']").wait_for(timeout=20_000)


def click_cell(page: Any, x: int, y: int) -> None:
    page.locator(f"[data-cell='{x},{y}']").dispatch_event("click", _place(page, x, y))


def _place(page: Any, x: int, y: int) -> dict[str, float]:
    box = page.locator(f"[data-cell='{x},{y}']").bounding_box()
    return {"clientX": box["x"] + box["width"] / 2, "clientY": box["y"] + box["height"] / 2, "bubbles": True}


def test_a_goal_is_clicked_and_the_agent_arrives(open_page):
    page = open_page()
    click_cell(page, 13, 6)
    page.locator("#status", has_text="Step 0").wait_for()
    page.fill("#speed", "4")
    page.keyboard.press("Escape")
    page.locator("#play").click()
    page.locator("#status", has_text="At the goal").wait_for(timeout=60_000)
    settled(page)
    assert re.match(r"At the goal after \d+ steps: reward [1-9]\d*", page.locator("#status").text_content())
    page.locator("#play").filter(has_text="Play").wait_for(timeout=60_000)


def test_the_drawn_tree_is_the_one_that_the_planner_returns(open_page):
    page = open_page()
    for agent in ("hrssm", "rssm", "dlh", "mine"):
        page.locator(f"[data-agent={agent}]").click()
        settled(page)
        drawn = page.eval_on_selector_all(
            ".jump[data-node]", "all => all.map(e => [e.dataset.node, e.dataset.parent, e.dataset.cosine].map(Number))"
        )
        episode = {"seed": int(page.input_value("#seed"))}
        told = page.evaluate(
            """async ([agent, taken, wanted]) => {
                const post = async (path, body) => (await fetch(`/api/${path}`, {method: "POST",
                    headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)})).json();
                const episode = await post("episode", wanted);
                for (let actions = [];;) {
                    const found = await post("moment", {episode, agent, actions});
                    if (actions.length === taken) return found.decision;
                    actions.push(found.decision.action);
                }
            }""",
            [agent, state(page)[1], episode],
        )
        wanted = [[node, *pair] for node, pair in enumerate(zip(told["parent"], told["cosine"], strict=True))]
        assert sorted(drawn) == wanted
        assert page.locator(".jump.chosen").count() == len(told["trajectory"])
        assert page.locator("#pictures img").count() == len(told["trajectory"])


def test_steps_go_forth_and_back_and_nodes_say_what_they_are(open_page):
    page = open_page()
    before = state(page)[1]
    page.keyboard.press("ArrowRight")
    reached(page, before + 1)
    assert page.locator("#decision").text_content().startswith("At the last choice")
    page.keyboard.press("ArrowLeft")
    reached(page, before)
    page.locator("[data-hit='0']").dispatch_event("pointerenter")
    assert "depth" in page.locator("#node").text_content()
    assert page.locator(".traced.jump").count() == 1


def test_the_planner_is_changed_on_the_page(open_page):
    page = open_page()
    many = page.locator(".jump[data-node]").count()
    page.locator("[name=depth]").fill("2")
    page.locator("[name=depth]").blur()
    settled(page)
    assert page.locator(".jump[data-node]").count() < many
    page.select_option("#kind", "merging")
    page.wait_for_selector("[name=merge_forced]")
    settled(page)
    assert "of 2000 transitions" in page.locator("#decision").text_content()


def test_agents_are_switched_and_one_drives_oneself(open_page):
    page = open_page()
    for key, name in enumerate(("hrssm", "rssm", "dlh", "mine", "random", "shortest-path"), 1):
        page.keyboard.press(str(key))
        assert page.locator(f"[data-agent={name}]").get_attribute("aria-pressed") == "true"
    page.keyboard.press("7")
    for _ in range(40):  # forward, or left where there is a choice, until a model has expected something
        settled(page)
        if page.locator("#expected[src]").count():
            break
        page.locator(".ahead button:enabled").first.click()
    assert re.search(r"differ by \d", page.locator("#off").text_content())


def test_sizes_and_themes_have_no_overflow_and_look_alike(open_page):
    SHOTS.mkdir(parents=True, exist_ok=True)
    for theme in ("light", "dark"):
        for name, size in (("wide", WIDE), ("phone", PHONE)):
            page = open_page(size, theme)
            page.screenshot(path=SHOTS / f"{theme}-{name}.png", full_page=name == "phone")
            for agent in ("rssm", "you"):
                page.locator(f"[data-agent={agent}]").click()
                settled(page)
                page.screenshot(path=SHOTS / f"{theme}-{name}-{agent}.png", full_page=name == "phone")
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (theme, name, agent)
            if name == "wide":
                page.set_viewport_size(PHONE)
                settled(page)
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_nothing_moves_while_an_agent_plays(open_page):
    page = open_page()
    places = "['#map', '#cards', '#imagines', '#planner', '#frame'].map(q => { const r = document.querySelector(q).getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; })"  # noqa: E501
    before = page.evaluate(places)
    for _ in range(8):
        page.keyboard.press("ArrowRight")
        settled(page)
        assert page.evaluate(places) == before


def test_two_browsers_do_not_disturb_each_other(open_page):
    one, other = open_page(), open_page()
    other.keyboard.press("n")
    settled(other)
    other.keyboard.press("j")
    settled(other)
    before = state(one)[1]
    one.keyboard.press("ArrowRight")
    reached(one, before + 1)
    assert one.input_value("#seed") == "100000" != other.input_value("#seed")


def test_a_wall_is_refused_on_the_page(open_page):
    page = open_page()
    page.locator("summary").click()
    page.fill("#x", "0")
    page.locator("#cell button").click()
    assert "wall" in page.locator("#banner").text_content()
    page.fill("#x", "1")
    page.fill("#y", "2")
    page.locator("#cell button").click()
    page.locator("#status", has_text="Step 0").wait_for()


def test_a_deleted_run_is_named_and_the_others_go_on(open_page, complaints, run):
    page = open_page()
    moved = run.rename(run.parent / "moved")
    page.keyboard.press("ArrowRight")
    settled(page)
    assert "cannot be read" in page.locator("[data-agent=mine]").text_content()
    assert "step 5" in page.locator("[data-agent=hrssm]").text_content()
    moved.rename(run)
    page.keyboard.press("ArrowRight")
    settled(page)
    assert "cannot be read" not in page.locator("[data-agent=mine]").text_content()
    complaints[:] = [text for text in complaints if "410" not in text]


def test_the_page_goes_on_when_the_server_comes_back(open_page, complaints):
    with serving("--agents", "hrssm=pretrained") as address:
        page = open_page(at=address)
    before = state(page)[1]
    page.keyboard.press("ArrowRight")
    page.locator("#banner", has_text="does not answer").wait_for()
    with serving("--agents", "hrssm=pretrained", "--port", re.findall(r"\d+", address)[-1]):
        reached(page, before + 1)
        assert not page.locator("#banner").is_visible()
        settled(page)
    complaints[:] = [text for text in complaints if "ERR_CONNECTION" not in text]


def test_the_page_is_named_for_screen_readers(open_page):
    page = open_page()
    unnamed = page.eval_on_selector_all(
        "button, input, select",
        "all => all.filter(e => !(e.textContent.trim() || e.ariaLabel || e.labels?.length)).map(e => e.outerHTML)",
    )
    assert json.dumps(unnamed) == "[]"
    assert "the goal at" in page.locator("#map title").text_content()
    assert page.eval_on_selector_all("img", "all => all.every(e => e.hasAttribute('alt'))")


def test_the_documentation_is_searched_from_the_disk(browser, complaints, tmp_path):
    root = Path(__file__).parents[2]
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path], cwd=root, check=True
    )
    page = browser.new_page(viewport=WIDE)
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else 0)
    page.on("requestfailed", lambda request: complaints.append(request.url))
    page.goto((tmp_path / "index.html").as_uri())
    page.locator(".md-search__input").first.click()
    page.keyboard.type("merging")
    page.locator(".md-search-result__item a").first.wait_for()
    assert complaints == []
    page.close()

"""How long one waits for the page and for a report: `python -m tests.page.timing [BENCHMARK]`. Nothing is asserted."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from experiments.report.command import ReportConfig, report
from tests.page.browser import CHROMIUM, FLAGS, WIDE, serving

STEPS = 60
PRESS = """async (before) => {
    const began = performance.now();
    document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight", bubbles: true}));
    while (document.body.dataset.ready === before) await new Promise((done) => setTimeout(done, 0));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
    return [performance.now() - began, document.querySelector("#decision").textContent.startsWith("Now")];
}"""


def first_decision(browser: Any, agents: tuple[str, ...]) -> tuple[float, list[list[Any]]]:
    """Seconds from the command to the first decision's tree, then milliseconds from key to picture of some steps."""
    began = time.perf_counter()
    with serving("--agents", *agents) as address:
        page = browser.new_page(viewport=WIDE)
        page.goto(address)
        page.wait_for_selector(".node.chosen")
        seconds = time.perf_counter() - began
        waited = []
        for _ in range(STEPS):
            page.locator("body[aria-busy=false]").wait_for()
            if "At the goal" in page.locator("#status").text_content():
                page.keyboard.press("n")
                page.locator("body[aria-busy=false]").wait_for()
            waited.append(page.evaluate(PRESS, page.locator("body").get_attribute("data-ready")))
        page.close()
    return seconds, waited


def main() -> None:
    """Print all of it."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for agents in (("hrssm=pretrained",), ("hrssm=pretrained", "rssm=pretrained", "dlh=pretrained")):
            seconds, waited = first_decision(browser, agents)
            decisions, forced = ([wait for wait, at_choice in waited if at_choice is kind] for kind in (True, False))
            print(f"{len(agents)} models: first decision after {seconds:.1f} s")
            for name, each in (("with a tree of depth 6", decisions), ("without a choice", forced)):
                half, most = np.quantile(each, (0.5, 0.95))
                print(f"  {len(each)} steps {name}: median {half:.0f} ms, 95 % {most:.0f} ms")
        browser.close()
    for folder in map(Path, sys.argv[1:]):
        began = time.perf_counter()
        path = report(ReportConfig((folder,)))
        print(f"report: {time.perf_counter() - began:.1f} s, {path.stat().st_size / 2**20:.2f} MB")


if __name__ == "__main__":
    main()

"""A picture of the explorer for the documentation, taken in Debian's Chromium.

    cldis explore RUN &
    python benchmarks/explorer_screenshot.py ADDRESS docs/images/explorer.png

ADDRESS is the one that `cldis explore` prints, with its token.

Chooses a sample photo, moves the two best directions and waits for the full picture.
"""

from __future__ import annotations

import sys

from playwright.sync_api import sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SAMPLE = 8


def main(address: str, out: str) -> None:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 960})
        page.goto(address)
        page.wait_for_selector("#status .state.done")
        page.locator(".photos button").nth(SAMPLE).click()
        page.wait_for_selector("#stage .stage.busy")
        page.wait_for_selector("#stage .stage.done")
        for slider, steps in ((0, -10), (1, -10)):
            page.locator(f"#slider-{slider} input[type=range]").focus()
            for _ in range(abs(steps)):
                page.keyboard.press("ArrowRight" if steps > 0 else "ArrowLeft")
        page.wait_for_timeout(5000)
        page.wait_for_selector("#stage .stage.done")
        page.mouse.move(0, 0)
        page.screenshot(path=out)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The evaluation's page in a real browser: light and dark, wide and narrow, everything unfolded, nothing fetched."""

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from classifier.report import write
from tests.browser.conftest import DESKTOP, PHONE
from tests.classifier.test_report import RESULT

LOUD = {
    **RESULT,
    "warning": "Below the baseline: the model labels 87 % of the rows rightly, plain TF-IDF with LinearSVC 91 %.",
    "certification": {**RESULT["certification"], "broken": {"0.05": "Certified were at most 5 % wrong, but 9 % are."}},
}


@pytest.mark.parametrize(("viewport", "colours"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_the_page_of_an_evaluation_fits_its_screen_and_everybody(
    viewport: dict[str, int], colours: str, chromium: Any, tmp_path: Path
) -> None:
    asked: list[str] = []
    context = chromium.new_context(viewport=viewport, color_scheme=colours)
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.goto(write(LOUD, tmp_path).as_uri())
    page.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
    assert asked == [page.url]
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert page.locator("figure svg").count() == 6
    for box in page.locator("figure svg").all():
        assert box.bounding_box()["width"] > 280
    result = Axe().run(page)
    assert result.response["passes"], "axe looked at nothing"
    assert not result.violations_count, result.generate_report()
    context.close()

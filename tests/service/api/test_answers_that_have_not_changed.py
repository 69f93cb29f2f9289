"""An answer that says "you have it" leaves a page as it was: its policy, its sandbox, its style."""

from typing import Any

import httpx
import pytest
from served_worlds import World
from test_admission import ROUTES, path_of, record_of
from test_pages_in_a_browser import Sitting, sitting
from visited_pages import Pages
from webdriver import CHROMIUM, DRIVER, Browser

__all__ = ["sitting"]
OF_A_BODY = {"content-length", "content-type", "last-modified", "accept-ranges"}
"""What only an answer with a body has to say."""
OF_A_CALL = {"x-request-id", "date"}
FILES = (
    "/audits/{done}/report", "/audits/{done}/files/report.html", "/audits/{done}/files/record.json",
    "/records/{record}/report", "/records/{record}/files/report.html",
)  # fmt: skip
DOCUMENTS = (*FILES[:2], *FILES[3:])
LOOK = """
(() => {
const shown = ["body", "main", "h1", "h2", "table", "td", "a"].map(tag => {
  const item = document.querySelector(tag);
  if (item === null) return null;
  const style = getComputedStyle(item);
  return [style.font, style.color, style.margin, style.padding, style.display, style.maxWidth];
});
const rules = [...document.styleSheets].map(sheet => sheet.cssRules.length);
return {rules, shown, origin: window.origin, words: document.body.innerText.length};
})()
"""


def heard(answer: httpx.Response) -> dict[str, str]:
    return {k: v for k, v in answer.headers.items() if k not in OF_A_BODY | OF_A_CALL}


def test_no_route_says_less_of_what_a_caller_has_than_of_what_it_sends(world: World) -> None:
    tagged = set()
    for verb, path in ROUTES:
        for name in ("record.json", "report.html"):
            where = path_of(world, path).replace("record.json", name)
            who = "agent" if "{agent}" in path else "admin"
            whole = world.call(verb, where, who)
            same = world.call(verb, where, who, headers={"If-None-Match": "*"})
            if same.status_code == 304:
                tagged.add(path)
                assert heard(same) == heard(whole), (path, name)
                assert whole.headers["etag"] == same.headers["etag"]
            else:
                assert same.status_code == whole.status_code, path
    assert len(tagged) == 6, tagged  # files of audits and records, and four short ways


@pytest.mark.parametrize("path", FILES)
def test_a_page_that_a_browser_has_keeps_its_policy(pages: Pages, path: str) -> None:
    world = pages.world
    where = path.format(done=world.done, record=record_of(world))
    visitor = pages.visit("viewer")
    whole = visitor.get(where)
    same = visitor.get(where, **{"If-None-Match": whole.headers["etag"]})
    assert (whole.status_code, same.status_code) == (200, 304)
    assert heard(same) == heard(whole)


@pytest.mark.slow
@pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="needs chromium and its driver (Debian: chromium, chromium-driver)",
)
def test_a_browser_shows_a_document_the_third_time_as_it_did_the_first(sitting: Sitting) -> None:
    sitting.go("/")
    sitting.log_in(sitting.key)
    assert sitting.audit("--only", "quality.accuracy").wait(120) == 0
    done = sitting.served.client.get("/v1/audits").json()["audits"][0]
    named = {"done": done["id"], "record": done["record"]}
    for path in (*DOCUMENTS, "/", "/audits/{done}", "/models", "/start"):
        where = f"{sitting.base}{path.format(**named)}"
        seen = []
        for _ in range(3):
            sitting.browser.go(where)
            seen.append(looked_at(sitting.browser))
        assert seen[0]["rules"], path
        assert (seen[0]["origin"] == "null") is (path in DOCUMENTS), (path, seen[0])
        assert seen[1:] == seen[:1] * 2, path


def looked_at(opened: Browser) -> dict[str, Any]:
    """Return how a page looks, asked in a way that no policy of the page's stops."""
    asked = opened.devtools("Runtime.evaluate", expression=LOOK, returnByValue=True)
    found: dict[str, Any] = asked["result"]["value"]
    return found

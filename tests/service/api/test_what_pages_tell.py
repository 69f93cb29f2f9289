"""What pages tell, whatever things are called; how forms are refused; how often they ask."""

import hashlib
import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from visited_pages import BASE, Pages, Parts, handed_in

from auditor.checks.registry import discover_checks
from auditor.service.domain.access import AccessRole
from auditor.service.domain.submissions import KINDS, SubmissionEvent, SubmissionState
from auditor.service.web import routing
from auditor.service.web.audit import CheckStage, fold_progress
from auditor.service.web.badges import TOLD, format_short_time

SEEN = ("/", "/start", "/audits", "/audits/{done}", "/audits/{done}/files", "/models",
        "/models/line", "/compare", "/compare?left={done}&right={done}", "/targets", "/keys",
        "/people", "/decisions", "/signing", "/schedules", "/webhooks", "/acts",
        "/decide/{done}/approval", "/decide/{done}/finding",
        "/login", "/audits/sub-000000000000000000000000", "/audits/none", "/audits/",
        "/start/nothing")  # fmt: skip
NUL, RTL = "nul\0byte", "abc\u202etxt.exe \u05e9\u05dc\u05d5\u05dd"
HOSTILE = ("<script>alert(1)</script>", "'\"><img src=x onerror=alert(1)>", RTL, "x" * 10_000,
           "{{ 7 * 7 }}", "../../etc", "a/b?c#d&e=100%")  # fmt: skip


@pytest.mark.parametrize("path", SEEN)
def test_a_page_holds_no_script_of_its_own_and_says_what_it_may_load(
    pages: Pages, path: str
) -> None:
    visitor = pages.nobody() if path == "/login" else pages.visit("admin")
    page = visitor.get(path.format(done=pages.world.done))
    assert page.headers["content-type"].startswith("text/html"), page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "same-origin"
    assert page.headers["cache-control"] == "no-store"
    parts = Parts(page.text)
    assert not "".join(parts.inline).strip()
    for tag, attributes in parts.found:
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        for name in ("src", "href", "action"):
            assert (attributes.get(name) or "/").startswith(("/", "#")), (tag, attributes)
    tags = [tag for tag, _ in parts.found]
    assert tags.count("h1") == 1
    assert tags.count("main") == 1
    for (_, around), (tag, _) in pairwise(parts.found):
        # Those of reports, in comparisons and trends, have no caption, but all lie in a region.
        assert tag != "table" or around.get("aria-label"), around
    assert all("scope" in attributes for tag, attributes in parts.found if tag == "th")


TABLE = re.compile(r'<table class="stacked[^"]*">.*?</table>', re.DOTALL)
CELL = re.compile(r"<td[^>]*>(.*?)</td>", re.DOTALL)
SAYS_ITSELF = re.compile(r'\s*(<span class="(label|badge|small)\b|<(a|form) |$)')


@pytest.mark.parametrize(
    "path",
    ["/", "/audits", "/audits/{done}", "/models/line", "/targets", "/keys", "/schedules",
     "/webhooks", "/acts"],
)  # fmt: skip
def test_a_cell_says_what_it_is_where_a_small_screen_hides_the_heads(
    pages: Pages, path: str
) -> None:
    page = pages.visit("admin").get(path.format(done=pages.world.done)).text
    cells = [cell for table in TABLE.findall(page) for cell in CELL.findall(table)]
    assert cells
    assert [cell for cell in cells if not SAYS_ITSELF.match(cell)] == []


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_a_text_and_nothing_more(pages: Pages, name: str) -> None:
    project = f"hostile-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    running = handed_in(pages.world, project, name)
    broken = handed_in(pages.world, project, name, SubmissionState.FAILED)
    visitor = pages.log_in(pages.world.key(project, AccessRole.ADMIN))
    plain = {tag for tag, _ in Parts(pages.visit("viewer").get("/audits").text).found}
    for path in ("/", "/audits", f"/audits/{running}", f"/audits/{broken}", "/models"):
        page = visitor.get(path)
        assert page.status_code == 200, path
        found = Parts(page.text).found
        assert not {"img", "b"} & {tag for tag, _ in found}, path
        assert len([tag for tag, _ in found if tag == "script"]) == 2, path
        assert "\u202e" not in page.text
        assert "&lt;b&gt;npu&lt;/b&gt;" in page.text or path == "/models"
        assert name[:20] in page.text.replace("&lt;", "<").replace("&gt;", ">").replace(
            "&#39;", "'").replace("&#34;", '"').replace("&amp;", "&").replace(
            "\\u{202e}", "\u202e"), path  # fmt: skip
        assert len(page.text) < 60_000, path
    assert "main" in plain
    linked = [a["href"] for tag, a in Parts(visitor.get("/models").text).found
              if tag == "a" and (a.get("href") or "").startswith("/models/")]  # fmt: skip
    assert len(linked) == 1
    if ".." not in name:  # what a browser makes another address of
        assert visitor.get(str(linked[0])).status_code == 200
        assert visitor.get("/audits").status_code == 200


def test_a_name_with_a_nul_in_the_address_finds_nothing_and_breaks_nothing(pages: Pages) -> None:
    viewer = pages.visit("viewer")
    assert viewer.get("/models/nul%00byte").status_code == 404
    assert viewer.get("/audits?model=nul%00byte").status_code == 200
    assert viewer.get("/audits?state=eaten&verdict=raw").status_code == 200


def test_a_project_without_audits_is_told_how_to_hand_one_in(pages: Pages) -> None:
    visitor = pages.log_in(pages.world.key("fresh", AccessRole.SUBMITTER))
    page = visitor.get("/").text
    assert f"export AUDITOR_SERVER={BASE}" in page
    assert "Ask an admin" in page
    handed_in(pages.world, "fresh", "first")
    assert "AUDITOR_SERVER" not in visitor.get("/").text


def test_the_overview_says_why_a_model_did_not_pass_and_who_is_missing(pages: Pages) -> None:
    handed_in(pages.world, "shut", "ranker", SubmissionState.FAILED)
    visitor = pages.log_in(pages.world.key("shut", AccessRole.VIEWER))
    page = visitor.get("/").text
    assert "&lt;b&gt;it&lt;/b&gt; broke" in page
    assert "Targets without a worker" not in page
    pages.world.engine.alive = frozenset()
    try:
        assert "Targets without a worker" in visitor.get("/").text
    finally:
        pages.world.engine.alive = frozenset({"cpu"})


def test_a_done_audit_shows_its_findings_and_leads_to_its_files(pages: Pages) -> None:
    viewer, done = pages.visit("viewer"), pages.world.done
    page = viewer.get(f"/audits/{done}").text
    assert "It is right often enough" in page
    assert "hx-get" not in page  # nothing more will happen
    report = viewer.get(f"/audits/{done}/report")
    assert "sandbox" in report.headers["content-security-policy"]
    assert "script-src" not in report.headers["content-security-policy"]
    record = viewer.get(f"/audits/{done}/files/record.json")
    assert json.loads(record.text)["verdict"] == "pass"
    listed = Parts(viewer.get(f"/audits/{done}/files").text).found
    linked = [str(a["href"]) for tag, a in listed if tag == "a" and "/files/" in str(a.get("href"))]
    assert len(linked) > 10
    assert all(viewer.get(where).status_code == 200 for where in linked)
    assert viewer.get(f"/audits/{done}/files/../record.json").status_code == 404


def test_two_audits_are_compared_or_it_is_said_why_not(pages: Pages) -> None:
    viewer, done = pages.visit("viewer"), pages.world.done
    page = viewer.get(f"/compare?left={done}&right={done}").text
    assert "Nothing got worse" in page
    assert str(pages.world.place.settings.home) not in page
    running = handed_in(pages.world, "default", "line")
    refused = viewer.get(f"/compare?left={done}&right={running}")
    assert (refused.status_code, "has no record" in refused.text) == (409, True)
    assert viewer.get(f"/compare?left={done}&right=x").status_code == 404


def test_the_live_part_is_sent_when_something_happened(pages: Pages) -> None:
    viewer, name = pages.visit("viewer"), handed_in(pages.world, "default", "live")
    page = viewer.get(f"/audits/{name}").text
    assert f'hx-get="/audits/{name}/live?seen=2"' in page
    assert viewer.get(f"/audits/{name}/live?seen=2").status_code == 204
    said = {"target": "cpu", "check": "quality.accuracy", "done": 3, "total": 9, "note": ""}
    pages.world.service.kept.append(name, "progress", said, "2026-01-01T00:00:02Z")
    part = viewer.get(f"/audits/{name}/live?seen=2")
    assert '<progress max="9" value="3"' in part.text
    assert "<html" not in part.text


def test_progress_is_what_the_history_told_last() -> None:
    def told(number: int, kind: str, **detail: object) -> SubmissionEvent:
        about = {"target": "cpu", "check": "quality.accuracy", **detail}
        return SubmissionEvent(
            submission="s", number=number, at="2026-01-01T00:00:00Z", kind=kind, detail=about,
        )  # fmt: skip

    events = [
        told(1, "running", targets=["cpu"], checks=["quality.accuracy", "no.such"]),
        told(2, "check_started"),
        told(3, "progress", done=1, total=2),
        told(4, "check_ended", seen=False, reason="needs_labels"),
        told(5, "progress", done=2, total=2),
    ]
    first = fold_progress(events[:3], discover_checks()).running
    assert [(line.done, line.total) for line in first] == [(1, 2)]
    whole = fold_progress(events, discover_checks())
    assert [line.stage for line in whole.lines] == [CheckStage.GAP, CheckStage.WAITS]
    assert whole.ended[0].note == "needs labels in the data"


def test_files_of_the_pages_never_change_under_their_address(pages: Pages) -> None:
    nobody = pages.nobody()
    page = Parts(pages.visit("viewer").get("/").text).found
    linked = [a.get("src") or a.get("href") for tag, a in page if tag in {"script", "link"}]
    assert len(linked) == 4
    for where in linked:
        answer = nobody.get(str(where))
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    for where in ("/static/0/site.css", "/static/0/README.md", "/static/0/nothing.js"):
        assert nobody.get(where).status_code == 404


def test_the_vendored_script_is_the_one_that_is_written_down() -> None:
    folder = Path(routing.__file__).parent
    digest = hashlib.sha256((folder / "static" / "htmx.min.js").read_bytes()).hexdigest()
    assert digest in (folder / "README.md").read_text(encoding="utf-8")


def test_nothing_of_a_fault_is_told_on_a_page(pages: Pages, tmp_path: Path) -> None:
    world = pages.world
    lost = replace(world.service, desk=replace(world.service.desk, engine=_Broken()))
    broken = Pages.of(replace(world, service=lost))
    page = broken.visit("viewer").get("/targets")
    assert page.status_code == 500
    assert "secret host" not in page.text
    assert world.log[-2]["event"] == "fault"


class _Broken:
    """An engine that cannot be asked."""

    def submit(self, submission: str) -> None: ...

    def cancel(self, submission: str) -> None: ...

    def live(self, targets: object) -> frozenset[str]:
        raise OSError("secret host does not answer")


def test_every_kind_of_event_has_words_and_every_time_is_written() -> None:
    assert set(TOLD) == KINDS
    assert format_short_time("2026-03-01T12:05:00Z") == "1 Mar 2026, 12:05"
    assert (format_short_time(None), format_short_time("soon")) == ("", "soon")

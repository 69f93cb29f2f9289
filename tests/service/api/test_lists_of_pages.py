"""Lists of the pages: how often they ask the database, what they hold, and how they go on."""

from served_toys import sha
from served_worlds import World, counted
from sqlalchemy import insert
from visited_pages import Pages, Parts, handed_in

from auditor.service.domain.access import AccessRole
from auditor.service.domain.submissions import SubmissionResult, SubmissionState
from auditor.service.store.audit_queries import AuditListQueries, LatestRecordQueries
from auditor.store.tables import RecordRow, RecordTargetRow, RequestRow


def decided(world: World, project: str, model: str, version: str, at: str, verdict: str) -> str:
    """Let an audit come to a record of which only what lists look at is there."""
    name, record = (
        handed_in(world, project, model),
        sha(f"{project} {model} {version} {at}".encode()),
    )
    request = sha(b"a request of a list")
    with world.place.store.transaction() as session:
        if session.get(RequestRow, request) is None:
            session.add(RequestRow(digest=request, body="{}"))
            session.flush()
        session.execute(insert(RecordRow).values(
            digest=record, id=record, request_digest=request, verdict=verdict, assurance="A1",
            model_name=model, model_version=version, policy_digest=request, registered=at,
            finished=at, body=b"{}", bundle=b"{}",
        ))  # fmt: skip
        for target in ("cpu", "npu"):
            session.add(RecordTargetRow(record_digest=record, target=target, identity=None))
    world.service.kept.end(name, SubmissionResult(ended=at, record=record))
    return name


def test_the_database_is_asked_equally_often_however_many_audits_there_are(pages: Pages) -> None:
    world, asked = pages.world, {}
    for project, count in (("few", 2), ("many", 12)):
        for number in range(count):
            state = SubmissionState.RUNNING if number % 2 else SubmissionState.FAILED
            handed_in(world, project, f"model-{number}", state)
        visitor = pages.log_in(world.key(project, AccessRole.VIEWER))
        for path in ("/", "/audits", "/models", "/compare", "/targets"):
            with counted(world) as statements:
                assert visitor.get(path).status_code == 200
            asked[project, path] = len(statements)
    for path in ("/", "/audits", "/models", "/compare", "/targets"):
        assert asked["few", path] == asked["many", path] <= 16, path


def test_lists_go_on_page_by_page_and_are_filtered(pages: Pages) -> None:
    world = pages.world
    names = {handed_in(world, "paged", f"model-{n % 3}", SubmissionState.QUEUED) for n in range(51)}
    broken = handed_in(world, "paged", "model-0", SubmissionState.FAILED)
    visitor = pages.log_in(world.key("paged", AccessRole.VIEWER))
    first = visitor.get("/audits").text
    (older,) = [str(a["href"]) for tag, a in Parts(first).found
                if tag == "a" and "cursor=" in str(a.get("href"))]  # fmt: skip
    whole = first + visitor.get(older).text
    assert all(f'id="a-{name}"' in whole for name in names)
    failed = visitor.get("/audits?state=failed").text
    assert f'id="a-{broken}"' in failed
    assert failed.count('id="a-') == 1
    assert visitor.get("/audits?model=model-1").text.count('id="a-') == 17
    assert "No audit matches the filter" in visitor.get("/audits?verdict=pass").text


def test_a_matrix_holds_the_last_verdict_of_the_last_versions_on_each_target(pages: Pages) -> None:
    world, latest = pages.world, LatestRecordQueries(pages.world.service.kept)
    for day in range(1, 8):
        decided(world, "matrix", "line", f"1.{day}", f"2026-01-{day:02d}T00:00:00Z", "fail")
    again = decided(world, "matrix", "line", "1.7", "2026-01-09T00:00:00Z", "pass")
    decided(world, "another", "line", "9.9", "2026-01-10T00:00:00Z", "pass")
    told = latest.last_of_each("matrix", ["line", "none"], 3)
    on_npu = [(one.version, one.verdict) for one in told if one.target == "npu"]
    assert on_npu == [("1.7", "pass"), ("1.6", "fail"), ("1.5", "fail")]
    assert len(told) == 6
    assert {one.submission for one in latest.last_of_targets("matrix")} == {again}
    assert len(latest.of_model("matrix", "line", 100)) == 16
    page = pages.log_in(world.key("matrix", AccessRole.VIEWER)).get("/models").text
    assert page.count("Pass</span>") == 2
    assert "9.9" not in page


def test_what_did_not_pass_is_the_newest_of_each_model_alone(pages: Pages) -> None:
    world = pages.world
    for model, verdicts in (("mended", ("fail", "pass")), ("broken", ("pass", "inconclusive"))):
        for day, verdict in enumerate(verdicts, 1):
            decided(world, "troubled", model, f"{day}", f"2026-02-{day:02d}T00:00:00Z", verdict)
    stopped = handed_in(world, "troubled", "broken")
    world.service.kept.end(stopped, SubmissionResult(ended="2026-03-01T00:00:00Z"))
    found = AuditListQueries(world.service.kept).troubled("troubled", 50)
    assert [(line.model, line.verdict) for line in found] == [("broken", "inconclusive")]

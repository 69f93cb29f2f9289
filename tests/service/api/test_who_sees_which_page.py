"""Who may open which page: by a session alone, which stands for a key as long as that holds."""

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote

import pytest
from deciding_people import somebody
from fastapi.routing import APIRoute
from served_worlds import World, problem
from visited_pages import BASE, Pages, Visitor

from auditor._time import utc_now
from auditor.service.api.app import list_route_roles
from auditor.service.api.auth import IDLE, LONGEST, MOST_OF_A_KEY, SessionStore
from auditor.service.domain.access import AccessRole, ServiceLimits
from auditor.service.rate_limits import RateLimiter
from auditor.service.web.routing import PageRoute, build_menu, list_page_entries, list_sibling_items

ANY = None
TAKEN = "/decisions/{kind}"
PAGES: Mapping[tuple[str, str], AccessRole | None] = {
    ("GET", "/login"): ANY,
    ("POST", "/login"): ANY,
    ("GET", "/static/{version}/{name}"): ANY,
    ("POST", "/logout"): AccessRole.VIEWER,
    ("GET", "/"): AccessRole.VIEWER,
    ("GET", "/start"): AccessRole.VIEWER,
    ("GET", "/audits"): AccessRole.VIEWER,
    ("GET", "/audits/{audit}"): AccessRole.VIEWER,
    ("GET", "/audits/{audit}/live"): AccessRole.VIEWER,
    ("GET", "/audits/{audit}/cancel"): AccessRole.SUBMITTER,
    ("POST", "/audits/{audit}/cancel"): AccessRole.SUBMITTER,
    ("GET", "/audits/{audit}/files"): AccessRole.VIEWER,
    ("GET", "/audits/{audit}/files/{name:path}"): AccessRole.VIEWER,
    ("GET", "/audits/{audit}/report"): AccessRole.VIEWER,
    ("GET", "/models"): AccessRole.VIEWER,
    ("GET", "/models/{name:path}"): AccessRole.VIEWER,
    ("GET", "/compare"): AccessRole.VIEWER,
    ("GET", "/targets"): AccessRole.VIEWER,
    ("GET", "/keys"): AccessRole.ADMIN,
    ("POST", "/keys"): AccessRole.ADMIN,
    ("GET", "/keys/{key}/end"): AccessRole.ADMIN,
    ("POST", "/keys/{key}/end"): AccessRole.ADMIN,
    ("GET", "/records/{digest}"): AccessRole.VIEWER,
    ("GET", "/records/{digest}/files"): AccessRole.VIEWER,
    ("GET", "/records/{digest}/files/{name:path}"): AccessRole.VIEWER,
    ("GET", "/records/{digest}/report"): AccessRole.VIEWER,
    ("GET", "/decisions"): AccessRole.VIEWER,
    ("GET", "/decisions/{kind}/{digest}"): AccessRole.VIEWER,
    ("POST", "/decisions/{kind}"): AccessRole.APPROVER,
    ("GET", "/decide/{audit}/{kind}"): AccessRole.APPROVER,
    ("POST", "/decide/{audit}/{kind}"): AccessRole.APPROVER,
    ("GET", "/decide/{audit}/label"): AccessRole.APPROVER,
    ("POST", "/decide/{audit}/label"): AccessRole.APPROVER,
    ("GET", "/signing"): AccessRole.APPROVER,
    ("POST", "/signing"): AccessRole.APPROVER,
    ("GET", "/people"): AccessRole.ADMIN,
    ("POST", "/people"): AccessRole.ADMIN,
    ("GET", "/people/{person}/end"): AccessRole.ADMIN,
    ("POST", "/people/{person}/end"): AccessRole.ADMIN,
    ("GET", "/schedules"): AccessRole.VIEWER,
    ("POST", "/schedules"): AccessRole.SUBMITTER,
    ("GET", "/schedules/{schedule}"): AccessRole.VIEWER,
    ("POST", "/schedules/{schedule}/{change}"): AccessRole.SUBMITTER,
    ("GET", "/webhooks"): AccessRole.ADMIN,
    ("POST", "/webhooks"): AccessRole.ADMIN,
    ("GET", "/webhooks/{webhook}"): AccessRole.ADMIN,
    ("POST", "/webhooks/{webhook}/end"): AccessRole.ADMIN,
    ("POST", "/webhooks/{webhook}/messages/{message}/retry"): AccessRole.ADMIN,
    ("GET", "/acts"): AccessRole.ADMIN,
}
"""Every page, and the least role that may open it; ``ANY`` wants no session."""
BEHIND = sorted(page for page, least in PAGES.items() if least is not ANY)


def path_of(world: World, path: str) -> str:
    ending = world.service.kept.outcome(world.done)
    assert ending is not None
    people = world.service.people.people.all("default")
    person = people[0].id if people else somebody(world, "Nora", "finding").id
    filled = path.replace("{audit}", world.done).replace("{key}", world.keys["ended"].split("_")[1])
    name = "record.json" if "/files/" in path else "line"
    filled = filled.replace("{name:path}", name).replace("{change}", "pause")
    for part, value in {
        "digest": str(ending.record), "person": person, "kind": "approval",
        "schedule": world.schedule, "webhook": world.webhook, "message": "msg_" + "0" * 32,
    }.items():  # fmt: skip
        filled = filled.replace(f"{{{part}}}", value)
    return filled


def open_page(visitor: Visitor, verb: str, path: str) -> int:
    """Open a page, or send its form without the fields that it asks for."""
    answer = visitor.get(path) if verb == "GET" else visitor.form(path)
    return answer.status_code


def test_the_table_names_every_page_and_its_least_role(pages: Pages) -> None:
    routes = [route for route in pages.app.routes if isinstance(route, PageRoute)]
    served = {(verb, route.path): route for route in routes for verb in route.methods}
    assert set(served) == set(PAGES)
    for name, least in PAGES.items():
        assert list(list_route_roles(served[name])) == ([] if least is ANY else [least]), name


@pytest.mark.parametrize(("verb", "path"), [page for page in BEHIND if page[1] != "/logout"])
def test_a_page_is_opened_from_its_least_role_on(pages: Pages, verb: str, path: str) -> None:
    least, where = PAGES[verb, path], path_of(pages.world, path)
    assert least is not None
    for role in AccessRole:
        status = open_page(pages.visit(role.value), verb, where)
        assert (status == 403) is not role.may(least), (role, status)
        assert status < 500


@pytest.mark.parametrize("cookie", ["", "x", "A" * 43])
def test_without_a_session_every_page_leads_to_where_one_begins(pages: Pages, cookie: str) -> None:
    nobody = pages.nobody()
    if cookie:
        nobody.client.cookies.set("auditor-session", cookie)
    for verb, path in BEHIND:
        where = path_of(pages.world, path)
        answer = nobody.get(where) if verb == "GET" else nobody.send(where, {"token": "x"})
        assert answer.status_code == 303, (verb, path)
        assert answer.headers["location"].startswith("/login"), (verb, path)
    assert (
        nobody.get("/audits?state=done").headers["location"]
        == "/login?next=%2Faudits%3Fstate%3Ddone"
    )
    asked = nobody.get("/", **{"HX-Request": "true"})
    assert (asked.status_code, asked.headers["hx-redirect"]) == (204, "/login")


@pytest.mark.parametrize("path", ["/nothing", "/nothing/at/all", "/.well-known", "/v2/audits"])
def test_a_browser_is_told_of_an_address_without_a_page_on_a_page(pages: Pages, path: str) -> None:
    asks = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    seen = pages.visit("viewer").get(path, **asks)
    assert seen.status_code == 404
    assert seen.headers["content-type"].startswith("text/html")
    assert "<h1>Page not found</h1>" in seen.text
    assert 'aria-label="Main"' in seen.text
    led = pages.nobody().get(path, **asks)
    assert (led.status_code, led.headers["location"]) == (303, f"/login?next={quote(path, '')}")


def test_who_asks_for_no_page_is_told_as_the_api_tells(pages: Pages) -> None:
    browser, key = {"Accept": "text/html"}, pages.world.keys["viewer"]
    assert problem(pages.visit("viewer").get("/nothing"))["status"] == 401
    for path in ("/v1/nothing", "/v1", "/v1/keys"):
        assert problem(pages.visit("viewer").get(path, **browser))["status"] == 401
    shown = {"Authorization": f"Bearer {key}"}
    assert problem(pages.nobody().get("/nothing", **shown))["status"] == 404
    for path in ("/healthz", "/openapi.json", "/.well-known/auditor-keys"):
        assert pages.nobody().get(path, **browser).status_code == 200


@pytest.mark.parametrize(
    ("verb", "path"),
    [page for page in BEHIND if "{" in page[1] and page[1] not in {"/models/{name:path}", TAKEN}],
)
def test_the_pages_of_another_project_are_not_there(pages: Pages, verb: str, path: str) -> None:
    visitor, where = pages.visit("stranger"), path_of(pages.world, path)
    answer = visitor.get(where) if verb == "GET" else visitor.form(where, reason="not mine")
    assert answer.status_code == 404
    assert "<h1>Not found</h1>" in answer.text


def test_no_list_names_what_another_project_has(pages: Pages) -> None:
    stranger, done = pages.visit("stranger"), pages.world.done
    for path in ("/", "/audits", "/models", "/compare", "/targets", "/keys", "/decisions",
                 "/schedules", "/people", "/webhooks", "/acts"):  # fmt: skip
        page = stranger.get(path)
        assert page.status_code == 200
        assert done not in page.text, path
        assert "of default" not in page.text, path
    assert done in pages.visit("viewer").get("/audits").text
    assert stranger.get("/models/line").status_code == 404
    assert stranger.get(f"/compare?left={done}&right={done}").status_code == 404
    assert stranger.get(f"/audits?cursor={done}").status_code == 422


def test_the_api_takes_no_session_and_the_pages_take_no_key(pages: Pages) -> None:
    visitor, key = pages.visit("admin"), pages.world.keys["admin"]
    for route in pages.app.routes:
        if isinstance(route, APIRoute) and route.path.startswith("/v1") and list_route_roles(route):
            where = path_of(pages.world, route.path)
            for verb in route.methods:
                answer = visitor.client.request(verb, where)
                assert answer.status_code == 401, (verb, where)
    assert problem(visitor.get("/v1/keys"))["type"].endswith("/unauthorized")
    shown = {"Authorization": f"Bearer {key}"}
    assert pages.nobody().get("/keys", **shown).status_code == 303


def test_a_viewer_sees_no_way_to_what_a_viewer_may_not_do(pages: Pages) -> None:
    world = pages.world
    name = world.call("POST", "/v1/audits", json=world.body()).json()["id"]
    try:
        for role, seen in (("viewer", False), ("submitter", True)):
            assert (
                f"/audits/{name}/cancel" in pages.visit(role).get(f"/audits/{name}").text
            ) is seen
        for role, seen in (("viewer", False), ("admin", True)):
            for path in ("/", "/start"):
                assert ('href="/keys' in pages.visit(role).get(path).text) is seen
    finally:
        world.call("POST", f"/v1/audits/{name}/cancel")


def test_a_session_ends_with_its_key_and_at_log_out(pages: Pages) -> None:
    world = pages.world
    text = world.key("default", AccessRole.VIEWER)
    one, other = pages.log_in(text), pages.log_in(text)
    assert one.get("/audits").status_code == 200
    kept = dict(one.client.cookies)
    assert one.form("/logout").headers["location"] == "/login"
    one.client.cookies.update(kept)  # whoever has copied the cookie
    assert one.get("/audits").status_code == 303
    assert other.get("/audits").status_code == 200
    world.service.kept.end_key(text.split("_")[1], utc_now(), "it stood in a log")
    assert other.get("/audits").status_code == 303


@pytest.mark.parametrize("key", ["ended", "expired", "auk_0000000000000000_" + "A" * 43, "x", ""])
def test_a_key_that_does_not_hold_begins_no_session(pages: Pages, key: str) -> None:
    nobody = pages.nobody()
    answer = nobody.send("/login", {"key": pages.world.keys.get(key, key)})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert 'role="alert"' in answer.text
    assert len(key) < 9 or key not in answer.text
    assert "This is not an API key of this service." in answer.text or key in {"ended", "expired"}


def test_logging_in_again_ends_the_session_before(pages: Pages) -> None:
    visitor = pages.log_in("viewer")
    before = dict(visitor.client.cookies)
    assert visitor.send("/login", {"key": pages.world.keys["admin"]}).status_code == 303
    assert visitor.get("/keys").status_code == 200
    old = pages.nobody()
    old.client.cookies.update(before)
    assert old.get("/audits").status_code == 303


@pytest.mark.parametrize("host", ["x/login?", "x/static/", "x/login#", "x\\login"])
def test_no_host_makes_a_page_another_one(pages: Pages, host: str) -> None:
    answer = pages.nobody().get("/audits", Host=host)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=%2Faudits"


def test_a_cookie_goes_where_it_belongs_and_nowhere_else(pages: Pages) -> None:
    text, sent = pages.world.keys["viewer"], {}
    for origin in (BASE, "https://auditor.example.org"):
        headers = {"Origin": origin, "Host": origin.partition("//")[2]}
        sent[origin] = pages.nobody().send("/login", {"key": text}, headers).headers["set-cookie"]
    for said in sent.values():
        assert "HttpOnly" in said
        assert "SameSite=strict" in said
        assert "Path=/" in said
        assert "Domain" not in said
    assert "Secure" not in sent[BASE]
    secure = sent["https://auditor.example.org"]
    assert secure.startswith("__Host-")
    assert "Secure" in secure


def test_wrong_keys_are_slowed_by_address_and_lock_nobody_out_who_shows_a_good_one(
    world: World,
) -> None:
    narrow = RateLimiter(replace(ServiceLimits(), reads=3, writes=3, failures=2))
    pages = Pages.of(replace(world, service=replace(world.service, rationing=narrow)))
    nobody = pages.nobody()
    told = [nobody.send("/login", {"key": "x"}).status_code for _ in range(6)]
    assert told == [401] * 2 + [429] * 4
    for _ in range(4):
        assert pages.nobody().get("/login").status_code == 200
        assert pages.nobody().send("/login", {"key": world.keys["viewer"]}).status_code == 303


def test_a_session_ends_by_itself_unused_or_old() -> None:
    at = [0.0]
    sessions = SessionStore(lambda: at[0])
    unused, used = (sessions.begin("k", BASE)[0] for _ in range(2))
    for step in range(1, int(LONGEST / IDLE) * 2):
        at[0] = step * IDLE / 2
        assert sessions.find(used) is not None
    assert sessions.find(unused) is None
    at[0] = LONGEST
    assert sessions.find(used) is None


def test_a_key_has_so_many_sessions_and_the_oldest_gives_way() -> None:
    sessions = SessionStore()
    named = [sessions.begin("k", BASE)[0] for _ in range(MOST_OF_A_KEY + 1)]
    other = sessions.begin("another", BASE)[0]
    assert sessions.find(named[0]) is None
    assert all(sessions.find(name) for name in (*named[1:], other))


def test_every_part_of_the_pages_is_found_and_the_menu_has_its_order() -> None:
    titles = [entry.title for entry in list_page_entries() if entry.title]
    assert titles == [
        "Overview", "Audits", "Models", "Compare", "Targets", "Schedules", "Decisions", "Submit",
        "API keys", "People", "Webhooks", "Audit log",
    ]  # fmt: skip
    for role, last in ((AccessRole.VIEWER, "Submit"), (AccessRole.ADMIN, "Admin")):
        assert build_menu(role)[-1].title == last
        assert [it.title for it in list_sibling_items(role, "/keys")] == titles[-4:] * (
            role is AccessRole.ADMIN
        )
    assert list_sibling_items(AccessRole.ADMIN, "/audits") == ()

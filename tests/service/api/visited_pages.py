"""People at a browser, as tests of the pages need them: logged in, and sending forms."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx
from fastapi import FastAPI
from served_toys import sha
from served_worlds import World
from starlette.testclient import TestClient

from auditor.service.domain.submissions import (
    AuditOrder,
    Submission,
    SubmissionFailure,
    SubmissionResult,
    SubmissionState,
)
from auditor.service.web.site import build_site

BASE = "http://127.0.0.1:8400"
OURS = {"Origin": BASE}
TOKEN = re.compile(r'name="token" value="([^"]+)"')


@dataclass
class Visitor:
    """Somebody at a browser with a session."""

    client: TestClient
    known: str = ""

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.client.get(path, headers=headers, follow_redirects=False)

    def token(self) -> str:
        """What the forms of the session show, as a page has it."""
        if not self.known:
            found = TOKEN.search(self.get("/start").text)
            assert found is not None
            self.known = found[1]
        return self.known

    def send(
        self, path: str, fields: Mapping[str, str], headers: Mapping[str, str] = OURS
    ) -> httpx.Response:
        return self.client.post(path, data=dict(fields), headers=headers, follow_redirects=False)

    def form(self, path: str, **fields: str) -> httpx.Response:
        """Send a form as the page has it."""
        return self.send(path, {"token": self.token(), **fields})


@dataclass
class Pages:
    """The pages of a service, and visitors with each role."""

    world: World
    app: FastAPI
    visitors: dict[str, Visitor] = field(default_factory=dict)

    @classmethod
    def of(cls, world: World) -> "Pages":
        return cls(world, build_site(world.service))

    def nobody(self) -> Visitor:
        """Return a browser without a session."""
        return Visitor(TestClient(self.app, base_url=BASE, client=("127.0.0.1", 50001)))

    def log_in(self, key: str, headers: Mapping[str, str] = OURS) -> Visitor:
        visitor = self.nobody()
        answer = visitor.send("/login", {"key": self.world.keys.get(key, key)}, headers)
        assert answer.status_code == 303, answer.text
        return visitor

    def visit(self, key: str) -> Visitor:
        """Return the one visitor of a key, who logs in once."""
        if key not in self.visitors:
            self.visitors[key] = self.log_in(key)
        return self.visitors[key]


class Parts(HTMLParser):
    """Every element of a page with its attributes, and the text of its scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inline: list[str] = []
        self._within = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._within = tag

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within in {"script", "style"}:
            self.inline.append(data)


def handed_in(
    world: World, project: str, model: str, state: SubmissionState = SubmissionState.RUNNING
) -> str:
    """Keep an audit of a model of any name, as far as it is to be."""
    kept = world.service.kept
    kept.add_project(project, "2026-01-01T00:00:00Z")
    name = f"sub-{secrets.token_hex(12)}"
    wanted = Submission(
        id=name,
        project=project,
        submitter="0" * 16,
        submitted="2026-01-01T00:00:00Z",
        order=AuditOrder(
            audit_file=sha(b"a"),
            source="audit.yaml",
            inputs=(),
            policy=sha(b"p"),
            targets=("cpu", "<b>npu</b>"),
        ),
    )
    kept.submit(wanted, None, model=model)
    if state is SubmissionState.RUNNING:
        detail = {"targets": ["cpu"], "checks": ["quality.accuracy"]}
        kept.append(name, SubmissionState.RUNNING, detail, "2026-01-01T00:00:01Z")
    if state is SubmissionState.FAILED:
        failure = SubmissionFailure(problem="<b>it</b> broke", cure="Mend `it`.")
        kept.end(name, SubmissionResult(ended="2026-01-01T00:00:02Z", failure=failure))
    return name

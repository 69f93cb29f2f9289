"""What tests of the API ask a service by, and how they read its problems."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from served_toys import StillEngine, body_of, files_of, sha
from sqlalchemy import event
from starlette.testclient import TestClient

from auditor._time import utc_now
from auditor.domain.json import Json
from auditor.domain.policies import Policy
from auditor.service.api.context import ServiceContext
from auditor.service.auth.api_keys import create_api_key
from auditor.service.domain.access import AccessRole
from auditor.workflows.workspace import Workspace


@dataclass
class World:
    """A service that runs, with whatever a test asks of it."""

    place: Workspace
    service: ServiceContext
    engine: StillEngine
    app: FastAPI
    client: TestClient
    example: Path
    policy: Policy
    log: list[Mapping[str, Json]]
    keys: dict[str, str] = field(default_factory=dict)
    done: str = ""
    schedule: str = ""
    webhook: str = ""

    def key(self, project: str, role: AccessRole, expires: str | None = None) -> str:
        """Return the text of a fresh key in a project, which is made where it is not there."""
        self.service.kept.add_project(project, utc_now())
        made = create_api_key(project, role, f"{role} of {project}", utc_now(), expires)
        self.service.kept.add_key(made.key)
        return made.text

    def call(self, method: str, path: str, key: str = "submitter", **more: Any) -> httpx.Response:  # noqa: ANN401 -- httpx's
        """Call with one of the keys of ``keys``, or with a key's text."""
        headers = {"Authorization": f"Bearer {self.keys.get(key, key)}", **more.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **more)

    def upload(self, raw: bytes, kind: str = "datasets", key: str = "submitter") -> str:
        """Upload bytes and return their digest."""
        answer = self.call("PUT", f"/v1/{kind}/{sha(raw)}", key, content=raw)
        assert answer.status_code in {200, 201}, answer.text
        return sha(raw)

    def upload_example(self, key: str = "submitter") -> None:
        for kind, raw in files_of(self.example, self.policy).values():
            self.upload(raw, kind, key)

    def body(self, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
        return body_of(self.example, self.policy, **changes)


def problem(answer: httpx.Response) -> Mapping[str, Any]:
    """Return a problem, which has the form that every problem has."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    found: Mapping[str, Any] = json.loads(answer.text)
    assert {"type", "title", "status", "detail", "cure", "instance"} <= set(found)
    assert found["status"] == answer.status_code
    return found


@contextmanager
def counted(world: World) -> Iterator[list[str]]:
    """Count what the database is asked."""
    asked: list[str] = []
    engine = world.place.store.engine

    def note(*arguments: object) -> None:
        asked.append(str(arguments[2]))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(engine, "before_cursor_execute", note)

"""Whatever one project does, every answer to another is the same, byte for byte."""

import base64
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from deciding_people import observed, somebody, waiver_of
from opened_worlds import opened
from served_toys import sha
from served_worlds import World

from auditor.domain.json import encode_canonical

pytestmark = pytest.mark.slow
MINE, THEIRS = "submitter", "stranger"
CHECKS = ["quality.accuracy", "provenance.signature"]
GONE = {"name": "agreement", "on": ["batch"], "batch_role": "evaluation"}
DRAWN = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z|[0-9a-f]{12,}|[A-Za-z0-9+/=_-]{40,}"
    r'|"(?:seconds|size|stolen_seconds|throttled|temperature_millidegrees)": ?[^,}]+'
    r"|\d{1,2} [A-Z][a-z]+ \d{4}(?:, \d\d:\d\d UTC)?"
    r"|<dt>(?:load average|stolen seconds|throttled)</dt><dd>[^<]*"
    r'|"load_average": ?\[[^]]*]'
)
"""What is drawn or read from a clock anew in every service."""
SHARED = ("/v1/ledger", "/healthz", "/readyz", "/metrics", "/.well-known", "/openapi.json")
"""What anybody may read of the one ledger and of the machine that all share."""


def told_alike(text: str) -> str:
    """Leave out what is drawn or timed, and the order of parts, which may follow from that."""

    def named(found: re.Match[str]) -> str:
        word = found.group()
        return re.split(":|</dt>", word)[0] if word.startswith(('"', "<dt>")) else "#"

    return "\n".join(sorted(re.split(r"[][{},\n]|(?=<tr>)", DRAWN.sub(named, text))))


def other_bytes(world: World, mark: int) -> bytes:
    """Return the example's model with a note in it: other bytes that answer alike."""
    return (world.example / "model.onnx").read_bytes() + b"2\x02" + f"{mark % 100:02}".encode()


class Asked:
    """The same calls of one project, round after round, and what was answered."""

    def __init__(self, world: World) -> None:
        self.world, self.answers = world, dict[str, str]()
        self.paths = [
            route.path
            for route in world.app.routes
            if "GET" in getattr(route, "methods", ()) and route.path.startswith("/v1/")
            and not route.path.startswith(SHARED)
        ]  # fmt: skip

    def note(self, name: str, answer: object) -> None:
        assert name not in self.answers
        self.answers[name] = told_alike(str(answer))

    def round(self, number: int) -> None:
        world = self.world
        world.upload_example()
        body = world.body(only=CHECKS)
        if number == 1:
            body["inputs"] = inputs_with(world, world.upload(other_bytes(world, 1), "artifacts"))
        once = {"Idempotency-Key": f"round-{number}"}
        asked = world.call("POST", "/v1/audits", json=body, headers=once)
        self.note(f"{number} POST /v1/audits", asked.text)
        audit = asked.json()["id"]
        observed(world, audit).conclude(audit)
        for path in self.paths:
            filled = path.replace("{audit}", audit).replace("{model:path}", "line")
            if "{" not in filled and not filled.endswith("/evidence"):
                answer = world.call("GET", filled, "admin")
                told = shown(answer.content)
                self.note(f"{number} GET {path}", f"{answer.status_code} {told}")
        record = json.loads(world.call("GET", f"/v1/audits/{audit}/record").content)
        artifact = record["request"]["artifact"]["digest"]
        asks = {"artifact": artifact, "policy": record["request"]["policy"]["digest"]}
        gate = world.call("GET", "/v1/gate", "viewer", params={**asks, "target": "cpu"})
        self.note(f"{number} GET /v1/gate?", gate.text)
        for name in ("summary.md", "report.html", "findings.sarif"):
            answer = world.call("GET", f"/v1/audits/{audit}/files/{name}")
            self.note(f"{number} {name}", f"{answer.status_code} {answer.text}")


def shown(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return base64.b64encode(raw).decode()


def inputs_with(world: World, model: str) -> list[Mapping[str, object]]:
    """Return the example's inputs with another uploaded model."""
    inputs = world.body()["inputs"]
    raw = world.place.store.blobs.get(model)
    changed = {"size": len(raw), "sha256": model.removeprefix("sha256:")}
    return [{**it, **changed} if it["name"] == "model.onnx" else it for it in inputs]


class Neighbour:
    """A project that does what it may, over and over, with what is like another's."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.random, self.count = world, random.Random(seed), 0  # noqa: S311 -- no secret
        self.deeds: list[Callable[[], object]] = [
            self.ask_the_same, self.ask_with_other_bytes, self.ask_by_other_words,
            self.ask_by_a_long_name, self.keep_rows, self.plan_again, self.hear, self.give_leave,
            self.come_and_go,
        ]  # fmt: skip

    def act(self) -> None:
        for deed in self.random.sample(self.deeds, 3):
            self.count += 1
            deed()

    def carried_out(self, once: str | None = None, **changes: object) -> None:
        """Have an audit carried out, unless rows that it names are sealed by now."""
        headers = {} if once is None else {"Idempotency-Key": once}
        body = self.world.body(**changes)
        asked = self.world.call("POST", "/v1/audits", THEIRS, json=body, headers=headers)
        if asked.status_code != 422:
            assert asked.status_code in {200, 201}, asked.text
            name = str(asked.json()["id"])
            observed(self.world, name).conclude(name)

    def ask_the_same(self) -> None:
        self.world.upload_example(THEIRS)
        self.carried_out(f"round-{self.random.randrange(3)}", only=CHECKS)

    def ask_with_other_bytes(self) -> None:
        self.world.upload_example(THEIRS)
        raw = other_bytes(self.world, self.count % 3)
        model = self.world.upload(raw, "artifacts", THEIRS)
        self.carried_out(inputs=inputs_with(self.world, model), only=CHECKS)

    def ask_by_other_words(self) -> None:
        self.world.upload_example(THEIRS)
        document = {**self.world.policy.document}
        rules = [dict(it) for it in document["rules"]]  # type: ignore[union-attr,call-overload,arg-type]
        rules[0]["at_least"] = 0.5 + self.count / 1000
        raw = encode_canonical({**document, "rules": rules})
        self.carried_out(policy=self.world.upload(raw, "datasets", THEIRS))

    def ask_by_a_long_name(self) -> None:
        self.world.upload_example(THEIRS)
        raw = (self.world.example / "audit.yaml").read_bytes()
        long = raw.replace(b"name: line", b"name: " + b"l" * 100_000)
        self.carried_out(audit_file=self.world.upload(long, "datasets", THEIRS))

    def keep_rows(self) -> None:
        self.world.upload_example(THEIRS)
        rows = sha((self.world.example / "test.csv").read_bytes())
        self.told("/v1/sealed-sets", {"name": f"set-{self.count}", "digest": rows,
                                      "role": "evaluation", "file": "test.csv"})  # fmt: skip

    def plan_again(self) -> None:
        listed = self.world.call("GET", "/v1/audits", THEIRS).json()["audits"]
        if listed:
            self.told("/v1/schedules", {**GONE, "name": f"s{self.count}",
                                        "same_as": listed[0]["id"]})  # fmt: skip

    def hear(self) -> None:
        url = f"https://hooks.example.org/{self.count}"
        self.told("/v1/webhooks", {"url": url, "events": ["key.ended", "audit.done"]})

    def give_leave(self) -> None:
        anna = somebody(self.world, f"Anna {self.count}", "waiver", "approval", key=THEIRS)
        anna.waive(waiver_of(self.world, self.world.policy, anna))

    def come_and_go(self) -> None:
        made = self.told("/v1/keys", {"name": "a key", "role": "viewer"}).json()
        self.told(f"/v1/keys/{made['key']['id']}/end", {"reason": "it went"})

    def told(self, path: str, body: Mapping[str, object]) -> httpx.Response:
        answer = self.world.call("POST", path, THEIRS, json=body)
        assert answer.status_code in {200, 201, 204, 409}, answer.text
        return answer


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """Return what a project is answered where no other does anything."""
    with opened(tmp_path_factory.mktemp("alone")) as world:
        asked = Asked(world)
        for number in range(2):
            asked.round(number)
        yield asked.answers


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_another_project_does_every_answer_is_the_same(
    tmp_path: Path, alone: Mapping[str, str], seed: int
) -> None:
    with opened(tmp_path) as world:
        asked, neighbour = Asked(world), Neighbour(world, seed)
        for number in range(2):
            neighbour.act()
            asked.round(number)
    assert len(asked.answers) > 40
    assert asked.answers.keys() == alone.keys()
    differ = {
        it: apart(alone[it], asked.answers[it]) for it in alone if alone[it] != asked.answers[it]
    }
    assert not differ, list(differ)


def apart(one: str, other: str) -> tuple[str, str]:
    """Return where two answers begin to differ."""
    at = next((it for it, pair in enumerate(zip(one, other, strict=False)) if len({*pair}) > 1), 0)
    return one[max(0, at - 90) : at + 30], other[max(0, at - 90) : at + 30]

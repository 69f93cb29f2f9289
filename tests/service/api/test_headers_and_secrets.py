"""What every answer carries, whatever it answers, and what no log holds, whatever was sent."""

import json
import time
from pathlib import Path

import pytest
from served_toys import sha
from served_worlds import World
from test_admission import ROUTES, path_of
from test_the_serve_command import start
from token_makers import Provider

from auditor.service.api.access_log import SECURE


def test_every_route_answers_with_secure_headers_whoever_asks(world: World) -> None:
    for verb, path in ROUTES:
        for caller in ("viewer", "admin", "stranger", "nobody"):
            answer = world.call(verb, path_of(world, path), caller)
            where = (verb, path, caller, answer.status_code)
            assert set(SECURE) <= {name.title() for name in answer.headers}, where
            assert answer.headers["x-content-type-options"] == "nosniff", where
            assert answer.headers["referrer-policy"] == "no-referrer", where
            assert answer.headers["x-frame-options"] == "DENY", where
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy, where
            assert "script-src" not in policy, where
            kept = answer.headers["cache-control"]
            open_to_all = path.startswith("/v1/ledger") and answer.status_code == 200
            assert open_to_all or kept in {"no-store", "private, no-cache"}, where


@pytest.mark.slow
def test_the_whole_log_of_a_service_holds_no_secret_that_was_sent(tmp_path: Path) -> None:
    provider = Provider(tmp_path)
    token = provider.token(iat=time.time() - 5, nbf=time.time() - 5, exp=time.time() + 600)
    other = provider.token(exp=1.0)
    one = start(tmp_path / "home", tmp_path, "--oidc", str(provider.write()))
    client, hidden = one.client, "hunter2-in-the-open"
    try:
        admin = str(client.headers["authorization"]).removeprefix("Bearer ")
        asked = {"name": "for the log", "role": "submitter"}
        made = client.post("/v1/keys", json=asked).json()["text"]
        wrong = made[:-1] + ("A" if made[-1] != "A" else "B")
        codes = []
        calls = (("GET", "/v1/targets"), ("GET", "/v1/nothing"), ("POST", "/v1/audits"),
                 ("PUT", f"/v1/datasets/{sha(hidden.encode())}"))  # fmt: skip
        for key in (admin, made, wrong, token, other, hidden, f"auk_{hidden}"):
            for verb, path in calls:
                answer = client.request(
                    verb, f"{path}?key={hidden}", content=hidden.encode() + b"?",
                    headers={"Authorization": f"Bearer {key}", "Cookie": f"session={hidden}",
                             "Idempotency-Key": hidden, "Upload-Name": hidden, "User-Agent": hidden,
                             "Referer": f"https://{hidden}/", "X-Api-Key": hidden})  # fmt: skip
                codes.append(answer.status_code)
        client.get(f"/{hidden}", headers={"Authorization": f"Basic {hidden}"})
        client.post("/v1/keys", content=json.dumps({"name": hidden * 99, "role": hidden}))
    finally:
        one.stop()
        client.close()
    log = one.log.read_text()
    assert {200, 401, 404, 422} <= set(codes)
    assert log.count('"event": "call"') >= len(codes)
    assert '"caller": "oidc-' in log
    for secret in (hidden, token.split(".")[2], token.split(".")[1], other.split(".")[2],
                   *(key.split("_", 2)[2] for key in (admin, made, wrong))):  # fmt: skip
        assert secret not in log
    assert provider.claims()["sub"] not in log

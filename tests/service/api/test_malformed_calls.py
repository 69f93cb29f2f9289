"""Whatever is sent, by whomever: a caller's mistake is never answered as a fault of the service."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from fastapi.routing import APIRoute
from hypothesis import given, settings
from hypothesis import strategies as st
from served_worlds import World, problem

WORDS = st.sampled_from(
    ["", "..", "\0", "%", "sha256:" + "0" * 64, "sub-" + "0" * 24, "-1", "9" * 30, "a" * 5000, "'"]
)
TEXTS = st.one_of(WORDS, st.text(max_size=20))
LATIN = st.text(st.characters(max_codepoint=0xFF, exclude_characters="\r\n\0"), max_size=20)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)
FIELDS = ("audit_file", "source", "inputs", "policy", "targets", "budget", "only", "places", "name",
          "role", "expires", "reason", "wait_for_target")  # fmt: skip
HEADERS = ("Upload-Offset", "Upload-Length", "Upload-Name", "Idempotency-Key", "Last-Event-ID",
           "If-None-Match", "Accept", "Content-Type", "Range")  # fmt: skip
QUERIES = ("limit", "cursor", "state", "model", "artifact", "policy", "target", "max_age", "after")
CALLERS = st.sampled_from(["viewer", "submitter", "approver", "admin", "stranger", "nobody"])


@st.composite
def calls(draw: st.DrawFn) -> Mapping[str, Any]:
    """Draw a call that is wrong somewhere, or everywhere."""
    body = draw(st.one_of(
        st.just({}),
        st.fixed_dictionaries({"content": st.binary(max_size=40)}),
        st.fixed_dictionaries({"json": st.dictionaries(st.sampled_from(FIELDS), JSON)}),
    ))  # fmt: skip
    if "json" in body:
        body = {
            "content": json.dumps(body["json"]).encode(),
            "headers": {"Content-Type": "application/json"},
        }
    headers = draw(st.dictionaries(st.sampled_from(HEADERS), LATIN, max_size=3))
    told = {name: said.encode("latin-1") for name, said in headers.items()}
    return {
        **body,
        "headers": {**told, **body.get("headers", {})},
        "params": draw(st.dictionaries(st.sampled_from(QUERIES), TEXTS, max_size=3)),
    }


@given(data=st.data(), call=calls(), caller=CALLERS)
@settings(max_examples=300)
def test_a_malformed_call_is_the_callers_mistake(
    world: World, data: st.DataObject, call: Mapping[str, Any], caller: str
) -> None:
    routes = [route for route in world.app.routes if isinstance(route, APIRoute)]
    route = data.draw(st.sampled_from(routes))
    path = route.path.replace(":path", "")
    real = {"audit": world.done, "digest": "sha256:" + "0" * 64, "name": "record.json"}
    for name in route.param_convertors:
        said = data.draw(st.one_of(TEXTS, st.just(real.get(name, "x"))))
        path = path.replace(f"{{{name}}}", quote(said, safe=""))
    verb = data.draw(st.sampled_from(sorted(route.methods)))
    answer = world.call(verb, path, caller, **call)
    assert answer.status_code < 500, (verb, path, call, answer.text)
    if answer.status_code >= 400 and verb != "HEAD" and "Range" not in call["headers"]:
        problem(answer)

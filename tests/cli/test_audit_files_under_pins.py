"""Under a policy that pins what it can, an audit file is judged as pinned, or opens no gate.

Every setting that an audit file may have is given many values, alone and together. What then comes
out is refused with its place named, breaks a pin, or gives checks and rules all that they had: but
for what is ``FREE``.
"""

import copy
import dataclasses
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, get_args

import numpy as np
import pytest
import yaml
from pydantic import BaseModel
from test_nothing_else_opens_a_gate import differences

from auditor.domain.json import compute_digest, encode_canonical
from auditor.domain.policies import Policy
from auditor.errors import AuditorError
from auditor.inputs.auditfile.schema import AuditFileSchema
from auditor.policy.evaluate.pin_violations import find_pin_violations
from auditor.workflows.prepare import (
    PreparedAudit,
    Resolvers,
    conceal_rows,
    prepare_audit,
    read_overridden_audit_file,
)
from auditor.workflows.wiring import build_path_resolver, build_resolvers

Command = Callable[..., Any]
Place = tuple[str, ...]
Changes = list[tuple[Place, Any]]
FEW, MANY, TRIED = 120, 2000, 12
"""How many audit files the fast test tries, how many the long one, and how many are audited."""
AUDIT = """\
apiVersion: auditor/v1
kind: Audit
model: {name: line, version: 1.0.0, artifact: model.onnx, key: one.pub, signature: model.sig,
        parent: parent.onnx, tags: [high-risk]}
task: {kind: classification, classes: ["no", "yes"], positive: "yes", threshold: 0.4}
input: {domain: [0.0, 1.0]}
targets: [cpu]
data:
  evaluation: &rows
    {path: test.csv, labels: y, id: id, groups: [town], slices: [sex, number, z, said],
     cluster: person, time: happened, as_of: known}
  training: {<<: *rows, path: train.csv}
claims: {accuracy: 0.6}
population: {town: {north: 0.5, south: 0.5}}
policy: policy.yaml
budget: smoke
seed: 3
"""
FILES = (
    "test.csv", "train.csv", "other.csv", "model.onnx", "parent.onnx", "one.pub", "two.pub",
    "model.sig", "lax.yaml",
)  # fmt: skip
COLUMNS = ("id", "number", "a", "c", "town", "sex", "person", "happened", "known", "said", "y", "z")
VALUES: tuple[Any, ...] = (
    *FILES, *COLUMNS, *([name] for name in COLUMNS), None, True, False, 0, 3, 0.2, 0.4, 1.5, "yes",
    "no", ["no", "yes"], ["yes", "no"], [0, 1], [0, 2], ["sex", "a", "z", "said"], ["town", "sex"],
    {"yes": {"no": 5}}, {"town": {"north": 0.9, "south": 0.1}}, {"accuracy": 0.1}, {}, [],
    "auto", "none", "adjoint", "logits", "probabilities", "classification", "regression", "1.0.0",
    "smoke", "full", "cpu", ["cpu", "cpu-2"], "rows", "last", "policy.yaml", "baseline",
    ["not-about-people"], [{"name": "cpu", "threads": 2}], {"name": "cpu", "threads": 2},
)  # fmt: skip
FREE: Mapping[str, str] = {
    "/request/artifact/name": "what the model is called; a rule may ask for it, and then believes",
    "/request/artifact/version": "the same",
    "/materials/artifact/name": "the same",
    "/materials/artifact/version": "the same",
    "/materials/parent": "another version has another parent",
    "/request/parent": "the same",
    "/request/generator": "as good as the attacks that it serves; another model has another",
    "/materials/generator": "the same",
    "/request/claims": "limits on claims ask for the owner's word, and reports say what it was",
    "/materials/claims": "the same",
    "/request/seed": "require_sealed asks who drew it",
    "/materials/seed": "the same",
    "/request/budget": "least_budget asks for it; more of it is allowed",
    "/materials/budget": "the same",
    "/request/target_specs": "a gate asks for a target's name, identity and level",
    "/request/targets": "the same",
    "/request/show_examples": "what the report shows",
    "/materials/show_examples": "the same",
    "/request/datasets": "evaluation data are pinned; those of other roles change with the model",
    "/materials/datasets/training": "the same",
    "/materials/datasets/reference": "the same",
    "/materials/datasets/production": "the same",
    "/materials/signature/bundle": "it is verified by the key that is pinned",
    "/materials/signature/measured": "the same",
    "/materials/supply": "what came with the model",
    "/request/documents": "the same",
}
"""What an audit file may say freely under pins, and why: by where it stands in what is given."""


class End(Enum):
    """What comes of an audit file: an error, a gate that stays shut, or one that rules may open."""

    REFUSED = "refused"
    SHUT = "shut"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Pinned:
    """An audit file whose policy pins all that it declares, and what is given by it."""

    folder: Path
    policy: Policy
    parts: Resolvers
    true: Mapping[str, Any]

    def prepared(self, document: object) -> tuple[PreparedAudit, Any]:
        """Read an audit file as ``audit`` does, and return what checks and rules are given."""
        raw = yaml.safe_dump(document, sort_keys=False).encode()
        asked = read_overridden_audit_file(raw, "audit.yaml", self.parts)
        locate = build_path_resolver(self.folder / "audit.yaml")
        with prepare_audit(asked, locate, self.parts) as read:
            found = read if asked.disclosure is None else conceal_rows(read, bytes(32))[0]
            return found, given(found)

    def judged(self, document: object) -> tuple[End, list[str]]:
        """Return what comes of an audit file, and where what is given then is not what it was."""
        refused = None
        try:
            found, told = self.prepared(document)
        except AuditorError as error:
            refused = error.problem
        if refused is not None:
            assert any(name in refused for name in ("audit.yaml", *FILES, "policy")), refused
            return End.REFUSED, []
        request, true = found.request, self.true["request"]
        if (
            (request.artifact is None or request.artifact.digest != true["artifact"]["digest"])
            or request.policy.digest != self.policy.digest
            or "cpu" not in {it.name for it in request.targets}
            or not request.budget.covers(self.policy.least_budget)
            or any(find_pin_violations(self.policy.pins, request))
        ):
            return End.SHUT, []
        return End.OPEN, differences(self.true, told)


def given(prepared: PreparedAudit) -> dict[str, Any]:
    """Return all that checks and rules are given, but for the bytes and names of its files."""
    request = prepared.request.to_json()
    for name in ("audit_file", "inputs", "declared", "policy"):
        request.pop(name, None)
    return {"request": request, "materials": plain(prepared.materials)}


def plain(value: Any) -> Any:  # noqa: ANN401 -- whatever an audit is given
    """Return a value as JSON that is equal where the values are."""
    if isinstance(value, np.ndarray):
        return [
            str(value.dtype),
            list(value.shape),
            compute_digest(np.ascontiguousarray(value).tobytes()),
        ]
    if isinstance(value, bytes):
        return compute_digest(value)
    if isinstance(value, Path):
        return value.name if value.is_file() else "a folder"
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if dataclasses.is_dataclass(value):
        names = [it.name for it in dataclasses.fields(value)]
        return {name: plain(getattr(value, name)) for name in names}
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


@cache
def settings(shape: type[BaseModel] = AuditFileSchema, at: Place = ()) -> tuple[Place, ...]:
    """Return where each setting of an audit file stands."""
    found: list[Place] = []
    for name, field in shape.model_fields.items():
        place = (*at, field.alias or name)
        kinds = (field.annotation, *get_args(field.annotation))
        inner = [it for it in kinds if isinstance(it, type) and issubclass(it, BaseModel)]
        found += [place, *(deep for it in inner for deep in settings(it, place))]
    return tuple(found)


def changed(document: Any, place: Place, value: Any) -> Any:  # noqa: ANN401 -- any YAML
    """Return an audit file in which one setting is another."""
    found = copy.deepcopy(document)
    *above, last = place
    holder = found
    for name in above:
        if not isinstance(holder.get(name), dict):
            holder[name] = {}
        holder = holder[name]
    holder[last] = copy.deepcopy(value)
    return found


@pytest.fixture
def pinned(auditor: Command, inside: Path) -> Pinned:
    """The example with columns and files of every kind, and a policy that pins what it declares."""
    for seed, name in enumerate(("test.csv", "train.csv", "other.csv")):
        (inside / name).write_text(rows(seed))
    (inside / "parent.onnx").write_bytes((inside / "model.onnx").read_bytes())
    for name in ("one", "two"):
        assert auditor("keys", "new", "--home", name).code == 0
        (inside / f"{name}.pub").write_bytes((inside / name / "signer.pub").read_bytes())
    sign = ("sign", "model.onnx", "--key", "one/signer.key", "--out", "model.sig")
    assert auditor(*sign).code == 0
    (inside / "audit.yaml").write_text(AUDIT)
    written = (inside / "policy.yaml").read_text()
    (inside / "lax.yaml").write_text(written.replace("0.6", "0.1").replace("tiny", "lax"))
    parts, document = build_resolvers(inside), yaml.safe_load(AUDIT)

    def under(true: Mapping[str, Any], **pins: object) -> Pinned:
        told = yaml.safe_load(written)
        told["metadata"]["pins"] = pins
        (inside / "policy.yaml").write_text(yaml.safe_dump(told))
        return Pinned(inside, parts.load_policy("policy.yaml"), parts, true)

    request = under({}, settings={}).prepared(document)[0].request
    data, said = request.datasets[0], request.declared or {}
    pins = {"evaluation": [data.digest], "least_rows": data.rows, "settings": dict(said)}
    found = under(under({}, **pins).prepared(document)[1], **pins)
    assert found.judged(document) == (End.OPEN, [])
    return found


def rows(seed: int) -> str:
    """Return a table of which three columns are inputs; ``number`` and ``z`` could be taken too."""
    random = np.random.default_rng(seed)
    inputs = random.uniform(size=(240, 3)).round(4)
    truth = 6 * inputs[:, 0] + 4 * inputs[:, 1] - 5 + random.normal(0, 1, 240) > 0
    lines = ["id,number,a,b,c,town,sex,person,happened,known,said,y,z"]
    for at, (values, label) in enumerate(zip(inputs.tolist(), truth.tolist(), strict=True)):
        said, other = ("yes", "no") if label else ("no", "yes")
        people = f"{('north', 'south')[at % 2]},{('f', 'm')[at % 3 % 2]},p{at // 2}"
        numbers = ",".join(map(str, values))
        lines.append(f"r{at},{(at + 1) / 1000},{numbers},{people},2021,2020,{other},{said},{other}")
    return "\n".join(lines) + "\n"


def mixed(document: object, random: Random, each: Changes) -> Iterator[object]:
    """Yield audit files in which one to four settings are others, without end."""
    while True:
        found = document
        for _ in range(random.choice([1, 1, 2, 2, 3, 4])):
            found = changed(found, *random.choice(each))
        yield found


def likely(document: object) -> Changes:
    """Return changes to settings that stand in an audit file, for values of the same kind."""
    found = []
    for place in settings():
        true = document
        for name in place:
            true = true.get(name) if isinstance(true, dict) else None
        found += [(place, it) for it in VALUES if kind(it) == kind(true) and it != true]
    return found


def kind(value: object) -> object:
    """Return what tells values apart that may stand in one another's place."""
    named = [kinds for kinds in (FILES, COLUMNS) if value in kinds]
    return (type(value), *named, isinstance(value, list) and [kind(it) for it in value[:1]])


def try_file(pinned: Pinned, tried: object) -> End:
    """Hold an audit file against what is given by the pinned one, and return what comes of it."""
    end, moved = pinned.judged(tried)
    assert free(moved), (moved, tried)
    return end


def free(places: list[str]) -> bool:
    """Whether all that is given otherwise is free to be said."""
    return all(it.startswith(tuple(FREE)) for it in places)


def test_a_changed_audit_file_is_judged_as_pinned_or_opens_no_gate(pinned: Pinned) -> None:
    document, random = yaml.safe_load(AUDIT), Random("a few")  # noqa: S311 -- no secret
    files = islice(mixed(document, random, likely(document)), FEW)
    ends = Counter(try_file(pinned, it) for it in files)
    assert min(ends[it] for it in End) > 5, ends


@pytest.mark.slow
@pytest.mark.long
def test_ten_thousand_audit_files_are_judged_as_pinned_or_open_no_gate(pinned: Pinned) -> None:
    document, random = yaml.safe_load(AUDIT), Random("many")  # noqa: S311 -- no secret
    alone = [(place, value) for place in settings() for value in VALUES]
    ends = [try_file(pinned, changed(document, *it)) for it in alone]
    read = [it for it, end in zip(alone, ends, strict=True) if end is not End.REFUSED]
    more = Counter(try_file(pinned, it) for it in islice(mixed(document, random, read), MANY))
    assert min(*Counter(ends).values(), more[End.OPEN], more[End.SHUT]) > 50, (ends, more)


@pytest.mark.slow
def test_audits_and_gates_keep_to_what_is_foretold_of_an_audit_file(
    auditor: Command, pinned: Pinned, home: Path
) -> None:
    document, random = yaml.safe_load(AUDIT), Random("some")  # noqa: S311 -- no secret
    left = {End.OPEN: TRIED, End.SHUT: TRIED // 2}
    figures = set()
    for tried in mixed(document, random, likely(document)):
        end, _ = pinned.judged(tried)
        if not left.get(end):
            continue
        left[end] -= 1
        (pinned.folder / "audit.yaml").write_text(yaml.safe_dump(tried, sort_keys=False))
        shutil.rmtree(pinned.folder / "out", ignore_errors=True)
        ended = auditor("audit", "audit.yaml", "--only", "quality.accuracy", "--out", "out")
        asked = ("gate", "--artifact", "model.onnx", "--policy", "policy.yaml", "--record", "out")
        gate = auditor(*asked, "--key", home / "signer.pub", "--target", "cpu")
        assert (gate.code == 0) is (end is End.OPEN), (tried, ended.said, gate.said)
        if end is End.OPEN:
            record = json.loads((pinned.folder / "out" / "record.json").read_bytes())
            figures |= {
                encode_canonical(it["value"])
                for it in record["readings"]
                if it["metric"] == "accuracy"
            }
        if not any(left.values()):
            break
    assert len(figures) == 1

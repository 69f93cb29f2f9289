"""Read what a record says was asked."""

from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.budgets import Budget
from auditor.domain.disclosures import Disclosure
from auditor.domain.json_parts import Part
from auditor.domain.recipes import RecipeRef
from auditor.domain.requests import Attempt, AuditRequest, DatasetRef, InputFile, PolicyRef, Turn
from auditor.domain.shadows import ShadowsRef
from auditor.domain.target_json import read_target
from auditor.domain.trust import TrustRef
from auditor.domain.waivers import WaiverRef


def read_request(part: Part) -> AuditRequest:
    """Read what was asked. Raises ``RecordError`` for what is none."""
    artifact = part.part("artifact")
    name, version = artifact.name("name"), artifact.name("version")
    return AuditRequest(
        name=name,
        version=version,
        artifact=_artifact(artifact, name, version),
        targets=part.list_of("target_specs", read_target),
        datasets=part.list_of("datasets", _dataset),
        policy=_policy(part.part("policy")),
        audit_file=part.get("audit_file", str),
        seed=part.get("seed", int),
        budget=part.choice("budget", Budget),
        only=part.texts("only"),
        inputs=part.list_of("inputs", read_input),
        tags=part.texts("tags"),
        claims=part.mapping("claims"),
        show_examples=part.get("show_examples", bool),
        parent=_model(part, "parent", name, version),
        reference=read_target(part.part("reference")) if part.value.get("reference") else None,
        recipe=_recipe(part.part("recipe")) if part.value.get("recipe") else None,
        shadows=_shadows(part.part("shadows")) if part.value.get("shadows") else None,
        generator=_model(part, "generator", name, version),
        documents=part.list_of("documents", _file) if part.value.get("documents") else (),
        trust=_trust(part.part("trust")) if part.value.get("trust") else None,
        disclosure=part.choice("disclosure", Disclosure) if part.value.get("disclosure") else None,
        waivers=part.list_of("waivers", _waiver) if part.value.get("waivers") else (),
        attempt=read_turn(part).attempt,
        declared=None if part.value.get("declared") is None else part.mapping("declared"),
        **_papers(part),
    )


def read_turn(part: Part) -> Turn:
    """Read what a service added to what it was asked. Raises ``RecordError`` for what is none."""
    attempt = read_attempt(part.part("attempt")) if part.value.get("attempt") else None
    return Turn(part.get("seed", int), attempt)


def read_attempt(part: Part) -> Attempt:
    """Read which attempt it is. Raises ``RecordError`` for what is none."""
    return Attempt(
        number=part.get("number", int),
        sealed=part.maybe("sealed", bool) or False,
        proof=part.maybe("proof", str),
        policy=_policy(part.part("policy")) if part.value.get("policy") else None,
        sets=part.texts("sets") if part.value.get("sets") else (),
        held=part.texts("held") if part.value.get("held") else (),
        by_data=part.maybe("by_data", bool) or False,
    )


def _papers(part: Part) -> dict[str, str | None]:
    roles = ("system", "risks", "baseline")
    return {role: part.get(role, str) if part.value.get(role) else None for role in roles}


def _artifact(part: Part, name: str, version: str) -> Artifact | None:
    files = part.list_of("files", _file)
    return Artifact(name, version, files) if files else None


def _model(part: Part, role: str, name: str, version: str) -> Artifact | None:
    if part.value.get(role) is None:
        return None
    files = part.part(role).list_of("files", _file)
    return Artifact(f"{name} ({role})", version, files)


def _shadows(part: Part) -> ShadowsRef:
    return ShadowsRef(
        models=part.texts("models"),
        inclusion=part.get("inclusion", str),
        rows=part.texts("rows"),
    )


def _recipe(part: Part) -> RecipeRef:
    return RecipeRef(
        digest=part.get("digest", str),
        function=part.get("function", str),
        dp_train=part.maybe("dp_train", str),
        allowed=part.get("allowed", bool),
        unsandboxed=part.maybe("unsandboxed", bool) or False,
    )


def _trust(part: Part) -> TrustRef:
    return TrustRef(part.get("name", str), part.get("version", int), part.get("digest", str))


def _waiver(part: Part) -> WaiverRef:
    digest, waiver, key = (part.get(name, str) for name in ("digest", "waiver", "key"))
    return WaiverRef(digest, waiver, key, part.get("file", str))


def _file(part: Part) -> FileDigest:
    return FileDigest(part.get("name", str), part.get("size", int), part.get("sha256", str))


def read_input(part: Part) -> InputFile:
    """Return a file that an audit file names, as a request keeps it."""
    return InputFile(part.get("path", str), _file(part))


def _dataset(part: Part) -> DatasetRef:
    return DatasetRef(part.get("role", str), part.get("digest", str), part.get("rows", int))


def _policy(part: Part) -> PolicyRef:
    return PolicyRef(part.name("name"), part.name("version"), part.get("digest", str))

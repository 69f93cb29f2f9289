"""Verify an artifact by a trust policy, offline, and say what was looked at step by step."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from auditor.domain.artifacts import FileDigest
from auditor.domain.steps import Step, StepResult
from auditor.signatures.keyless import verify_keyless
from auditor.signatures.manifests import WHOLE
from auditor.signatures.objections import Grade, Objection
from auditor.signing.artifacts import hash_parts
from auditor.signing.hashing import Advance
from auditor.signing.trees import Tree, refuse_moved
from auditor.signing.verification import compare_files, read_signature, steps_of
from auditor.trusting.asking import Asked, Presented
from auditor.trusting.judging import conclude, object_to_policy, open_by_rule
from auditor.trusting.stamping import stamp

TRUST, TIMESTAMP, DEMANDS = "trust", "timestamp", "demands"


def verify_by_policy(
    artifact: Path,
    apart: tuple[Path, ...],
    asked: Asked,
    presented: Presented,
    advance: Advance | None = None,
) -> tuple[Step, ...]:
    """Verify a file or folder as the rule of a trust policy for its model asks.

    ``apart`` is the signature, and what lies beside it that it cannot speak of. Of ``presented``,
    the bundle is the signature file's. Nothing is looked at where the policy
    trusts nobody for the model. Raises like ``verify_artifact``.
    """
    asked = replace(asked, keyless=verify_keyless)
    against = object_to_policy(asked, presented.standing)
    trust = _step(TRUST, against, f"{asked.policy}: {asked.rule}")
    rule = asked.rule
    if rule is None or any(item.grade is Grade.ERROR for item in against):
        return (trust,)
    bundle = read_signature(apart[0])
    presented = replace(presented, bundle=bundle)
    asked, doubts = stamp(asked, presented)
    opened = open_by_rule(asked, rule, bundle)
    compared, tree = compare_files(artifact, apart, opened, advance)
    steps = (trust, *_timestamp(asked, presented, doubts), *steps_of(compared, tree))
    if not compared.verified:
        return steps
    files = _digests(tree) if rule.beside else ()
    found = conclude(asked, rule, compared, presented, files)
    beyond = found.objections[len(compared.objections) :]
    asks = ", ".join(rule.asks) or "nothing more"
    return (*steps, _step(DEMANDS, beyond, f"the rule asks for {asks}"))


def _timestamp(asked: Asked, presented: Presented, doubts: Sequence[Objection]) -> tuple[Step, ...]:
    """Say what the timestamps prove; where nobody asked, those that prove nothing fail nothing."""
    if presented.timestamps is None:
        return ()
    if doubts and all(item.grade is not Grade.ERROR for item in doubts):
        said = "; ".join(f"{it.code}: {it.text}" for it in doubts)
        return (Step(TIMESTAMP, StepResult.NOT_CHECKED, f"the rule asks for no time, and {said}"),)
    stamped = None if asked.when is None else asked.when.stamped
    words = "" if stamped is None else f"the signature was there at {stamped} at the latest"
    return (_step(TIMESTAMP, doubts, words),)


def _digests(tree: Tree) -> tuple[FileDigest, ...]:
    """Return the files by SHA-256, by which other statements speak of them."""
    digests = hash_parts(tree, WHOLE.parts(tree.sizes), WHOLE.hash)
    refuse_moved(tree)
    return tuple(FileDigest(name, size, digests[name]) for name, size in tree.sizes.items())


def _step(name: str, objections: Sequence[Objection], detail: str) -> Step:
    mistakes = [f"{it.code}: {it.text}" for it in objections if it.grade is Grade.ERROR]
    doubts = [f"{it.code}: {it.text}" for it in objections if it.grade is Grade.WARNING]
    return Step.of(name, mistakes, "; ".join([detail, *doubts]))

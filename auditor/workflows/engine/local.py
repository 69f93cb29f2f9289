"""The engine that observes in this process, one check after the other."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol, cast

from auditor.crashes import raised_at
from auditor.domain.budgets import Size
from auditor.domain.canonical import Json, digest_json
from auditor.domain.checks import Check, Need, is_timing, would_use
from auditor.domain.datasets import Role
from auditor.domain.evidence import Blob, Evidence, encode
from auditor.domain.memories import Within
from auditor.domain.observed import Result, Seen
from auditor.domain.readings import Gap, Reason
from auditor.domain.records import Copies, Observation
from auditor.domain.subjects import Shard, Subject, derive_seed
from auditor.engines.affording import Allowance
from auditor.engines.gaps import gap_from
from auditor.engines.pulses import Said, attended
from auditor.errors import AuditorError, CancelledError
from auditor.measuring import CONFIDENCE, parameters, readings
from auditor.needs import unmet

WHOLE = "evidence"
"""The name under which a check's whole evidence is remembered."""


class Watch(Protocol):
    """Who wants to know how far an audit is."""

    def started(self, target: str, check: Check) -> None:
        """Say that a check begins."""
        ...

    def advanced(self, done: int, total: int, note: str = "") -> None:
        """Say how far the check at hand is; may raise ``CancelledError``."""
        ...

    def ended(self, target: str, check: Check, result: Result) -> None:
        """Say that a check has ended."""
        ...


def observe_all(
    checks: Sequence[Check],
    subject: Subject,
    keep: Callable[[Blob], None],
    watch: Watch,
    size: Size,
) -> tuple[Result, ...]:
    """Observe every check on one target. A check that cannot or crashes gives a Gap.

    So does one that would keep the target busy for longer than its declaration allows. Results
    come in the order of ``checks``.
    """
    ordered = Allowance(subject.target, size, subject.budget).in_order(checks)
    results = {check.id: observe_one(check, subject, keep, watch, size) for check in ordered}
    return tuple(results[check.id] for check in checks)


def observe_one(
    check: Check, subject: Subject, keep: Callable[[Blob], None], watch: Watch, size: Size
) -> Result:
    """Observe one check on one target, or say as a Gap why it cannot be."""
    target = subject.target.name
    watch.started(target, check)
    over = Allowance(subject.target, size, subject.budget).over
    gap = unmet(check, subject) or over(check, subject.model, subject.bench, subject.twin)
    if gap is None:
        result = _observe(check, subject, target, keep, watch)
    else:
        result = replace(gap, target=target, check=check.id)
    watch.ended(target, check, result)
    return result


def _observe(
    check: Check, subject: Subject, target: str, keep: Callable[[Blob], None], watch: Watch
) -> Result:
    shard = Shard()
    seed = derive_seed(subject.audit_seed, check.id, shard)
    memory = Within(subject.memory, _name(check, subject, target, seed))
    said = Said(watch.advanced)
    recipe = attended(subject.recipe, said)
    own = replace(subject, seed=seed, progress=said, memory=memory, recipe=recipe)
    try:
        evidence = memory.recall(WHOLE)
        if evidence is None:
            evidence = check.observe(own, shard)
            if not is_timing(check):
                memory.remember(WHOLE, evidence)
        seen = _seen(check, evidence, target, own, keep)
        readings([seen], CONFIDENCE)
    except CancelledError:
        raise
    except AuditorError as error:
        return gap_from(error, target, check.id)
    except Exception as error:  # noqa: BLE001 -- a check that crashes is a Gap, whatever it raises
        return _crashed(error, target, check.id)
    return seen


def _name(check: Check, subject: Subject, target: str, seed: int) -> str:
    """Return all that a check's evidence depends on beside the request, as one name."""
    identity = "" if isinstance(subject.model, Gap) else subject.model.fingerprint.identity
    twin = subject.twin.detail if isinstance(subject.twin, Gap) else dict(subject.twin.source)
    proofs = subject.certifier.detail if isinstance(subject.certifier, Gap) else ""
    parts = [target, identity, twin, proofs, check.id, check.version, parameters(check), seed]
    return digest_json(cast("Json", parts))


def _seen(
    check: Check, evidence: Evidence, target: str, subject: Subject, keep: Callable[[Blob], None]
) -> Seen:
    blobs = {name: encode(item) for name, item in sorted(evidence.items())}
    for blob in blobs.values():
        keep(blob)
    params: dict[str, Json] = parameters(check)
    names = {name: blob.digest for name, blob in blobs.items()}
    manner, copies = _manner(subject), _copies(check, subject)
    observation = Observation(
        target, check.id, check.version, params, subject.seed, names, copies=copies, **manner
    )
    return Seen(observation, check, evidence)


def _manner(subject: Subject) -> dict[str, Any]:
    """Return what there is to say of the way in which the model answers."""
    manner = {"labels_only": subject.labels_only(Role.EVALUATION)}
    if not isinstance(subject.model, Gap):
        manner["deterministic"] = subject.model.deterministic
    return manner


def _copies(check: Check, subject: Subject) -> Copies | None:
    """Return how many evaluation rows are copies, where they weigh and a check looks at them."""
    data = subject.datasets.get(Role.EVALUATION)
    looks = any(would_use(check, need) for need in (Need.EVALUATION, Need.PRODUCTION))
    if data is None or data.copies is None or not looks:
        return None
    return Copies(data.rows, data.distinct)


def _crashed(error: Exception, target: str, check: str) -> Gap:
    at = raised_at(error)
    place = f" at {at}" if at else ""
    return Gap(
        reason=Reason.CHECK_CRASHED,
        detail=f"The check {check} crashed{place}: {type(error).__name__}: {error}",
        cure="This is a defect of the check, not of the model; report it with this line.",
        target=target,
        check=check,
    )

"""Targets by name or written out, as declared; what is not to be had here is an error."""

from collections.abc import Mapping

from auditor.domain.canonical import Json
from auditor.domain.targets import TargetSpec
from auditor.errors import TargetError
from auditor.refusals import SubmissionError
from auditor.targets.declaring import written_out

NAMED: Mapping[str, TargetSpec] = {"cpu": TargetSpec("cpu")}


def resolve_target(
    asked: str | Mapping[str, Json], known: Mapping[str, TargetSpec] = NAMED
) -> TargetSpec:
    """Return the target of that name among ``known``, or the one that a mapping writes out.

    Raises ``TargetError`` that lists what there is for an unknown name, key or runtime. What a
    target lacks on this machine comes out when it is opened, and costs its own readings alone.
    """
    if isinstance(asked, str):
        if asked not in known:
            raise TargetError(
                f"there is no target {asked!r}",
                cure=f"Name one of {', '.join(known)}, write the target out, or add it to "
                "targets.yaml beside the audit file.",
            )
        return known[asked]
    return written_out(asked, lambda inner: resolve_target(inner, known))


def known_target(asked: str | Mapping[str, Json], known: Mapping[str, TargetSpec]) -> TargetSpec:
    """Return the target of that name, of those that a service has and no others.

    Raises ``TargetError``, and ``SubmissionError`` for a target that is written out.
    """
    if not isinstance(asked, str):
        raise SubmissionError(
            "a target is written out in the audit file, and a service has targets of its own",
            cure=f"Name one of {', '.join(known)}.",
        )
    if asked not in known:
        raise TargetError(
            f"there is no target {asked!r}",
            cure=f"Name one of {', '.join(known)}; others are given to a service where it starts.",
        )
    return known[asked]

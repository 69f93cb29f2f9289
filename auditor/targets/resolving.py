"""Targets by name or written out, as declared; what is not to be had here is an error."""

from collections.abc import Mapping

from auditor.domain.canonical import Json
from auditor.domain.targets import TargetSpec
from auditor.errors import TargetError
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

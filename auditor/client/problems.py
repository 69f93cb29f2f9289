"""What a service's problems (RFC 9457) mean to whoever called it."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from auditor.domain.canonical import parse
from auditor.domain.json_parts import Part
from auditor.errors import AuditorError, RecordError
from auditor.refusals import RefusedError, ServiceFailedError

T = TypeVar("T")
WRONG, BROKEN = 400, 500
CURES: Mapping[str, str] = {
    "unauthorized": "Set AUDITOR_API_KEY to a key of this service that holds; an admin makes one.",
    "forbidden": "Ask an admin of the service for a key with a role that may.",
}
"""What helps a caller who never writes a header by hand."""
STRANGER = "See that it is the address of an auditor service, of this version or near it."


def problem_of(url: str, status: int, body: bytes) -> AuditorError:
    """Return the error that an answer means: the caller's to mend below 500, the service's else."""
    try:
        part = Part(parse(body), "problem")
        kind = part.get("type", str).rpartition("/")[2]
        problem, cure = part.get("detail", str), part.get("cure", str)
    except (ValueError, RecursionError, RecordError):
        return _unexplained(url, status)
    told = f"{url}: {problem}"
    if status >= BROKEN:
        return ServiceFailedError(told, cure=cure)
    return RefusedError(told, cure=CURES.get(kind, cure), kind=kind)


def read(url: str, body: bytes, make: Callable[[Part], T]) -> T:
    """Read an answer. Raises ``ServiceFailedError`` for what no service of ours says."""
    try:
        return make(Part(parse(body), "answer"))
    except (ValueError, RecursionError, AuditorError) as error:
        said = error.problem if isinstance(error, AuditorError) else "it is not JSON"
        raise ServiceFailedError(
            f"{url} answers what cannot be read: {said}", cure=STRANGER
        ) from None


def _unexplained(url: str, status: int) -> AuditorError:
    told = f"{url} answers {status}, and does not say why"
    if status >= BROKEN:
        return ServiceFailedError(told, cure="Try again later, or tell who runs the service.")
    return RefusedError(told, cure=STRANGER)

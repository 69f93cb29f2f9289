"""What the Open Inference Protocol's answers have in common over HTTP and gRPC."""

from collections.abc import Iterable, Mapping
from typing import Any

from auditor.errors import ModelFailedError
from auditor.targets.endpoints.answers import Declared
from auditor.targets.endpoints.bodies import CURE
from auditor.targets.endpoints.tensors import ort_type

MOST_SLOTS = 1024
Texts = tuple[str, ...]


def declared(title: str, said: object) -> tuple[Declared, ...]:
    """Read the inputs or outputs of a model's metadata. Raises ``ModelFailedError``."""
    if said is None:
        return ()
    if not isinstance(said, list) or len(said) > MOST_SLOTS:
        raise ModelFailedError(f"{title} lists tensors that are no list", cure=CURE)
    return tuple(_slot(title, entry) for entry in said)


def _slot(title: str, entry: Any) -> Declared:  # noqa: ANN401 -- any JSON
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        raise ModelFailedError(f"{title} declares a tensor without a name", cure=CURE)
    shape = entry.get("shape")
    sizes = shape if isinstance(shape, list) else []
    axes = tuple(size if type(size) is int and size > 0 else None for size in sizes)
    return Declared(entry["name"], ort_type(str(entry.get("datatype"))), axes)


def require_declared(
    title: str, model: str, inputs: Iterable[Declared], outputs: Iterable[Declared]
) -> None:
    """Refuse a model that does not say what it takes and gives: a guess may be wrong unseen."""
    for kind, slots in (("inputs", inputs), ("outputs", outputs)):
        if not any(True for _ in slots):
            raise ModelFailedError(
                f"{title} does not say what {kind} the model {model!r} has",
                cure=f"Declare its {kind} on the server (MLServer: `{kind}` in "
                f"model-settings.json; KServe: get_{kind[:-1]}_types).",
            )


def text(said: object) -> str:
    """Return a text of metadata; empty where there is none."""
    return said if isinstance(said, str) else ""


def texts(said: object) -> Texts:
    """Return the texts of a list in metadata; empty where there is none."""
    return tuple(map(str, said)) if isinstance(said, list) else ()

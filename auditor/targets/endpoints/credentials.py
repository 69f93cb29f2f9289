"""Headers whose values are secrets: read from the environment, sent, and never shown."""

import re
from collections.abc import Mapping
from typing import Any

from auditor.domain.endpoints import EndpointSpec
from auditor.errors import TargetError

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
OURS = frozenset(
    {
        "accept-encoding", "connection", "content-length", "content-type",
        "inference-header-content-length", "te", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
LEAST_HIDDEN = 4
HIDDEN = "[hidden]"


class Credentials:
    """The headers of every request to one server."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    def __repr__(self) -> str:
        """Return the names alone."""
        return f"Credentials({sorted(self._values)})"

    def headers(self) -> dict[str, str]:
        """Return names and values, for the wire and nothing else."""
        return dict(self._values)

    def redact(self, text: str) -> str:
        """Return ``text`` without the values, whole or by their words (as in ``Bearer …``)."""
        secrets = {word for value in self._values.values() for word in (value, *value.split())}
        for secret in sorted(secrets, key=len, reverse=True):
            if len(secret) >= LEAST_HIDDEN and secret.lower() not in {"basic", "bearer"}:
                text = text.replace(secret, HIDDEN)
        return text

    def redact_all(self, said: Any) -> Any:  # noqa: ANN401 -- whatever JSON a server sent
        """Return JSON without the values, wherever in it the server may echo them."""
        if isinstance(said, str):
            return self.redact(said)
        if isinstance(said, Mapping):
            return {self.redact(str(key)): self.redact_all(item) for key, item in said.items()}
        return [self.redact_all(item) for item in said] if isinstance(said, list) else said


def read_credentials(spec: EndpointSpec, environ: Mapping[str, str]) -> Credentials:
    """Read the values of the spec's headers from ``environ``.

    Raises ``TargetError`` that names the variable, never its value.
    """
    return Credentials(
        {name: _value(name, variable, environ) for name, variable in spec.headers.items()}
    )


def _value(name: str, variable: str, environ: Mapping[str, str]) -> str:
    if not TOKEN.fullmatch(name) or name.lower() in OURS:
        raise TargetError(
            f"the header {name!r} of the endpoint cannot be set",
            cure="Give a header that the server asks for, such as Authorization.",
        )
    value = environ.get(variable, "").strip()
    if not value:
        raise TargetError(
            f"the header {name!r} of the endpoint takes its value from the environment variable "
            f"{variable}, which is not set",
            cure=f"Set {variable} before the audit, or name another variable.",
        )
    if not (value.isascii() and value.isprintable()):
        raise TargetError(
            f"the environment variable {variable} holds characters that no header may have",
            cure="Set it to one line of printable ASCII.",
        )
    return value

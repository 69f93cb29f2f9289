"""Client for servers with their own JSON shape: rows and scores at dotted paths."""

from collections.abc import Sequence
from typing import Any

from auditor.domain.targets import EndpointSpec
from auditor.errors import ModelFailedError
from auditor.targets.endpoints import oip
from auditor.targets.endpoints.client import (
    UNREAD,
    InferenceResponse,
    ModelMetadata,
    ServerMetadata,
    TensorMetadata,
    build_http_failure,
)
from auditor.targets.endpoints.http import (
    StrictHttpClient,
    decode_json_body,
    encode_json_body,
    put_at_path,
    read_at_path,
)
from auditor.targets.outputs import Key
from auditor.targets.protocol import Anything

INPUT = TensorMetadata("rows", "tensor(double)", ())
OUTPUT = TensorMetadata("scores", "tensor(double)", ())
JSON_TYPE = {"content-type": "application/json", "accept": "application/json"}
WHOLE, FRACTION, TRUTH, WORDS = "<i8", "<f8", "|b1", "|S"
CURE = "Look at what the server answers under `endpoint.scores_at`."
NO_SERVER = 500


class HttpJsonClient:
    """One URL that takes rows by POST; nothing is known of the model but its scores."""

    def __init__(self, http: StrictHttpClient, spec: EndpointSpec, title: str, query: str) -> None:
        self._http = http
        self._spec = spec
        self._title = title
        self._path = f"?{query}" if query else ""

    @property
    def connections(self) -> int:
        """How often the server was connected to."""
        return self._http.connections

    def server(self) -> ServerMetadata:
        """Look whether somebody answers at the address; which status does not matter."""
        reply = self._http.exchange("HEAD", self._path)
        if reply.status in UNREAD:
            after = reply.headers.get("retry-after", "")
            raise build_http_failure(self._title, reply.status, "", after, 0.0)
        return ServerMetadata(
            name=reply.headers.get("server", ""), certificate=self._http.certificate
        )

    def served(self) -> ModelMetadata:
        """Say that rows of any shape go in, and that scores come out."""
        return ModelMetadata((INPUT,), (OUTPUT,), self._spec.model)

    def infer(self, name: str, rows: Anything, outputs: Sequence[str]) -> InferenceResponse:
        """Post the rows; read a list with a label, a number, a list or an object for each."""
        del outputs  # there is only one
        oip.require_finite_rows(name, rows)
        body = encode_json_body(put_at_path(self._spec.rows_at, rows.tolist()))
        said = decode_json_body(
            self._title, self._http.ask("POST", self._path, body, JSON_TYPE).body
        )
        found = read_at_path(self._title, said, self._spec.scores_at)
        if not isinstance(found, list) or len(found) != len(rows):
            got = f"{len(found)} entries" if isinstance(found, list) else "no list"
            raise ModelFailedError(
                f"{self._title} answers {len(rows)} rows with {got}",
                cure="Set `endpoint.scores_at` to the path of the list with one entry a row.",
            )
        array, keys = _table(found)
        return InferenceResponse(
            {OUTPUT.name: array}, keys={} if keys is None else {OUTPUT.name: keys}
        )

    def ping(self) -> None:
        """Make a round trip without rows. Raises ``ModelFailedError`` where there is none."""
        status = self._http.exchange("HEAD", self._path).status
        if status >= NO_SERVER:
            raise ModelFailedError(
                f"{self._title} answers {status} to a request without rows", cure=CURE
            )

    def close(self) -> None:
        """Drop the connection."""
        self._http.close()


def _table(found: list[Any]) -> tuple[Anything, list[Key] | None]:
    if not found or not isinstance(found[0], dict):
        return _array(found), None
    names = list(found[0])
    if not names or not all(isinstance(row, dict) and set(row) == set(names) for row in found):
        raise ModelFailedError("the server's rows do not all have the same classes", cure=CURE)
    return _array([[row[name] for name in names] for row in found]), list(names)


def _array(found: list[Any]) -> Anything:
    shape, flat = oip.flatten_nested_lists(OUTPUT.name, found)
    kinds = set(map(type, flat))
    dtype = FRACTION
    for kind, kept in ((int, WHOLE), (bool, TRUTH), (str, WORDS)):
        if kinds == {kind}:
            dtype = kept
    return oip.array_from_values(OUTPUT.name, dtype, flat).reshape(shape)

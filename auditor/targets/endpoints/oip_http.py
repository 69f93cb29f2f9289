"""Open Inference Protocol client over HTTP, with JSON or binary tensors.

https://github.com/kserve/open-inference-protocol (HTTP/REST), and its binary tensor data
extension: a JSON part of ``Inference-Header-Content-Length`` bytes, then the raw tensors.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from auditor.domain.targets import EndpointSpec, TensorEncoding
from auditor.errors import ModelFailedError
from auditor.targets.endpoints import oip
from auditor.targets.endpoints.client import InferenceResponse, ModelMetadata, ServerMetadata
from auditor.targets.endpoints.http import (
    CURE,
    SUCCESS,
    EndpointReply,
    StrictHttpClient,
    decode_json_object,
    encode_json_body,
)
from auditor.targets.endpoints.oip import (
    read_metadata_text,
    read_metadata_texts,
    read_tensor_metadata,
    require_declared,
)
from auditor.targets.protocol import Anything

JSON_PART = "inference-header-content-length"
JSON_TYPE = {"content-type": "application/json"}
MOST_DIGITS = 12
BINARY_TYPE = "application/octet-stream"


class OipHttpClient:
    """One model of a server that speaks the protocol over HTTP.

    With ``TensorEncoding.AUTO`` binary tensors are tried first. A server that refuses them gets
    JSON; which of both it is to be is settled by the first success.
    """

    def __init__(self, http: StrictHttpClient, spec: EndpointSpec, title: str) -> None:
        self._http = http
        self._title = title
        self._model = spec.model
        version = f"/versions/{quote(spec.model_version, safe='')}" if spec.model_version else ""
        self._path = f"/v2/models/{quote(spec.model, safe='')}{version}"
        self._encoding = spec.encoding
        self._refused = False
        self._requests = itertools.count(1)

    @property
    def encoding(self) -> TensorEncoding:
        """How tensors travel, as far as it is settled."""
        return self._encoding

    @property
    def connections(self) -> int:
        """How often the server was connected to."""
        return self._http.connections

    def server(self) -> ServerMetadata:
        """Ask for the server's metadata."""
        said = decode_json_object(self._title, self._http.ask("GET", "/v2").body)
        return ServerMetadata(
            read_metadata_text(said.get("name")),
            read_metadata_text(said.get("version")),
            read_metadata_texts(said.get("extensions")),
            self._http.certificate,
        )

    def served(self) -> ModelMetadata:
        """Ask for the model's metadata."""
        said = decode_json_object(self._title, self._http.ask("GET", self._path).body)
        inputs = read_tensor_metadata(self._title, said.get("inputs"))
        outputs = read_tensor_metadata(self._title, said.get("outputs"))
        require_declared(self._title, self._model, inputs, outputs)
        return ModelMetadata(
            inputs,
            outputs,
            read_metadata_text(said.get("name")),
            read_metadata_texts(said.get("versions")),
            read_metadata_text(said.get("platform")),
        )

    def infer(self, name: str, rows: Anything, outputs: Sequence[str]) -> InferenceResponse:
        """Send rows in the settled encoding, or find out which one it is."""
        if self._encoding is not TensorEncoding.AUTO:
            return self._infer(name, rows, outputs, self._encoding)
        if not self._refused:
            try:
                answer = self._infer(name, rows, outputs, TensorEncoding.BINARY)
            except ModelFailedError:
                if self._http.status in SUCCESS:
                    raise  # it took them: what is wrong is its answer
                self._refused = True
            else:
                self._encoding = TensorEncoding.BINARY
                return answer
        try:
            answer = self._infer(name, rows, outputs, TensorEncoding.JSON)
        except ModelFailedError:
            self._refused = False  # it is not the encoding that the server dislikes
            raise
        self._encoding = TensorEncoding.JSON
        return answer

    def ping(self) -> None:
        """Ask whether the server lives."""
        self._http.ask("GET", "/v2/health/live")

    def close(self) -> None:
        """Drop the connection."""
        self._http.close()

    def _infer(
        self, name: str, rows: Anything, outputs: Sequence[str], encoding: TensorEncoding
    ) -> InferenceResponse:
        binary = encoding is TensorEncoding.BINARY
        # Some servers pass the id on without looking whether there is one.
        head = {"id": str(next(self._requests))}
        body, headers = (_binary if binary else _json)(head, name, rows, outputs)
        return self._answer(self._http.ask("POST", self._path + "/infer", body, headers))

    def _answer(self, reply: EndpointReply) -> InferenceResponse:
        size = reply.headers.get(JSON_PART)
        body = memoryview(reply.body)
        if size is None:
            said, raw = decode_json_object(self._title, body), body[:0]
        else:
            numbers = size.isascii() and size.isdigit() and len(size) <= MOST_DIGITS
            if not numbers or int(size) > len(body):
                raise ModelFailedError(
                    f"{self._title} announces a JSON part of {size[:32]} bytes", cure=CURE
                )
            said, raw = decode_json_object(self._title, body[: int(size)]), body[int(size) :]
        listed = said.get("outputs")
        arrays: dict[str, Anything] = {}
        for entry in listed if isinstance(listed, list) else []:
            name = entry.get("name") if isinstance(entry, dict) else None
            if not isinstance(name, str) or name in arrays:
                raise ModelFailedError(
                    f"{self._title} answers with outputs that have no names of their own",
                    cure=CURE,
                )
            arrays[name], raw = _tensor(name, entry, raw)
        if len(raw):
            raise ModelFailedError(
                f"{self._title} sends {len(raw)} bytes that belong to no output", cure=CURE
            )
        return InferenceResponse(
            arrays,
            read_metadata_text(said.get("model_name")),
            read_metadata_text(said.get("model_version")),
        )


def _json(
    head: Mapping[str, Any], name: str, rows: Anything, outputs: Sequence[str]
) -> tuple[bytes, Mapping[str, str]]:
    entry = _input(name, rows) | {"data": oip.encode_tensor_values(name, rows)}
    wanted = [{"name": output} for output in outputs]
    return encode_json_body({**head, "inputs": [entry], "outputs": wanted}), JSON_TYPE


def _binary(
    head: Mapping[str, Any], name: str, rows: Anything, outputs: Sequence[str]
) -> tuple[bytes, Mapping[str, str]]:
    raw = oip.encode_tensor_bytes(rows)
    entry = _input(name, rows) | {"parameters": {"binary_data_size": len(raw)}}
    wanted = [{"name": output, "parameters": {"binary_data": True}} for output in outputs]
    said = encode_json_body({**head, "inputs": [entry], "outputs": wanted})
    return said + raw, {"content-type": BINARY_TYPE, JSON_PART: str(len(said))}


def _input(name: str, rows: Anything) -> dict[str, Any]:
    return {"name": name, "shape": list(rows.shape), "datatype": oip.tensor_type_name(rows)}


def _tensor(name: str, entry: Mapping[str, Any], raw: memoryview) -> tuple[Anything, memoryview]:
    shape = oip.read_tensor_shape(name, entry.get("shape"))
    said = entry.get("parameters")
    size = said.get("binary_data_size") if isinstance(said, dict) else None
    if size is None:
        return oip.decode_tensor_values(name, entry.get("datatype"), shape, entry.get("data")), raw
    if type(size) is not int or not 0 <= size <= len(raw):
        raise ModelFailedError(
            f"the server's output {name[:64]!r} announces {str(size)[:32]} bytes, "
            f"and {len(raw)} are left",
            cure=oip.FAULT,
        )
    return oip.decode_tensor_bytes(name, entry.get("datatype"), shape, raw[:size]), raw[size:]

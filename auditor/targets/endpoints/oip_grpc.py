"""Open Inference Protocol client over gRPC, with raw tensors and status mapping.

The message classes are built from one table. Field numbers and types are those of
``open_inference_grpc.proto`` in the protocol's repository. Fields that are neither sent nor read
(parameters) are left out, as protobuf allows.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from auditor.domain.targets import EndpointSpec
from auditor.errors import AuditorError, ModelFailedError, ModelTimeoutError, TargetError
from auditor.targets.endpoints import oip
from auditor.targets.endpoints.client import (
    AttemptError,
    InferenceResponse,
    ModelMetadata,
    ServerMetadata,
    TensorMetadata,
)
from auditor.targets.endpoints.config import (
    Credentials,
    EndpointAddress,
    fetch_certificate_digest,
    find_certificate_error,
    require_root_file,
)
from auditor.targets.endpoints.http import CURE
from auditor.targets.endpoints.oip import require_declared
from auditor.targets.protocol import Anything, to_plain_text

SERVICE = "/inference.GRPCInferenceService/"
PACKAGE = "auditor.inference"
_MANY = "*"
TABLE: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "ServerLiveRequest": {},
    "ServerLiveResponse": {"live": (1, "bool")},
    "ServerMetadataRequest": {},
    "ServerMetadataResponse": {
        "name": (1, "string"), "version": (2, "string"), "extensions": (3, "*string"),
    },
    "ModelMetadataRequest": {"name": (1, "string"), "version": (2, "string")},
    "ModelMetadataResponse": {
        "name": (1, "string"), "versions": (2, "*string"), "platform": (3, "string"),
        "inputs": (4, "*TensorMetadata"), "outputs": (5, "*TensorMetadata"),
    },
    "TensorMetadata": {"name": (1, "string"), "datatype": (2, "string"), "shape": (3, "*int64")},
    "ModelInferRequest": {
        "model_name": (1, "string"), "model_version": (2, "string"), "id": (3, "string"),
        "inputs": (5, "*InferTensor"), "outputs": (6, "*RequestedOutput"),
        "raw_input_contents": (7, "*bytes"),
    },
    "ModelInferResponse": {
        "model_name": (1, "string"), "model_version": (2, "string"),
        "outputs": (5, "*InferTensor"), "raw_output_contents": (6, "*bytes"),
    },
    "InferTensor": {
        "name": (1, "string"), "datatype": (2, "string"), "shape": (3, "*int64"),
        "contents": (5, "TensorContents"),
    },
    "RequestedOutput": {"name": (1, "string")},
    "TensorContents": {
        "bool_contents": (1, "*bool"), "int_contents": (2, "*int32"),
        "int64_contents": (3, "*int64"), "uint_contents": (4, "*uint32"),
        "uint64_contents": (5, "*uint64"), "fp32_contents": (6, "*float"),
        "fp64_contents": (7, "*double"), "bytes_contents": (8, "*bytes"),
    },
}  # fmt: skip
"""Message by message, each field's number and type; ``*`` marks a repeated one."""
CONTENTS: Mapping[str, str] = {
    "BOOL": "bool_contents",
    "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip
"""The field of ``TensorContents`` that holds a type."""


def build_message_classes() -> Mapping[str, Any]:
    """Return a class for each message of the table, from a pool that nobody else writes to."""
    file = descriptor_pb2.FileDescriptorProto(
        name="auditor/inference.proto", package=PACKAGE, syntax="proto3"
    )
    for name, fields in TABLE.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            proto = descriptor_pb2.FieldDescriptorProto
            bare = kind.removeprefix(_MANY)
            added = message.field.add(name=field, number=number)
            added.label = proto.LABEL_REPEATED if kind.startswith(_MANY) else proto.LABEL_OPTIONAL
            if bare in TABLE:
                added.type, added.type_name = proto.TYPE_MESSAGE, f".{PACKAGE}.{bare}"
            else:
                added.type = proto.Type.Value(f"TYPE_{bare.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
        for name in TABLE
    }


MOST_WORDS = 300
TOO_LARGE = "larger than max"
"""What gRPC says of a message over a size limit, under the status of a rate limit."""
UNVERIFIED = "CERTIFICATE_VERIFY_FAILED"
DENIED = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})
ABSENT = frozenset({grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNIMPLEMENTED})
BROKEN_OFF = frozenset({grpc.StatusCode.CANCELLED, grpc.StatusCode.ABORTED})


def build_grpc_failure(
    title: str,
    code: grpc.StatusCode,
    said: str,
    seconds: float,
    behind: BaseException | None = None,
) -> AuditorError | AttemptError:
    """Return what ``code`` means; ``said`` is the server's words, without secrets."""
    words = " ".join(to_plain_text(said, MOST_WORDS).split())
    problem = f"{title} answers {code.name}" + (f": {words}" if words else "")
    if UNVERIFIED in said or (behind is not None and find_certificate_error(behind) is not None):
        return TargetError(
            f"{title} is not who it says it is: its certificate cannot be verified",
            cure="Give the file of roots that signed its certificate as `endpoint.ca`; "
            "verification cannot be switched off.",
        )
    if code is grpc.StatusCode.UNAVAILABLE:
        cannot = f"{title} cannot be reached: {behind or words}"
        return AttemptError(cannot, reached=behind is None, lost=True)
    if code in BROKEN_OFF:
        return AttemptError(problem, lost=True)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and TOO_LARGE not in said:
        return AttemptError(problem, reached=False)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return ModelTimeoutError(
            f"{title} did not answer within {seconds:g} seconds",
            cure="Raise the target's `time_limit`, or set `endpoint.batch_limit`.",
        )
    if code in DENIED:
        return TargetError(
            problem,
            cure="Name the environment variables that hold its credentials under "
            "`endpoint.headers`, and see that they are still valid.",
        )
    if code in ABSENT:
        return TargetError(
            problem, cure="Look at `endpoint.url`, `model`, `model_version` and `protocol`."
        )
    cure = "Look at the server's log for that request."
    if TOO_LARGE in said:
        cure = "Set `endpoint.batch_limit` to fewer rows."
    return ModelFailedError(problem, cure=cure)


MOST_BYTES = 2**28
"""Of one response."""
OPTIONS = (
    ("grpc.max_receive_message_length", MOST_BYTES),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_retries", 0),  # the courier makes them, and counts
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),  # else a new channel waits as the lost one would
)


class OipGrpcClient:
    """One model of a server that speaks the protocol over gRPC; one channel, kept open."""

    def __init__(
        self, address: EndpointAddress, credentials: Credentials, spec: EndpointSpec, seconds: float
    ) -> None:
        self._address = address
        self._credentials = credentials
        self._spec = spec
        self._seconds = seconds
        self._classes = build_message_classes()
        self._channel: grpc.Channel | None = None
        self._certificate = ""
        self._requests = itertools.count(1)
        self.connections = 0

    def server(self) -> ServerMetadata:
        """Ask for the server's metadata."""
        said = self._call("ServerMetadata")
        return ServerMetadata(said.name, said.version, tuple(said.extensions), self._certificate)

    def served(self) -> ModelMetadata:
        """Ask for the model's metadata."""
        spec = self._spec
        said = self._call("ModelMetadata", name=spec.model, version=spec.model_version)
        inputs, outputs = _declared(said.inputs), _declared(said.outputs)
        require_declared(self._address.title, spec.model, inputs, outputs)
        return ModelMetadata(inputs, outputs, said.name, tuple(said.versions), said.platform)

    def infer(self, name: str, rows: Anything, outputs: Sequence[str]) -> InferenceResponse:
        """Send the rows as raw bytes; read raw or typed contents, as the server likes."""
        entry = {"name": name, "datatype": oip.tensor_type_name(rows), "shape": list(rows.shape)}
        said = self._call(
            "ModelInfer",
            model_name=self._spec.model,
            model_version=self._spec.model_version,
            id=str(next(self._requests)),
            inputs=[entry],
            outputs=[{"name": output} for output in outputs],
            raw_input_contents=[oip.encode_tensor_bytes(rows)],
        )
        raw = list(said.raw_output_contents)
        if raw and len(raw) != len(said.outputs):
            raise ModelFailedError(
                f"{self._address.title} sends {len(raw)} raw tensors for {len(said.outputs)} "
                "outputs",
                cure=CURE,
            )
        arrays: dict[str, Anything] = {}
        for index, outputs_entry in enumerate(said.outputs):
            if outputs_entry.name in arrays:
                raise ModelFailedError(
                    f"{self._address.title} sends the output {outputs_entry.name[:64]!r} twice",
                    cure=CURE,
                )
            arrays[outputs_entry.name] = _tensor(outputs_entry, raw[index] if raw else None)
        return InferenceResponse(arrays, said.model_name, said.model_version)

    def ping(self) -> None:
        """Ask whether the server lives."""
        self._call("ServerLive")

    def close(self) -> None:
        """Drop the channel; the next call makes another."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _call(self, method: str, **fields: Any) -> Any:  # noqa: ANN401 -- messages have no types
        request = self._classes[f"{method}Request"](**fields)
        call = self._connected().unary_unary(
            SERVICE + method,
            request_serializer=type(request).SerializeToString,
            response_deserializer=self._classes[f"{method}Response"].FromString,
        )
        sent = [(name.lower(), value) for name, value in self._credentials.headers().items()]
        try:
            return call(request, timeout=self._seconds, metadata=sent)
        except grpc.RpcError as error:
            failure = build_grpc_failure(
                self._address.title,
                error.code(),
                self._credentials.redact(error.details() or ""),
                self._seconds,
            )
            if not isinstance(failure, AttemptError) or failure.lost:
                self.close()
            raise failure from None  # it holds what was sent
        except BaseException:
            self.close()
            raise

    def _connected(self) -> grpc.Channel:
        if self._channel is None:
            self.connections += 1
            place, ca = self._address.place, self._spec.ca
            if self._address.encrypted:
                trusted = grpc.ssl_channel_credentials(root_certificates=require_root_file(ca))
                address = self._address
                try:
                    self._certificate = fetch_certificate_digest(
                        address.host, address.port, self._spec.ca, self._seconds
                    )
                except OSError as error:
                    raise build_grpc_failure(
                        address.title, grpc.StatusCode.UNAVAILABLE, "", self._seconds, error
                    ) from None
                self._channel = grpc.secure_channel(place, trusted, OPTIONS)
            else:
                self._channel = grpc.insecure_channel(place, OPTIONS)
        return self._channel


def _tensor(entry: Any, raw: bytes | None) -> Anything:  # noqa: ANN401 -- messages have no types
    shape = oip.read_tensor_shape(entry.name, list(entry.shape))
    if raw is not None:
        return oip.decode_tensor_bytes(entry.name, entry.datatype, shape, raw)
    field = CONTENTS.get(entry.datatype)
    values = [] if field is None else getattr(entry.contents, field)
    if field is None or len(values) != math.prod(shape):
        raise ModelFailedError(
            f"the server's output {entry.name[:64]!r} has the shape {list(shape)} and "
            f"{len(values)} values of {entry.datatype[:32]!r}",
            cure=oip.FAULT,
        )
    if field == "bytes_contents":
        return oip.array_from_texts(entry.name, list(values)).reshape(shape)
    dtype = oip.TYPES[entry.datatype][1]
    return oip.array_from_values(entry.name, dtype, list(values)).reshape(shape)


def _declared(listed: Sequence[Any]) -> tuple[TensorMetadata, ...]:
    return tuple(
        TensorMetadata(
            entry.name,
            oip.to_ort_type(entry.datatype),
            tuple(size if size > 0 else None for size in entry.shape),
        )
        for entry in listed
    )

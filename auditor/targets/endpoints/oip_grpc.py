"""The Open Inference Protocol over gRPC, with raw tensors."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import grpc

from auditor.domain.endpoints import EndpointSpec
from auditor.errors import ModelFailedError
from auditor.targets.endpoints import tensors
from auditor.targets.endpoints.addresses import Address
from auditor.targets.endpoints.answers import Answer, Declared, Served, Server
from auditor.targets.endpoints.bodies import CURE
from auditor.targets.endpoints.credentials import Credentials
from auditor.targets.endpoints.failures import AttemptError
from auditor.targets.endpoints.grpc_failures import grpc_failure
from auditor.targets.endpoints.grpc_messages import CONTENTS, SERVICE, message_classes
from auditor.targets.endpoints.oip import require_declared
from auditor.targets.endpoints.trust import certificate_of, roots
from auditor.targets.frames import Anything

MOST_BYTES = 2**28
"""Of one response."""
OPTIONS = (
    ("grpc.max_receive_message_length", MOST_BYTES),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_retries", 0),  # the courier makes them, and counts
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),  # else a new channel waits as the lost one would
)


class OipGrpc:
    """One model of a server that speaks the protocol over gRPC; one channel, kept open."""

    def __init__(
        self, address: Address, credentials: Credentials, spec: EndpointSpec, seconds: float
    ) -> None:
        self._address = address
        self._credentials = credentials
        self._spec = spec
        self._seconds = seconds
        self._classes = message_classes()
        self._channel: grpc.Channel | None = None
        self._certificate = ""
        self._requests = itertools.count(1)
        self.connections = 0

    def server(self) -> Server:
        """Ask for the server's metadata."""
        said = self._call("ServerMetadata")
        return Server(said.name, said.version, tuple(said.extensions), self._certificate)

    def served(self) -> Served:
        """Ask for the model's metadata."""
        spec = self._spec
        said = self._call("ModelMetadata", name=spec.model, version=spec.model_version)
        inputs, outputs = _declared(said.inputs), _declared(said.outputs)
        require_declared(self._address.title, spec.model, inputs, outputs)
        return Served(inputs, outputs, said.name, tuple(said.versions), said.platform)

    def infer(self, name: str, rows: Anything, outputs: Sequence[str]) -> Answer:
        """Send the rows as raw bytes; read raw or typed contents, as the server likes."""
        entry = {"name": name, "datatype": tensors.name_of(rows), "shape": list(rows.shape)}
        said = self._call(
            "ModelInfer",
            model_name=self._spec.model,
            model_version=self._spec.model_version,
            id=str(next(self._requests)),
            inputs=[entry],
            outputs=[{"name": output} for output in outputs],
            raw_input_contents=[tensors.to_bytes(rows)],
        )
        return Answer(self._outputs(said), said.model_name, said.model_version)

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
            failure = grpc_failure(
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
                trusted = grpc.ssl_channel_credentials(root_certificates=roots(ca))
                self._certificate = self._shown_certificate()
                self._channel = grpc.secure_channel(place, trusted, OPTIONS)
            else:
                self._channel = grpc.insecure_channel(place, OPTIONS)
        return self._channel

    def _shown_certificate(self) -> str:
        address = self._address
        try:
            return certificate_of(address.host, address.port, self._spec.ca, self._seconds)
        except OSError as error:
            raise grpc_failure(
                address.title, grpc.StatusCode.UNAVAILABLE, "", self._seconds, error
            ) from None

    def _outputs(self, said: Any) -> dict[str, Anything]:  # noqa: ANN401 -- messages have no types
        raw = list(said.raw_output_contents)
        if raw and len(raw) != len(said.outputs):
            raise ModelFailedError(
                f"{self._address.title} sends {len(raw)} raw tensors for {len(said.outputs)} "
                "outputs",
                cure=CURE,
            )
        arrays: dict[str, Anything] = {}
        for index, entry in enumerate(said.outputs):
            if entry.name in arrays:
                raise ModelFailedError(
                    f"{self._address.title} sends the output {entry.name[:64]!r} twice", cure=CURE
                )
            arrays[entry.name] = _tensor(entry, raw[index] if raw else None)
        return arrays


def _tensor(entry: Any, raw: bytes | None) -> Anything:  # noqa: ANN401 -- messages have no types
    shape = tensors.read_shape(entry.name, list(entry.shape))
    if raw is not None:
        return tensors.read_bytes(entry.name, entry.datatype, shape, raw)
    field = CONTENTS.get(entry.datatype)
    values = [] if field is None else getattr(entry.contents, field)
    if field is None or len(values) != math.prod(shape):
        raise ModelFailedError(
            f"the server's output {entry.name[:64]!r} has the shape {list(shape)} and "
            f"{len(values)} values of {entry.datatype[:32]!r}",
            cure=tensors.FAULT,
        )
    if field == "bytes_contents":
        return tensors.from_texts(entry.name, list(values)).reshape(shape)
    dtype = tensors.TYPES[entry.datatype][1]
    return tensors.from_values(entry.name, dtype, list(values)).reshape(shape)


def _declared(listed: Sequence[Any]) -> tuple[Declared, ...]:
    return tuple(
        Declared(
            entry.name,
            tensors.ort_type(entry.datatype),
            tuple(size if size > 0 else None for size in entry.shape),
        )
        for entry in listed
    )

"""The messages of the Open Inference Protocol's gRPC service, built from one table.

Numbers and types are those of ``open_inference_grpc.proto`` in the protocol's repository; what
is neither sent nor read (parameters) is left out, which protobuf allows for.
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

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


def message_classes() -> Mapping[str, Any]:
    """Return a class for each message of the table, from a pool that nobody else writes to."""
    file = descriptor_pb2.FileDescriptorProto(
        name="auditor/inference.proto", package=PACKAGE, syntax="proto3"
    )
    for name, fields in TABLE.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            _add(message, field, number, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
        for name in TABLE
    }


def _add(message: descriptor_pb2.DescriptorProto, field: str, number: int, kind: str) -> None:
    proto = descriptor_pb2.FieldDescriptorProto
    bare = kind.removeprefix(_MANY)
    added = message.field.add(name=field, number=number)
    added.label = proto.LABEL_REPEATED if kind.startswith(_MANY) else proto.LABEL_OPTIONAL
    if bare in TABLE:
        added.type, added.type_name = proto.TYPE_MESSAGE, f".{PACKAGE}.{bare}"
    else:
        added.type = proto.Type.Value(f"TYPE_{bare.upper()}")

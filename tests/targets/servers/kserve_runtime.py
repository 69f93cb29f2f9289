"""An ONNX Runtime model of KServe, as its users write them: ``kserve_runtime.py PATH …``."""

import argparse

import onnxruntime
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer, model_server

TYPES = {"tensor(float)": "FP32", "tensor(int64)": "INT64"}


def slot(entry: onnxruntime.NodeArg) -> dict[str, object]:
    shape = [size if isinstance(size, int) else -1 for size in entry.shape]
    return {"name": entry.name, "datatype": TYPES[entry.type], "shape": shape}


class OnnxModel(Model):
    def __init__(self, path: str) -> None:
        super().__init__("tiny")
        self._session = onnxruntime.InferenceSession(path)
        self.ready = True

    def get_input_types(self) -> list[dict[str, object]]:
        return [slot(entry) for entry in self._session.get_inputs()]

    def get_output_types(self) -> list[dict[str, object]]:
        return [slot(entry) for entry in self._session.get_outputs()]

    def predict(self, payload: InferRequest, headers: object = None) -> InferResponse:
        (given,) = payload.inputs
        found = self._session.run(None, {given.name: given.as_numpy()})
        outputs = []
        for entry, array in zip(self.get_output_types(), found, strict=True):
            output = InferOutput(entry["name"], list(array.shape), entry["datatype"])
            output.set_data_from_numpy(array, binary_data=payload.use_binary_outputs)
            outputs.append(output)
        return InferResponse(
            payload.id,
            self.name,
            outputs,
            use_binary_outputs=payload.use_binary_outputs,
            requested_outputs=payload.request_outputs,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(parents=[model_server.parser])
    parser.add_argument("path")
    ModelServer().start([OnnxModel(parser.parse_args().path)])

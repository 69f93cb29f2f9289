"""An ONNX Runtime runtime of MLServer, as its users write them."""

import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class OnnxRuntime(MLModel):
    async def load(self) -> bool:
        self._session = onnxruntime.InferenceSession(self.settings.parameters.uri)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        (given,) = payload.inputs
        rows = NumpyCodec.decode_input(given).astype(np.float32)
        names = [output.name for output in self._session.get_outputs()]
        found = self._session.run(names, {given.name: rows})
        outputs = [
            NumpyCodec.encode_output(name, array) for name, array in zip(names, found, strict=True)
        ]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)

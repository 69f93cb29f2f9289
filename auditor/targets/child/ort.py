"""ONNX Runtime, whose types are not published."""

from typing import Any

import onnxruntime

ort: Any = onnxruntime

"""Fourier transforms, and the filters that turn spectra into mel bands."""

import numpy as np
import torch
from onnx import helper
from torch import Tensor

from auditor.onnx.graph import NodeAttributes
from auditor.onnx.operator_registry import register_operator
from auditor.onnx.twin.torch_tensors import tensor_type


@register_operator("DFT", since=17)
def dft_by_attribute(attributes: NodeAttributes, x: Tensor, length: Tensor | None = None) -> Tensor:
    """Return the discrete Fourier transform along an axis that is an attribute (opset 17)."""
    return _dft(attributes, x, length, attributes.integer("axis", 1))


@register_operator("DFT", since=20)
def dft(
    attributes: NodeAttributes, x: Tensor, length: Tensor | None = None, axis: Tensor | None = None
) -> Tensor:
    """Return the discrete Fourier transform; the last axis holds real and imaginary parts."""
    return _dft(attributes, x, length, -2 if axis is None else int(axis.item()))


def _dft(attributes: NodeAttributes, x: Tensor, length: Tensor | None, axis: int) -> Tensor:
    count = None if length is None else int(length.item())
    along = axis % x.dim()
    inverse, onesided = attributes.integer("inverse"), attributes.integer("onesided")
    signal = x[..., 0] if x.shape[-1] == 1 else torch.view_as_complex(x.contiguous())
    if inverse and onesided:
        real: Tensor = torch.fft.irfft(signal, count, along)
        return real.unsqueeze(-1)
    if inverse:
        return torch.view_as_real(torch.fft.ifft(signal, count, along))
    found = torch.fft.fft(signal, count, along)
    if onesided:
        found = found.narrow(along, 0, found.shape[along] // 2 + 1)
    return torch.view_as_real(found)


@register_operator("STFT", since=17)
def stft(
    attributes: NodeAttributes,
    x: Tensor,
    step: Tensor,
    window: Tensor | None = None,
    length: Tensor | None = None,
) -> Tensor:
    """Return spectra of overlapping frames, ``[batch, frames, frequencies, 2]``."""
    size = int(length.item()) if length is not None else 0 if window is None else len(window)
    signal = x.unsqueeze(-1) if x.dim() == 2 else x  # noqa: PLR2004 -- without a last axis of parts
    frames = signal.unfold(1, size, int(step.item())).movedim(-1, 2).contiguous()
    if window is not None:
        frames = frames * window.reshape(1, 1, -1, 1)
    line = frames[..., 0] if frames.shape[-1] == 1 else torch.view_as_complex(frames)
    spectra = torch.fft.fft(line, dim=2)
    if attributes.integer("onesided", 1):
        spectra = spectra.narrow(2, 0, size // 2 + 1)
    return torch.view_as_real(spectra)


@register_operator("MelWeightMatrix", since=17)
def mel_weight_matrix(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX gives this operator
    attributes: NodeAttributes,
    bands: Tensor,
    length: Tensor,
    rate: Tensor,
    low: Tensor,
    high: Tensor,
) -> Tensor:
    """Return ``[frequencies, bands]``: triangles that peak at 1, evenly spaced in mel."""
    count, size = int(bands.item()), int(length.item())
    ends = [2595 * np.log10(1 + float(edge.item()) / 700) for edge in (low, high)]
    mels = np.arange(count + 2) * (ends[1] - ends[0]) / (count + 2) + ends[0]
    hertz = 700 * (10 ** (mels / 2595) - 1)
    bins = ((size + 1) * hertz // float(rate.item())).astype(int)
    weights = np.zeros((size // 2 + 1, count))
    for band, (left, peak, right) in enumerate(zip(bins, bins[1:], bins[2:], strict=False)):
        weights[left:peak, band] = (np.arange(left, peak) - left) / max(peak - left, 1)
        weights[peak:right, band] = (right - np.arange(peak, right)) / max(right - peak, 1)
        weights[peak, band] = 1
    kind = helper.tensor_dtype_to_np_dtype(attributes.integer("output_datatype", 1))
    return torch.from_numpy(weights).to(tensor_type(kind))

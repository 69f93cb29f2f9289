"""Privacy-auditing canaries in a training by Opacus, through its per-sample gradients."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from auditor.metrics.privacy_accounting.canaries import LOUD, NOBODY, CanaryHook


class CanaryLayerModel(nn.Module):
    """A model beside a layer of one weight a canary that adds nothing to what the model says."""

    def __init__(self, model: nn.Module, canaries: int) -> None:
        super().__init__()
        self.model = model
        self.audit = nn.Linear(1, canaries, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the model's answer; the layer is given zeros, so that its slope is zero too."""
        answer: Tensor = self.model(inputs)
        nothing = self.audit(answer.new_zeros(len(inputs), 1)).sum(dim=1)
        summed: Tensor = answer + nothing.view(-1, *([1] * (answer.dim() - 1)))
        return summed


class OpacusHook(CanaryHook):
    """Used in the owner's ``dp_train`` at four places.

    ``model = hook.audited(model)`` before ``make_private``, ``hook.attach(optimizer)`` after it,
    ``hook.batch(canary)`` with each batch's part of ``data["canary"]``, and ``return hook.seen()``.
    """

    def __init__(self, data: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        super().__init__(data, settings)
        self._layer: nn.Linear | None = None
        self._batch = torch.zeros(0, dtype=torch.int64)
        self._since = 0

    def audited(self, model: nn.Module) -> nn.Module:
        """Return the model with a layer for the canaries."""
        whole = CanaryLayerModel(model, self.count)
        self._layer = whole.audit
        return whole

    def batch(self, canary: Tensor) -> None:
        """Say which rows of the batch are canaries, before its gradients are worked out."""
        self._batch = canary.reshape(-1).to(torch.int64)
        self._since += len(self._batch)

    def attach(self, optimizer: Any) -> None:  # noqa: ANN401 -- Opacus is not imported
        """Write canaries before each clipping, and look at each noisy step.

        Raises ``TypeError`` for an optimizer without gradients a record, as in ghost clipping.
        """
        if not hasattr(optimizer, "clip_and_accumulate") or self._layer is None:
            message = "attach takes the DPOptimizer of make_private, after audited(model)"
            raise TypeError(message)
        clip = optimizer.clip_and_accumulate

        def clip_with_canaries() -> None:
            self._write(optimizer.params)
            clip()

        optimizer.clip_and_accumulate = clip_with_canaries
        optimizer.original_optimizer.register_step_pre_hook(lambda *_: self._look())

    def _write(self, weights: list[Any]) -> None:
        rows = torch.nonzero(self._batch != NOBODY).reshape(-1)
        for weight in weights:
            kept = weight.grad_sample
            for gradients in kept if isinstance(kept, list) else [kept]:
                at = rows.to(gradients.device)
                gradients[at] = 0.0
                if self._layer is not None and weight is self._layer.weight:
                    gradients[at, self._batch[rows].to(gradients.device), 0] = LOUD

    def _look(self) -> None:
        if self._layer is not None and self._layer.weight.grad is not None:
            noisy = self._layer.weight.grad.detach().reshape(-1).cpu().double().numpy()
            self.saw(noisy, self._since)
            self._since = 0

"""What torch's two exporters make of the networks, opset by opset."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from functools import cache, partial
from itertools import cycle
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from twin_corpus import Entry
from twin_corpus_nets import NETS, InFront, Maker
from twin_corpus_rows import digits, rows_of
from twin_corpus_sequences import SEQUENCES
from twin_corpus_zoo import ZOO

EVERYTHING: Mapping[str, tuple[Maker, str]] = {**NETS, **SEQUENCES, **ZOO}
TORCHSCRIPT, DYNAMO = (13, 15, 17, 20), (18, 20, 21, 23, 24)
THROUGH_ALL_OPSETS = ("cnn", "residual", "mlp", "encoder", "lstm", "groupnorm")
NEEDS_OPSET = {"vit": 15, "encoder": 15, "encoder_norm_first": 15, "attention": 15}
"""scaled_dot_product_attention is exported from opset 14 on."""
DYNAMO_ONLY = {"rmsnorm", "attention"}
"""What tracing cannot express."""
FINE = 0.002
"""A step for deep networks of random weights, which bend sooner."""
SPREAD = 2.0
SAMPLE = 96
LESSONS, PASSES = 512, 10
ENDS = (nn.Softmax, nn.LogSoftmax, nn.Sigmoid)


@contextmanager
def quiet() -> Iterator[None]:
    """Let exporters warn unheard, and trace attention as it is written."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(value=False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(value=fast)


@cache
def prepared(name: str) -> nn.Module:
    """Return a network whose scores are spread over its rows."""
    make, kind = EVERYTHING[name]
    torch.manual_seed(5)
    module, rows = make(), torch.from_numpy(rows_of(kind, SAMPLE).copy())
    for layer in module.modules():
        if isinstance(layer, _BatchNorm):
            layer.momentum = 1.0  # the statistics of one pass
    with torch.no_grad():
        module.train()(rows)
        _spread(module.eval(), rows)
    return module


@cache
def taught(name: str) -> nn.Module:
    """Return a network that has seen the digits a few times: what a quantiser is meant for."""
    kind = EVERYTHING[name][1]
    module, rows = prepared(name), torch.from_numpy(rows_of(kind, LESSONS).copy())
    module, labels = deepcopy(module), torch.from_numpy(digits()[1][:LESSONS])
    steps = torch.optim.Adam(module.train().parameters(), 5e-3)
    for layer in module.modules():
        if isinstance(layer, _BatchNorm):
            layer.momentum = 0.1
    generator = torch.Generator().manual_seed(6)
    for _ in range(PASSES):
        for part in torch.randperm(len(rows), generator=generator).split(64):
            steps.zero_grad()
            functional.cross_entropy(module(rows[part]), labels[part]).backward()
            steps.step()
    return module.eval()


def _spread(module: nn.Module, rows: torch.Tensor) -> None:
    """Scale and shift the last linear layer so that rows differ in their scores."""
    last = [layer for layer in module.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    scored = module
    if isinstance(module, nn.Sequential) and isinstance(module[-1], ENDS):
        scored = module[:-1]
    if not last or last[-1].bias is None:
        return
    linear = isinstance(last[-1], nn.Linear)
    scores = scored(rows)
    gain = SPREAD / float(scores.std(dim=0).mean() if linear else scores.std())
    last[-1].weight *= gain
    last[-1].bias *= gain
    if linear:
        last[-1].bias -= scored(rows).mean(dim=0)


@cache
def traced(name: str) -> torch.export.ExportedProgram:
    """Return a network as torch.export sees it, once for all opsets."""
    example = torch.from_numpy(rows_of(EVERYTHING[name][1], 3).copy())
    batch = torch.export.Dim("n", min=1, max=4096)
    with quiet():
        return torch.export.export(prepared(name), (example,), dynamic_shapes=({0: batch},))


def by_torchscript(
    path: Path, *, name: str, opset: int, dtype: torch.dtype = torch.float32, fixed: int = 0,
    learned: bool = False,
) -> None:  # fmt: skip
    """Export by tracing; ``fixed`` is a batch that stays as it is."""
    example = torch.from_numpy(rows_of(EVERYTHING[name][1], fixed or 3).copy()).to(dtype)
    module = taught(name) if learned else prepared(name)
    module = module if dtype is torch.float32 else _in(module, dtype)
    axes = {} if fixed else {"x": {0: "n"}, "scores": {0: "n"}}
    with quiet(), torch.no_grad():
        torch.onnx.export(
            module, (example,), str(path), dynamo=False, opset_version=opset, dynamic_axes=axes,
            input_names=["x"], output_names=["scores"],
        )  # fmt: skip


def by_dynamo(path: Path, *, name: str, opset: int) -> None:
    """Export what torch.export captured."""
    with quiet():
        torch.onnx.export(
            traced(name), (), str(path), dynamo=True, opset_version=opset, verbose=False,
            input_names=["x"], output_names=["scores"], external_data=False,
        )  # fmt: skip


def by_dynamo_in(path: Path, *, name: str, dtype: torch.dtype) -> None:
    """Export a network that computes in ``dtype`` between float32 ends."""
    example = torch.from_numpy(rows_of(EVERYTHING[name][1], 3).copy())
    inner = InFront(_in(prepared(name), dtype), lambda rows: rows.to(dtype))
    module = nn.Sequential(inner, Floats()).eval()
    batch = torch.export.Dim("n", min=1, max=4096)
    with quiet():
        captured = torch.export.export(module, (example,), dynamic_shapes=({0: batch},))
        torch.onnx.export(
            captured, (), str(path), dynamo=True, opset_version=20, verbose=False,
            input_names=["x"], output_names=["scores"], external_data=False,
        )  # fmt: skip


class Floats(nn.Module):
    """Scores in float32."""

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the same numbers."""
        return scores.float()


def _in(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Return a copy that computes in ``dtype``."""
    return deepcopy(module).to(dtype)


def entry(name: str, way: str, opset: int, family: str) -> Entry:
    """Return the entry of one network, exporter and opset."""
    make = by_torchscript if way == "torchscript" else by_dynamo
    binary = name.startswith("binary")
    return Entry(
        f"{name}/{way}-{opset}", family, partial(make, name=name, opset=opset),
        EVERYTHING[name][1], classes=2 if binary else 10,
        logits=name not in {"probabilities", "binary_sigmoid"},
        step=FINE if name in ZOO else 0.02,
    )  # fmt: skip


def _each(nets: Mapping[str, tuple[Maker, str]], family: str) -> list[Entry]:
    """Return each network by each exporter: at all opsets, or at one in turn."""
    found = []
    ways = (("torchscript", TORCHSCRIPT, DYNAMO_ONLY), ("dynamo", DYNAMO, set[str]()))
    for way, opsets, without in ways:
        turn = cycle(opsets)
        for name in sorted(set(nets) - without):
            usual = max(next(turn), NEEDS_OPSET.get(name, 0))
            chosen = opsets if name in THROUGH_ALL_OPSETS else (usual,)
            wanted = {max(opset, NEEDS_OPSET.get(name, 0)) for opset in chosen}
            found += [entry(name, way, opset, family) for opset in sorted(wanted)]
    return found


def exports() -> list[Entry]:
    """Return the float files of torch."""
    return [
        *_each(NETS, "layers"),
        *_each(SEQUENCES, "sequences and columns"),
        *_each(ZOO, "architectures"),
        *[
            Entry(
                f"{name}/batch-{fixed}", "layers",
                partial(by_torchscript, name=name, opset=17, fixed=fixed), "pictures32",
                logits=True,
            )
            for name in ("cnn", "residual") for fixed in (1, 4)
        ],
    ]  # fmt: skip

"""How the network of this example was trained, as a function that trains again.

`make.py` makes `model.onnx` with it, and an audit calls it where `audit.yaml` gives leave: it makes
models that saw other rows, to compare with.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

EPOCHS = 60
BATCH_ROWS = 64


def train(X: NDArray[np.float32], y: NDArray[np.int64], seed: int) -> nn.Module:  # noqa: N803 -- the contract's name
    """Return the trained network: [n, 1, 8, 8] pixels in 0..1 to [n, 10] logits."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    pixels, labels = torch.from_numpy(X).float(), torch.from_numpy(y)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 24, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(24 * 4 * 4, 10),
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(pixels), generator=generator).split(BATCH_ROWS):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(pixels[rows]), labels[rows]).backward()
            optimizer.step()
        schedule.step()
    return model.eval()

"""An owner's private training by Opacus, with the four places of the hook, and planted deficits."""

import warnings

import torch
from opacus import PrivacyEngine
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from auditor.metrics.privacy_accounting.opacus_canaries import OpacusHook

BATCH, EPOCHS = 50, 20
NOISE, SHRUNK = 1.0, 1.0


def dp_train(data, settings, *, claimed=NOISE, shrunk=SHRUNK):  # noqa: ANN001, ANN201 -- an owner's
    """Train a small network with ``claimed / shrunk`` clips of noise."""
    warnings.simplefilter("ignore")
    torch.manual_seed(int(settings["seed"]) % 2**31)
    hook = OpacusHook(data, settings)
    rows = torch.as_tensor(data["inputs"]).float()
    labels = torch.as_tensor(data["labels"]).long()
    whole = TensorDataset(rows, labels, torch.as_tensor(data["canary"]))
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(rows[0].numel(), 16), nn.ReLU(), nn.Linear(16, 2)
    )
    model = hook.audited(network)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    model, optimizer, loader = PrivacyEngine().make_private(
        module=model,
        optimizer=optimizer,
        data_loader=DataLoader(whole, batch_size=BATCH),
        noise_multiplier=claimed / shrunk,
        max_grad_norm=1.0,
    )
    hook.attach(optimizer)
    for _ in range(EPOCHS):
        for inputs, classes, canary in loader:
            hook.batch(canary)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), classes).backward()
            optimizer.step()
    return hook.seen()

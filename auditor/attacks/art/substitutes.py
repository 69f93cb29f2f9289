"""Models of an attacker's own, taught on the training rows: what poison is made with where ART asks
for a PyTorch module or a support vector machine, which no artifact is.
"""

import importlib
from collections.abc import Callable

import numpy as np

from auditor.attacks.art.attempts import Desk
from auditor.attacks.art.edge import Untyped, module
from auditor.attacks.art.meters import Meter
from auditor.attacks.art.views import Numbers
from auditor.attacks.losses import Labels
from auditor.shadows.stacks import Stack
from auditor.shadows.training import Settings, train_stack

NETWORK = Settings(hidden=(64,), updates=1500, rate=0.01)
FEATURES = 2
"""Which layer of the network holds its features: after flattening and one layer of weights."""
MOST_SUPPORT = 60
"""Rows that a support vector machine learns from, whose matrices the attack inverts."""


def network(desk: Desk, shown: Numbers, labels: Labels, meter: Meter) -> Untyped:
    """Return an ART ``PyTorchClassifier`` of one hidden layer, taught on shown rows.

    Raises ``ImportError`` without torch.
    """
    torch = importlib.import_module("torch")
    include = np.ones((1, len(shown)), dtype=np.bool_)
    stack = train_stack(shown, labels, desk.classes, include, NETWORK, seed=desk.seed % 2**31)
    net = _module(torch, stack)
    net.register_forward_pre_hook(lambda *_: meter.look())
    made = module("art.estimators.classification").PyTorchClassifier
    return made(
        model=net,
        loss=torch.nn.CrossEntropyLoss(),
        optimizer=torch.optim.Adam(net.parameters(), lr=1e-3),
        input_shape=desk.lens.shape,
        nb_classes=desk.classes,
        clip_values=(0.0, 1.0),
        channels_first=desk.lens.channels_first,
        device_type="cpu",
    )


def _module(torch: Untyped, stack: Stack) -> Untyped:
    """Return a stack's first model as a PyTorch module, its scaling in the first weights."""
    first = stack.weights[0][0] / stack.scaling.width[:, None]
    shift = stack.biases[0][0] - stack.scaling.middle @ first
    later = zip(stack.weights[1:], stack.biases[1:], strict=True)
    layers = [(first, shift), *((weight[0], bias[0]) for weight, bias in later)]
    parts = [torch.nn.Flatten()]
    for place, (weight, bias) in enumerate(layers):
        linear = torch.nn.Linear(*weight.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.as_tensor(weight.T.astype(np.float32)))
            linear.bias.copy_(torch.as_tensor(bias.astype(np.float32)))
        parts += [linear] if place == len(layers) - 1 else [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*parts).eval()


def machine(shown: Numbers, labels: Labels, look: Callable[[], None]) -> Untyped:
    """Return an ART ``ScikitlearnSVC`` with a linear kernel, taught on flat shown rows."""
    svc = module("sklearn.svm").SVC

    def decision(self: Untyped, rows: Numbers) -> Untyped:
        look()
        return svc.decision_function(self, rows)

    kind = type("SVC", (svc,), {"decision_function": decision, "__init__": svc.__init__})
    made = kind(kernel="linear", probability=True).fit(shown, labels)
    wrapper = module("art.estimators.classification.scikitlearn").ScikitlearnSVC
    return wrapper(model=made, clip_values=(0.0, 1.0))

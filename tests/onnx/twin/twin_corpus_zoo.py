"""torchvision's architectures, cut to a few blocks, with ten classes and random weights."""

from collections.abc import Mapping
from functools import partial

from torch import nn
from torchvision import models
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.efficientnet import MBConvConfig
from torchvision.models.regnet import BlockParams
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.models.swin_transformer import PatchMergingV2, SwinTransformerBlockV2
from twin_corpus_nets import Maker

CLASSES = 10


def efficientnet() -> nn.Module:
    """Return three stages of EfficientNet."""
    stages = [
        MBConvConfig(1, 3, 1, 8, 8, 1, 1.0, 1.0),
        MBConvConfig(4, 3, 2, 8, 16, 2, 1.0, 1.0),
        MBConvConfig(4, 5, 2, 16, 24, 1, 1.0, 1.0),
    ]
    return models.EfficientNet(stages, dropout=0.1, last_channel=48, num_classes=CLASSES)


def convnext() -> nn.Module:
    """Return two stages of ConvNeXt."""
    stages = [CNBlockConfig(12, 24, 1), CNBlockConfig(24, None, 2)]
    return models.ConvNeXt(stages, layer_scale=0.5, num_classes=CLASSES)


def regnet() -> nn.Module:
    """Return RegNet with squeeze and excitation."""
    params = BlockParams([1, 1], [16, 24], [8, 8], [1.0, 1.0], [2, 2], 0.25)
    return models.RegNet(params, num_classes=CLASSES, stem_width=8)


def vit() -> nn.Module:
    """Return a vision transformer of two layers."""
    made = models.VisionTransformer(32, 8, 2, 2, 24, 48, num_classes=CLASSES)
    nn.init.normal_(made.heads.head.weight, std=0.2)
    return made


def swin(second: bool = False) -> nn.Module:  # noqa: FBT001, FBT002 -- the version
    """Return a shifted-window transformer of two stages."""
    more = {"block": SwinTransformerBlockV2, "downsample_layer": PatchMergingV2} if second else {}
    return models.SwinTransformer(
        [4, 4], 12, [2, 2], [2, 4], [4, 4], stochastic_depth_prob=0.0, num_classes=CLASSES, **more
    )


def densenet() -> nn.Module:
    """Return DenseNet with three short blocks."""
    return models.DenseNet(8, (2, 2, 2), 16, num_classes=CLASSES)


def mobilenet_v2() -> nn.Module:
    """Return MobileNetV2 of four stages."""
    stages = [[1, 8, 1, 1], [6, 12, 2, 2], [6, 16, 1, 2], [6, 24, 1, 1]]
    return models.MobileNetV2(CLASSES, 0.5, stages)


def resnext() -> nn.Module:
    """Return ResNeXt with one block a stage."""
    return models.ResNet(Bottleneck, [1, 1, 1, 1], CLASSES, groups=4, width_per_group=4)


def vgg() -> nn.Module:
    """Return VGG with batch normalisation and narrow layers."""
    made = models.vgg.make_layers([8, "M", 16, "M", 16, 16, "M"], batch_norm=True)
    return nn.Sequential(made, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, CLASSES))


ZOO: Mapping[str, tuple[Maker, str]] = {
    "mobilenet_v2": (mobilenet_v2, "pictures32"),
    "mobilenet_v3_small": (
        partial(models.mobilenet_v3_small, weights=None, num_classes=CLASSES, width_mult=0.5),
        "pictures32",
    ),
    "shufflenet": (
        partial(models.ShuffleNetV2, [1, 2, 1], [8, 16, 32, 48, 64], num_classes=CLASSES),
        "pictures32",
    ),
    "squeezenet": (
        partial(models.squeezenet1_1, weights=None, num_classes=CLASSES), "pictures64"
    ),
    "densenet": (densenet, "pictures32"),
    "regnet": (regnet, "pictures32"),
    "efficientnet": (efficientnet, "pictures32"),
    "convnext": (convnext, "pictures32"),
    "resnet": (partial(models.ResNet, BasicBlock, [1, 1, 1, 1], CLASSES), "pictures32"),
    "resnext": (resnext, "pictures32"),
    "vgg": (vgg, "pictures32"),
    "vit": (vit, "pictures32"),
    "swin": (swin, "pictures32"),
    "swin_v2": (partial(swin, second=True), "pictures32"),
}  # fmt: skip

"""The networks of models/*.yaml in PyTorch: the same layers, the same names of tensors."""

from pathlib import Path

import torch
import yaml
from torch import Tensor, nn


class Residual(nn.Module):
    """branch(x) + shortcut(x); without a shortcut, x itself."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module | None):
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.branch(x) + (x if self.shortcut is None else self.shortcut(x))


class Energy(nn.Module):
    """E(x), `[B,C,H,W]` to `[B]`, of the network that an architecture file describes."""

    def __init__(self, file: Path):
        super().__init__()
        model = yaml.safe_load(file.read_text())
        known = {"name", "input", "output", "layers"}
        if set(model) - known:
            raise ValueError(f"{file}: these keys are not known here: {sorted(set(model) - known)}")
        self.name = model["name"]
        self.input = tuple(model["input"])
        self.output = model.get("output", "energy")
        self.layers, _ = stack(model["layers"], self.input)

    def forward(self, x: Tensor) -> Tensor:
        raw = self.layers(x)
        if self.output == "logits":
            return -raw.logsumexp(dim=1)
        raw = raw.reshape(x.shape[0])
        return -raw if self.output == "negative-energy" else raw

    def logits(self, x: Tensor) -> Tensor:
        """f(x), `[B,K]`, of a classifier."""
        return self.layers(x)


def stack(layers: list, shape: tuple) -> tuple[nn.Sequential, tuple]:
    """Layers one after another, and the shape that comes out of an image of `shape`."""
    modules = []
    for layer in written_out(layers):
        kind, options = (layer, {}) if isinstance(layer, str) else next(iter(layer.items()))
        module = make(kind, dict(options), shape)
        # In evaluation mode and without memory: only the shape is asked for.
        with torch.no_grad():
            shape = tuple(module(torch.zeros(1, *shape)).shape[1:])
        modules.append(module)
    return nn.Sequential(*modules), shape


def written_out(layers: list) -> list:
    """The layers with each `repeat` in its place, as often as it says."""
    out = []
    for layer in layers:
        if isinstance(layer, dict) and "repeat" in layer:
            repeat = layer["repeat"]
            out += written_out(repeat["layers"]) * repeat["times"]
        else:
            out.append(layer)
    return out


def make(kind: str, options: dict, shape: tuple) -> nn.Module:
    """One layer; an option or a kind that is not known here is an error."""
    take = options.pop
    match kind:
        case "conv":
            module = nn.Conv2d(
                shape[0],
                take("out"),
                take("kernel"),
                stride=take("stride", 1),
                padding=take("padding", 0),
                bias=take("bias", True),
            )
        case "linear":
            module = nn.Linear(shape[0], take("out"), bias=take("bias", True))
        case "silu":
            module = nn.SiLU()
        case "relu":
            module = nn.ReLU()
        case "leaky_relu":
            module = nn.LeakyReLU(take("slope"))
        case "avg_pool":
            module = nn.AvgPool2d(take("size"))
        case "flatten":
            module = nn.Flatten()
        case "residual":
            branch, _ = stack(take("branch"), shape)
            short, _ = stack(take("shortcut", []), shape)
            shortcut = None if len(short) == 0 else short[0] if len(short) == 1 else short
            module = Residual(branch, shortcut)
        case _:
            raise ValueError(f"the layer `{kind}` is not known to the comparison")
    if options:
        raise ValueError(f"these options of `{kind}` are not known to the comparison: {sorted(options)}")
    return module

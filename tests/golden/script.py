"""Tiny TorchScript networks for tests/evaluate.rs, and what PyTorch gives for them: python script.py

Writes script_identity.pt, script_classes.pt, script_scalar.pt and script.json beside itself.
"""
import io
import json
import zipfile
from pathlib import Path

import torch
import torch.nn.functional as F

HERE = Path(__file__).parent
torch.set_num_threads(1)


class Identity(torch.nn.Module):
    """The images as they come, four-dimensional."""

    def forward(self, x):
        return x * 1.0


class Classes(torch.nn.Module):
    """Probabilities of three classes, from the means of the upper half, the lower half and both; images in [0, 1]."""

    def forward(self, x):
        half = x.shape[2] // 2
        mean = lambda part: part.mean(dim=[1, 2, 3])
        return torch.stack([mean(x[:, :, :half]), mean(x[:, :, half:]), mean(x)], 1).mul(8.0).softmax(1)


class Scalar(torch.nn.Module):
    """One number for all images together."""

    def forward(self, x):
        return x.sum()


def save(module, name):
    """Without what PyTorch records of the machine that the network was traced on."""
    module.eval()
    whole = io.BytesIO()
    torch.jit.save(torch.jit.trace(module, torch.zeros(2, 3, 8, 8)), whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(HERE / name, "w") as target:
        for entry in source.namelist():
            if "debug_pkl" not in entry and "traced_inputs" not in entry:
                target.writestr(zipfile.ZipInfo(entry), source.read(entry))


def levels(n, c, h, w):
    """u8 images that need no generator."""
    count = n * c * h * w
    return ((torch.arange(count) * 89 + 31) % 256).reshape(n, c, h, w).to(torch.uint8)


def case(c, channels, size, low, high):
    images = levels(2, c, 6, 5)
    x = images.float() / 255 * (high - low) + low
    x = x.expand(2, channels, 6, 5)
    x = F.interpolate(x, size=size, mode="bilinear", antialias=True, align_corners=False)
    return {"channels": c, "to": channels, "size": size, "range": [low, high], "features": x.flatten(1).tolist()}


if __name__ == "__main__":
    save(Identity(), "script_identity.pt")
    save(Classes(), "script_classes.pt")
    save(Scalar(), "script_scalar.pt")
    cases = [
        case(1, 3, [4, 3], 0.0, 1.0),
        case(1, 1, [9, 11], -1.0, 1.0),
        case(3, 3, [3, 8], -2.0, 0.5),
        case(3, 3, [6, 5], 0.0, 255.0),
    ]
    (HERE / "script.json").write_text(json.dumps({"cases": cases}) + "\n")

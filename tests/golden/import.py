"""Golden values for `ebm import`: two networks with the tensor names of two public PyTorch ones, and their outputs.

The ResNet-20 for CIFAR-10 saves a state dict of `nn.DataParallel` (`module.layer1.0.conv1.weight`), the MNIST network of
the UvA tutorial 8 one of a Lightning module (`cnn.cnn_layers.0.weight`) whose output is f = -E. Weights follow the rule of
nn.py and are not stored; images are levels by the same rule. Run with PyTorch 2.11 on a CPU: python import.py. It writes
import.json beside itself.
"""
import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from nn import fill, rounded, uniform


class BasicBlock(nn.Module):
    def __init__(self, channels, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.stride, self.added = stride, (out - channels) // 2

    def forward(self, x):
        h = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        short = x[:, :, :: self.stride, :: self.stride]
        return F.relu(h + F.pad(short, (0, 0, 0, 0, self.added, self.added)))


class ResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        group = lambda channels, out: nn.Sequential(
            BasicBlock(channels, out, 1 if out == channels else 2), BasicBlock(out, out, 1), BasicBlock(out, out, 1)
        )
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1, self.layer2, self.layer3 = group(16, 16), group(16, 32), group(32, 64)
        self.linear = nn.Linear(64, 10)

    def forward(self, levels):
        mean, std = (torch.tensor(v, dtype=levels.dtype).reshape(3, 1, 1) for v in (MEAN, STD))
        h = F.relu(self.bn1(self.conv1((levels / 255 - mean) / std)))
        h = self.layer3(self.layer2(self.layer1(h)))
        return self.linear(F.avg_pool2d(h, h.shape[3]).flatten(1))


MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Swish(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(x)


class CnnModel(nn.Module):
    def __init__(self):
        super().__init__()
        c = (16, 32, 64)
        self.cnn_layers = nn.Sequential(
            nn.Conv2d(1, c[0], 5, 2, 4), Swish(), nn.Conv2d(c[0], c[1], 3, 2, 1), Swish(),
            nn.Conv2d(c[1], c[2], 3, 2, 1), Swish(), nn.Conv2d(c[2], c[2], 3, 2, 1), Swish(),
            nn.Flatten(), nn.Linear(c[2] * 4, c[2]), Swish(), nn.Linear(c[2], 1),
        )


class DeepEnergyModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.cnn = CnnModel()

    def forward(self, levels):
        return self.cnn.cnn_layers((levels / 255 - 0.5) / 0.5)


def run(net, shape, scales):
    """`shape` is images as a .npy stack holds them: [N,H,W,C]."""
    net.load_state_dict({name: fill(name, list(t.shape), scales) for name, t in net.state_dict().items()})
    net.double().eval()
    levels = torch.from_numpy(np.floor(256 * uniform("images", int(np.prod(shape))))).reshape(shape)
    with torch.no_grad():
        out = net(levels.permute(0, 3, 1, 2))
    return {
        "images": shape,
        "scales": scales,
        "state": [[name, list(t.shape)] for name, t in net.state_dict().items()],
        "out": [rounded(row) for row in out.tolist()],
    }


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    # Logits of the order of 1, so that each class counts in logsumexp.
    scales = {"module.linear.weight": 0.01}
    golden = {
        "resnet20": run(nn.DataParallel(ResNet20()), [4, 32, 32, 3], scales),
        "uva_tutorial8": run(DeepEnergyModel(), [4, 28, 28, 1], {}),
    }
    pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()

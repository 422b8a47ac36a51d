"""The Frechet distance between images, in the features of a fixed small classifier of MNIST.

The classifier is trained here, in about a minute on two cores, from a fixed seed, and kept in
out/classifier.safetensors for all that follows: distances are comparable under one classifier only.
The distance is that between the normal distributions of two sets' features (Dowson & Landau 1982); it is not the FID,
whose features are another network's.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OUT = HERE / "out"

# The images that samples are compared with: all test images of MNIST.
REFERENCE = 10_000
FEATURES = 64
EPOCHS = 3


class Failure(Exception):
    """What ends a measurement, in words for the one who started it."""


class Classifier(nn.Module):
    """A ConvNet for MNIST; what its last layer is given are the features."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * 7 * 7, FEATURES),
            nn.ReLU(),
        )
        self.head = nn.Linear(FEATURES, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


def mnist(part: str) -> tuple[Tensor, Tensor]:
    """u8 images `[N,1,28,28]` and labels of `train` or `t10k`."""
    folder = ROOT / "data/mnist"
    if not folder.is_dir():
        raise Failure("data/mnist is not there: run ./download_data.sh mnist")
    images = np.fromfile(folder / f"{part}-images-idx3-ubyte", np.uint8, offset=16)
    labels = np.fromfile(folder / f"{part}-labels-idx1-ubyte", np.uint8, offset=8)
    return torch.from_numpy(images.reshape(-1, 1, 28, 28)), torch.from_numpy(labels.astype(np.int64))


def scaled(images: Tensor) -> Tensor:
    """u8 levels as f32 in [-1, 1]."""
    return images.float() / 127.5 - 1


def to_u8(x: Tensor) -> Tensor:
    """Images in [-1, 1] as u8, rounded: as they leave any program, and as they are measured."""
    return ((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def classifier() -> Classifier:
    """The classifier, trained once."""
    net, path = Classifier(), OUT / "classifier.safetensors"
    if path.exists():
        net.load_state_dict(load_file(path))
        return net.eval()
    torch.manual_seed(0)
    net = Classifier()
    images, labels = mnist("train")
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(EPOCHS):
        for index in torch.randperm(len(images)).split(128):
            optimizer.zero_grad()
            cross_entropy(net(scaled(images[index])), labels[index]).backward()
            optimizer.step()
    net.eval()
    images, labels = mnist("t10k")
    with torch.no_grad():
        right = (net(scaled(images)).argmax(1) == labels).float().mean().item()
    if right < 0.98:
        raise Failure(f"the classifier is right on {right:.2%} of the test images, 98 % were expected: its seed is bad")
    print(f"the classifier of the Frechet distance is right on {right:.2%} of the test images", file=sys.stderr)
    OUT.mkdir(exist_ok=True)
    save_file(net.state_dict(), path)
    return net


class Frechet:
    """The distance of samples from the test images of MNIST."""

    def __init__(self):
        self.net = classifier()
        self.mean, self.root = None, None
        images, _ = mnist("t10k")
        self.mean, self.covariance = self.moments(images[:REFERENCE])
        self.root = square_root(self.covariance)

    def moments(self, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
        if images.dtype != torch.uint8 or images.shape[1:] != (1, 28, 28):
            raise Failure(f"expected u8 images [N,1,28,28], found {images.dtype} {list(images.shape)}")
        with torch.no_grad():
            features = torch.cat([self.net.body(scaled(part)) for part in images.split(500)])
        features = features.double().numpy()
        return features.mean(0), np.cov(features, rowvar=False)

    def __call__(self, images: Tensor) -> float:
        """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1^1/2 C2 C1^1/2)^1/2)"""
        mean, covariance = self.moments(images)
        cross = self.root @ covariance @ self.root
        roots = np.sqrt(np.linalg.eigvalsh((cross + cross.T) / 2).clip(min=0))
        difference = self.mean - mean
        trace = np.trace(self.covariance) + np.trace(covariance) - 2 * roots.sum()
        return float(difference @ difference + trace)

    def scale(self, n: int) -> dict[str, float]:
        """What the distance is of real images and of uniform noise, `n` of each: the ends of its scale."""
        real, _ = mnist("train")
        generator = torch.Generator().manual_seed(0)
        index = torch.randperm(len(real), generator=generator)[:n]
        noise = torch.randint(256, (n, 1, 28, 28), dtype=torch.uint8, generator=generator)
        return {"training images": self(real[index]), "uniform noise": self(noise)}


def square_root(matrix: np.ndarray) -> np.ndarray:
    """The symmetric square root of a covariance."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values.clip(min=0))) @ vectors.T

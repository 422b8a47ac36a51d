"""The pieces of work that are compared, and the files that hand each to every contender alike."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from networks import Energy
from safetensors.torch import save_file

if TYPE_CHECKING:
    from process import Contender

ROOT = Path(__file__).resolve().parent.parent.parent
OUT = ROOT / "benches/peers/out"

PEERS = ("torchebm", "ebmkit", "bare", "compiled")
OURS = {"ours": "auto", "ours f32": "f32"}
TITLES = {
    "torchebm": "TorchEBM",
    "ebmkit": "ebmkit",
    "bare": "bare PyTorch loop",
    "compiled": "torch.compile of that loop",
    "jem": "JEM's loop",
    "ours": "deep-ebm as shipped",
    "ours f32": "deep-ebm in f32",
}


@dataclass(frozen=True)
class Row:
    """One piece of work."""

    key: str
    title: str
    model: str
    work: str  # chain, pcd (a training step) or jem (one with labels)
    batch: int
    steps: int
    threads: int
    peers: tuple[str, ...] = PEERS
    step_size: float = 10.0
    noise_scale: float = 0.005
    clamp: tuple[float, float] | None = (-1.0, 1.0)
    device: str = "cpu"


JEM_PEERS = ("jem", "bare", "compiled")
JEM = {"step_size": 1.0, "noise_scale": 0.01, "clamp": None}
ROWS = [
    Row("mnist-chain", "MNIST network, chain", "mnist", "chain", 64, 20, 2),
    Row("vanilla-chain", "vanilla ConvNet 3x32x32, chain", "vanilla_convnet", "chain", 64, 20, 2, step_size=1.0),
    Row("mnist-training", "MNIST network, training step", "mnist", "pcd", 64, 20, 2),
    Row("vanilla-training", "vanilla ConvNet, training step", "vanilla_convnet", "pcd", 64, 20, 2, step_size=1.0),
    Row("mnist-one", "MNIST network, one chain", "mnist", "chain", 1, 100, 1),
    Row("vanilla-one", "vanilla ConvNet, one chain", "vanilla_convnet", "chain", 1, 100, 1, step_size=1.0),
    Row("wrn-chain", "WRN-16-4, chain", "wrn_16_4", "chain", 4, 5, 2, JEM_PEERS, **JEM),
]
CUDA_ROWS = [
    Row("cuda-mnist-chain", "MNIST network, chain", "mnist", "chain", 128, 20, 2, device="cuda"),
    Row("cuda-mnist-training", "MNIST network, training step", "mnist", "pcd", 128, 20, 2, device="cuda"),
    Row("cuda-wrn-jem", "WRN-28-10, JEM iteration", "wrn_28_10", "jem", 64, 20, 2, JEM_PEERS, device="cuda", **JEM),
]


def prepare(row: Row, name: str, contender: "Contender") -> dict:
    """Has a contender build what the row times; returns what it says of it."""
    sampler = {
        "n_steps": row.steps,
        "step_size": row.step_size,
        "noise_scale": row.noise_scale,
        "clamp": row.clamp,
    }
    if row.work == "chain":
        return contender.ask("prepare-chain", **network(row, name, sampler), start=str(start(row)), exact=False)
    images, labels = data(row)
    if name in OURS:
        file, run = OUT / f"experiment-{name.replace(' ', '-')}.yaml", OUT / f"runs/{time.time_ns()}"
        # JSON is YAML too.
        file.write_text(json.dumps(experiment(row, sampler | {"precision": OURS[name]}, images, labels)))
        return contender.ask("prepare-training", experiment=str(file), run=str(run))
    return contender.ask(
        "prepare-training",
        **network(row, name, sampler),
        images=str(images),
        labels=str(labels),
        recipe={"batch": row.batch, "labelled": row.work == "jem", **recipe(row)},
    )


def network(row: Row, name: str, sampler: dict) -> dict:
    """The part of a request that says what moves by which energy, and on what."""
    if name in OURS:
        sampler = sampler | {"precision": OURS[name]}
    return {
        "model": str(model_file(row)),
        "weights": str(weights(row)),
        "sampler": sampler,
        "threads": row.threads,
        "device": row.device,
    }


def recipe(row: Row) -> dict:
    regularised = {"energy_reg": 0.1 if row.work == "pcd" else 0.0}
    return {"buffer": 10_000, "reinit_prob": 0.05, "lr": 1e-4, "betas": [0.9, 0.999], **regularised}


def experiment(row: Row, sampler: dict, images: Path, labels: Path) -> dict:
    """The row's training as an experiment of ours."""
    how = recipe(row)
    return {
        "name": row.key,
        "device": row.device,
        "threads": row.threads,
        "data": {"dataset": {"npy": {"images": str(images), "labels": str(labels)}}},
        "model": str(model_file(row)),
        "sampler": sampler,
        "buffer": {"size": how["buffer"], "reinit_prob": how["reinit_prob"]},
        "objective": {"energy_reg": how["energy_reg"], "p_y_given_x_weight": 1.0 if row.work == "jem" else 0.0},
        "optimizer": {"algorithm": {"adam": {"betas": how["betas"]}}, "lr": how["lr"]},
        "train": {"steps": 1_000_000, "batch_size": row.batch},
    }


def model_file(row: Row) -> Path:
    return ROOT / "models" / f"{row.model}.yaml"


def weights(row: Row) -> Path:
    """PyTorch's default start of the row's network, the same for all."""
    path = OUT / f"weights-{row.model}.safetensors"
    if not path.exists():
        torch.manual_seed(0)
        save_file(Energy(model_file(row)).layers.state_dict(), path)
    return path


def start(row: Row) -> Path:
    path = OUT / f"start-{row.model}-{row.batch}.safetensors"
    if not path.exists():
        shape = Energy(model_file(row)).input
        noise = torch.rand(row.batch, *shape, generator=torch.Generator().manual_seed(1))
        save_file({"x": noise * 2 - 1}, path)
    return path


def data(row: Row) -> tuple[Path, Path]:
    """Ten thousand images of the network's size and their labels: those of ./data where they are there, else noise."""
    channels, height, width = Energy(model_file(row)).input
    mnist, cifar = ROOT / "data/mnist/t10k-images-idx3-ubyte", ROOT / "data/cifar10/test_batch.bin"
    size = (channels, height, width)
    if size == (1, 28, 28) and mnist.exists():
        images = np.fromfile(mnist, np.uint8, offset=16).reshape(-1, *size)
        labels = np.fromfile(mnist.with_name("t10k-labels-idx1-ubyte"), np.uint8, offset=8)
    elif size == (3, 32, 32) and cifar.exists():
        rows = np.fromfile(cifar, np.uint8).reshape(-1, 3073)
        images, labels = rows[:, 1:].reshape(-1, *size), rows[:, 0]
    else:
        rng = np.random.default_rng(2)
        images = rng.integers(256, size=(10_000, *size), dtype=np.uint8)
        labels = rng.integers(10, size=10_000)
    paths = OUT / f"images-{row.model}.npy", OUT / f"labels-{row.model}.npy"
    np.save(paths[0], np.ascontiguousarray(images))
    np.save(paths[1], labels.astype(np.int64))
    return paths

"""The same work by the peers and by this program, in alternation: `make bench-peers`, or with options by --help.

Every contender is a process of its own that is kept for a row and sleeps while the others work. A round asks each
once, in rotating order; the first round, in which torch.compile compiles, does not count. What is compared are ratios
within a round; their medians are printed with the least and the largest.

Before anything is timed, every contender runs the row's chain from the same start with the same weights, without noise
and without a clamp, in f32, and must end where ours ends.
"""

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import torch
from networks import Energy
from safetensors.torch import load_file, save_file

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OUT = HERE / "out"

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

# Between two answers: idle threads of the contender that answered last stop spinning.
PAUSE = 0.1

# How far an end may lie from ours, as a share of the longest way that a pixel went. The gradients of two f32 programs
# differ in the order of their sums: by about 1e-6 of their largest element, and by more where a leaky ReLU is within
# rounding of its kink. A step too many, another sign, slope or scale differs by 1e-2 at least.
TOLERANCE = 1e-3

# The longest way, roughly: the first step's size is such that the whole chain moves a pixel so far.
WAY = 0.2


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


JEM = {"step_size": 1.0, "noise_scale": 0.01, "clamp": None}
ROWS = [
    Row("mnist-chain", "MNIST network, chain", "mnist", "chain", 64, 20, 2),
    Row("vanilla-chain", "vanilla ConvNet 3x32x32, chain", "vanilla_convnet", "chain", 64, 20, 2, step_size=1.0),
    Row("mnist-training", "MNIST network, training step", "mnist", "pcd", 64, 20, 2),
    Row("vanilla-training", "vanilla ConvNet, training step", "vanilla_convnet", "pcd", 64, 20, 2, step_size=1.0),
    Row("mnist-one", "MNIST network, one chain", "mnist", "chain", 1, 100, 1),
    Row("vanilla-one", "vanilla ConvNet, one chain", "vanilla_convnet", "chain", 1, 100, 1, step_size=1.0),
    Row("wrn-chain", "WRN-16-4, chain", "wrn_16_4", "chain", 4, 5, 2, ("jem", "bare", "compiled"), **JEM),
]
CUDA_ROWS = [
    Row("cuda-mnist-chain", "MNIST network, chain", "mnist", "chain", 128, 20, 2, device="cuda"),
    Row("cuda-mnist-training", "MNIST network, training step", "mnist", "pcd", 128, 20, 2, device="cuda"),
    Row("cuda-wrn-jem", "WRN-28-10, JEM iteration", "wrn_28_10", "jem", 64, 20, 2, ("jem", "bare"), device="cuda", **JEM),
]


class Failure(Exception):
    """What ends the comparison, in words for the one who started it."""


class Contender:
    """A process that answers requests."""

    def __init__(self, name: str, command: list, threads: int):
        self.name = name
        self.log = OUT / f"{name.replace(' ', '-')}.log"
        env = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=self.log.open("w"), cwd=ROOT, env=env, text=True
        )

    def ask(self, what: str, **request) -> dict:
        line = ""
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps({"do": what, **request}), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        if not line:
            raise Failure(f"{TITLES[self.name]} ended without an answer to `{what}`; see {self.log}")
        answer = json.loads(line)
        if "error" in answer:
            raise Failure(f"{TITLES[self.name]} failed at `{what}`:\n{answer['error']}")
        return answer

    def end(self) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()


def main() -> None:
    args = arguments()
    OUT.mkdir(exist_ok=True)
    rows = chosen(args)
    worker = built_worker()
    begun, results = datetime.now(timezone.utc), []
    print(heading(begun, args))
    for row in rows:
        result = measure(row, worker, args)
        print(table(row, result), flush=True)
        results.append({"row": asdict(row), **result})
    path = OUT / f"{begun:%Y-%m-%dT%H-%M-%S}.json"
    path.write_text(json.dumps({"begun": begun.isoformat(), "machine": machine(), "rows": results}, indent=1))
    print(f"every round: {path.relative_to(ROOT)}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    keys = ", ".join(row.key for row in ROWS + CUDA_ROWS)
    parser.add_argument("--rows", nargs="+", metavar="KEY", help=f"only these of: {keys}")
    parser.add_argument("--networks", nargs="+", metavar="NAME", help="only the rows of these models/NAME.yaml")
    parser.add_argument("--peers", nargs="+", metavar="NAME", help=f"only these of: {', '.join(PEERS)}, jem")
    parser.add_argument("--batch", type=int, help="this batch instead of each row's own")
    parser.add_argument("--threads", type=int, help="so many threads instead of each row's own")
    parser.add_argument("--rounds", type=int, default=7, help="rounds that count (7)")
    parser.add_argument("--seconds", type=float, default=0.5, help="a contender works at least so long a round (0.5)")
    return parser.parse_args()


def chosen(args: argparse.Namespace) -> list[Row]:
    rows = ROWS + (CUDA_ROWS if torch.cuda.is_available() else [])
    for option, names, known in [
        ("--rows", args.rows, {row.key for row in rows}),
        ("--networks", args.networks, {row.model for row in rows}),
        ("--peers", args.peers, {peer for row in rows for peer in row.peers}),
    ]:
        if set(names or ()) - known:
            raise Failure(f"{option}: {sorted(set(names) - known)} are not here; there are {sorted(known)}")
    rows = [row for row in rows if not args.rows or row.key in args.rows]
    rows = [row for row in rows if not args.networks or row.model in args.networks]
    changes = {key: value for key, value in [("batch", args.batch), ("threads", args.threads)] if value}
    rows = [
        Row(**asdict(row) | changes | {"peers": tuple(p for p in row.peers if not args.peers or p in args.peers)})
        for row in rows
    ]
    rows = [row for row in rows if row.peers]
    if not rows or args.rounds < 1:
        raise Failure("nothing is left to measure; choose fewer limits, and 1 round or more")
    return rows


def built_worker() -> Path:
    """Builds benches/worker.rs and returns its path."""
    cargo = os.environ.get("CARGO", "cargo")
    command = [cargo, "bench", "--no-run", "--bench", "worker", "--message-format=json-render-diagnostics"]
    built = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if built.returncode:
        raise Failure("the worker could not be built; see above")
    for line in built.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "worker":
            return Path(message["executable"])
    raise Failure("cargo named no worker among what it built")


def form(answer):
    """The precision of a prepared contender, and its layout in memory where it says so."""
    return " ".join(filter(None, [answer["precision"], answer.get("layout")]))


def measure(row: Row, worker: Path, args: argparse.Namespace) -> dict:
    """All rounds of a row, and how far each contender's end lies from ours."""
    script = [sys.executable, str(HERE / "contender.py")]
    commands = {peer: [*script, peer] for peer in row.peers} | {ours: [str(worker)] for ours in OURS}
    contenders = {}
    try:
        for name, command in commands.items():
            contenders[name] = Contender(name, command, row.threads)
        differences = check_equal(row, contenders)
        precisions = {name: form(prepare(row, name, c)) for name, c in contenders.items()}
        rounds = alternate(row, contenders, args)
    finally:
        for contender in contenders.values():
            contender.end()
    return {"differences": differences, "precisions": precisions, **rounds}


def check_equal(row: Row, contenders: dict[str, Contender]) -> dict[str, float]:
    """The largest distance of each end from ours in f32, as a share of the longest way."""
    size = slope_step(row)
    sampler = {"n_steps": row.steps, "step_size": size, "noise_scale": 0.0, "clamp": None}
    ends = {}
    for name, contender in contenders.items():
        end = OUT / f"end-{name.replace(' ', '-')}.safetensors"
        contender.ask("prepare-chain", **network(row, name, sampler), start=str(start(row)), exact=True)
        contender.ask("run-chain", times=1, end=str(end))
        ends[name] = load_file(end)["x"]
    ours = ends["ours f32"]
    way = (ours - load_file(start(row))["x"]).abs().max().item()
    if not WAY / 10 < way < WAY * 10:
        raise Failure(f"{row.title}: our chain moved a pixel by {way} at most, {WAY} or so was meant")
    differences = {name: (end - ours).abs().max().item() / way for name, end in ends.items()}
    for name, difference in differences.items():
        # As shipped, the network may compute in bf16: its distance is shown, not judged.
        if name != "ours" and not difference <= TOLERANCE:
            raise Failure(
                f"{row.title}: {TITLES[name]} does not do the same work as ours. Without noise its end lies"
                f" {difference:.1e} of the longest way from ours; {TOLERANCE:.0e} is allowed"
            )
    return differences


def slope_step(row: Row) -> float:
    """A step size by which the chain goes as far as WAY."""
    energy = Energy(model_file(row))
    energy.layers.load_state_dict(load_file(weights(row)))
    x = load_file(start(row))["x"][:1].requires_grad_(True)
    (grad,) = torch.autograd.grad(energy(x).sum(), x)
    return WAY / (row.steps * grad.abs().max().item())


def alternate(row: Row, contenders: dict[str, Contender], args: argparse.Namespace) -> dict:
    """Seconds of each round, and how often a round repeats the work."""
    what = "run-chain" if row.work == "chain" else "train"
    extra = {"end": None} if row.work == "chain" else {}

    def timed(contender: Contender, times: int) -> float:
        time.sleep(PAUSE)
        return contender.ask(what, times=times, **extra)["seconds"]

    for contender in contenders.values():
        timed(contender, 2)
    once = min(timed(contender, 1) for contender in contenders.values())
    times = max(1, round(args.seconds / once))
    names, rounds = list(contenders), []
    for number in range(args.rounds):
        shift = number % len(names)
        order = names[shift:] + names[:shift]
        rounds.append({name: timed(contenders[name], times) for name in order})
    return {"times": times, "rounds": rounds}


def prepare(row: Row, name: str, contender: Contender) -> dict:
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
        file, run = OUT / f"experiment-{name.replace(' ', '-')}.yaml", OUT / f"run-{time.time_ns()}"
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


def table(row: Row, result: dict) -> str:
    """A row's table: a line a contender."""
    rounds = result["rounds"]
    done = row.batch * row.steps * result["times"]
    names = [*row.peers, *OURS]
    rates = {name: statistics.median(done / r[name] for r in rounds) for name in names}
    fastest = max(row.peers, key=rates.get)
    lines = [
        f"### {row.title}: batch {row.batch}, K = {row.steps}, {row.threads} threads, {row.device} (`{row.key}`)",
        "",
        "| | precision | images x steps / s | as shipped / it | in f32 / it | distance of its end |",
        "|---|---|---|---|---|---|",
    ]
    for name in names:
        own = [ratio(rounds, ours, name) for ours in OURS] if name in row.peers else ["", ""]
        title = TITLES[name] + (" (the fastest peer)" if name == fastest else "")
        distance = f"{result['differences'][name]:.1e}" if name != "ours f32" else "is the measure"
        precision = result["precisions"][name]
        lines.append(f"| {title} | {precision} | {rates[name]:.0f} | {' | '.join(own)} | {distance} |")
    seconds = {name: statistics.median(r[name] / result["times"] for r in rounds) for name in names}
    shown = ", ".join(f"{TITLES[name]} {value:.4g}" for name, value in seconds.items())
    unit = "a chain" if row.work == "chain" else "a step"
    lines += ["", f"{len(rounds)} rounds of {result['times']}; seconds {unit}: {shown}.", ""]
    return "\n".join(lines)


def ratio(rounds: list[dict], ours: str, peer: str) -> str:
    """How many times as fast as a peer: the median over the rounds, the least and the largest."""
    ratios = sorted(r[peer] / r[ours] for r in rounds)
    return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}..{ratios[-1]:.2f})"


def heading(begun: datetime, args: argparse.Namespace) -> str:
    return (
        f"## {begun:%Y-%m-%d}, {machine()}\n\nThe peers compute in f32, on their defaults. Medians over the rounds;"
        " ratios within a round, with the least and the largest. The distance of an end from ours in f32, without"
        f" noise, is given as a share of the longest way of a pixel; {TOLERANCE:.0e} is allowed.\n"
    )


def machine() -> str:
    """The processor or GPU, the number of cores, and the releases."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    processor = models[0] if models else platform.processor()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return f"{os.cpu_count()} cores of {processor}{gpu}, torch {torch.__version__}, commit {commit.stdout.strip()}"


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"error: {failure}")

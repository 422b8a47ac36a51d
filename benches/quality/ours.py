"""What both measurements ask of the program: to train a run and to synthesise images from one of its checkpoints."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import torch
import yaml
from features import ROOT, Failure

EBM = Path(os.environ.get("EBM", ROOT / "target/release/ebm")).resolve()
EXPERIMENT = ROOT / "experiments/mnist.yaml"

# Neither counts as training, and without them a measurement is over sooner.
QUIET = ("report.every=0", "report.images=1")


def ensure_built() -> None:
    if not EBM.exists():
        raise Failure(f"{EBM} is not there: run `make build`, or set EBM to the program's path")


class Training:
    """A run that is being trained by a process of its own."""

    def __init__(self, run: Path, *sets: str):
        self.run, self.log = run, run.with_suffix(".log")
        self.stopped = False
        options = [part for assignment in (*QUIET, *sets) for part in ("--set", assignment)]
        self.command = [str(EBM), "train", str(EXPERIMENT), "--out", str(run), *options]
        out = self.log.open("w")
        self.process = subprocess.Popen(self.command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)

    def wait(self, limit: float) -> None:
        """Waits for the end; a run that has trained for `limit` seconds is told to stop, as by Ctrl-C."""
        while self.process.poll() is None:
            time.sleep(0.5)
            if not self.stopped and max(seconds_at(self.run).values(), default=0.0) > limit:
                self.process.send_signal(signal.SIGINT)
                self.stopped = True
        # 130: stopped, as it was told to.
        if self.process.returncode not in ((130, 0) if self.stopped else (0,)):
            command = " ".join(self.command)
            raise Failure(f"`{command}` ended with {self.process.returncode}; see {self.log}")


def sample(run: Path, checkpoint: str, n: int, steps: int) -> torch.Tensor:
    """`n` images from noise with the averaged weights, u8 `[N,1,28,28]`."""
    out, log = run / f"fresh-{checkpoint}-{steps}.npy", run / "sample.log"
    command = [str(EBM), "sample", str(run), "--checkpoint", checkpoint, "-n", str(n), "--steps", str(steps)]
    with log.open("w") as lines:
        done = subprocess.run([*command, "--out", str(out)], cwd=ROOT, stdout=lines, stderr=subprocess.STDOUT)
    if done.returncode:
        raise Failure(f"`{' '.join(command)}` ended with {done.returncode}; see {log}")
    images = torch.from_numpy(np.load(out))
    if len(images) != n:
        raise Failure(f"{out} holds {len(images)} images, {n} were asked for")
    return images


def seconds_at(run: Path) -> dict[int, float]:
    """Seconds of training at each logged step, as the run counts them: steps and guard, no pictures, no checkpoints."""
    path = run / "metrics.jsonl"
    # The last line may be half written.
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    records = [json.loads(line) for line in lines if line.endswith("\n")]
    return {record["step"]: record["seconds"] for record in records if "seconds" in record}


def chain_steps(run: Path) -> int:
    """The K that the run trains with."""
    return yaml.safe_load((run / "resolved.yaml").read_text())["sampler"]["n_steps"]

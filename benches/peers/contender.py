"""A contender's process: answers the requests of compare.py, a line of JSON each way, as benches/worker.rs does."""

import json
import os
import sys
import time
import traceback
from pathlib import Path

import numpy as np
import torch
from loops import CONTENDERS, Data
from networks import Energy
from safetensors.torch import load_file, save_file


class Worker:
    """What was prepared last, of one contender."""

    def __init__(self, name: str):
        self.make = CONTENDERS[name]

    def answer(self, request: dict) -> dict:
        return getattr(self, request.pop("do").replace("-", "_"))(**request)

    def build(self, model: str, weights: str, sampler: dict, threads: int, device: str):
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self.device = torch.device(device)
        energy = Energy(Path(model))
        energy.layers.load_state_dict(load_file(weights), strict=True)
        return self.make(energy.to(self.device), sampler)

    def prepare_chain(self, start: str, exact: bool, **network) -> dict:
        # Where results are compared, products on CUDA must not be rounded, as cuDNN's are by default.
        if exact:
            torch.backends.cudnn.allow_tf32 = False
        self.contender = self.build(**network)
        self.start = load_file(start)["x"].to(self.device)
        return {"precision": "f32"}

    def run_chain(self, times: int, end: str | None) -> dict:
        begun = time.perf_counter()
        for _ in range(times):
            x = self.contender.chain(self.start)
        self.synchronise()
        seconds = time.perf_counter() - begun
        if end:
            save_file({"x": x.detach().cpu().contiguous()}, end)
        return {"seconds": seconds}

    def prepare_training(self, images: str, labels: str, recipe: dict, **network) -> dict:
        self.contender = self.build(**network)
        images = torch.from_numpy(np.load(images))
        labels = torch.from_numpy(np.load(labels))
        self.contender.prepare_training(Data(images, labels, self.device), recipe)
        return {"precision": "f32"}

    def train(self, times: int) -> dict:
        begun = time.perf_counter()
        self.contender.train(times)
        self.synchronise()
        return {"seconds": time.perf_counter() - begun}

    def synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def main() -> None:
    worker = Worker(sys.argv[1])
    # Answers have the output for themselves: whatever a library prints goes to stderr.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        try:
            answer = worker.answer(json.loads(line))
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()

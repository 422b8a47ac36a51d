"""The contenders' processes, and the program that stands for ours."""

import contextlib
import json
import os
import subprocess
from pathlib import Path

from rows import OUT, ROOT, TITLES


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
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()


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

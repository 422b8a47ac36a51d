"""The contenders in Python: each runs a chain and makes steps of training, with what its library has for it."""

import ebm
import torch
import torchebm.losses
import torchebm.samplers
from networks import Energy
from torch import Tensor
from torch.nn.functional import cross_entropy
from torchebm.core import BaseModel


class Bare:
    """The loop that a careful researcher writes: gradients of x alone, updates in place, the buffer on the device."""

    def __init__(self, energy: Energy, sampler: dict):
        self.energy = energy
        self.steps = sampler["n_steps"]
        self.step_size = sampler["step_size"]
        self.noise_scale = sampler["noise_scale"]
        self.clamp = sampler["clamp"]

    def chain(self, start: Tensor) -> Tensor:
        self.energy.requires_grad_(False)
        x = start.clone()
        noise = torch.empty_like(x)
        for _ in range(self.steps):
            x.requires_grad_(True)
            (grad,) = torch.autograd.grad(self.energy(x).sum(), x)
            x.requires_grad_(False)
            x.sub_(grad, alpha=self.step_size)
            if self.noise_scale > 0:
                x.add_(noise.normal_(), alpha=self.noise_scale)
            if self.clamp:
                x.clamp_(*self.clamp)
        self.energy.requires_grad_(True)
        return x

    def prepare_training(self, data: "Data", recipe: dict) -> None:
        self.data = data
        self.recipe = recipe
        self.buffer = torch.rand(recipe["buffer"], *data.images.shape[1:], device=data.device) * 2 - 1
        self.optimizer = adam(self.energy, recipe)

    def train(self, times: int) -> None:
        for _ in range(times):
            negative = self.negatives()
            positive, _ = self.data.batch(self.recipe["batch"])
            e_pos, e_neg = self.energies(torch.cat([positive, negative])).chunk(2)
            loss = e_pos.mean() - e_neg.mean()
            if self.recipe["energy_reg"] > 0:
                loss = loss + self.recipe["energy_reg"] * (e_pos.square().mean() + e_neg.square().mean())
            if self.recipe["labelled"]:
                images, labels = self.data.batch(self.recipe["batch"])
                loss = loss + cross_entropy(self.logits(images), labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    def energies(self, x: Tensor) -> Tensor:
        return self.energy(x)

    def logits(self, x: Tensor) -> Tensor:
        return self.energy.logits(x)

    def negatives(self) -> Tensor:
        batch, device = self.recipe["batch"], self.buffer.device
        slots = torch.randint(len(self.buffer), (batch,), device=device)
        stored = self.buffer[slots]
        fresh = torch.rand_like(stored) * 2 - 1
        again = torch.rand(batch, 1, 1, 1, device=device) < self.recipe["reinit_prob"]
        x = self.chain(torch.where(again, fresh, stored))
        self.buffer[slots] = x
        return x


class Compiled(Bare):
    """The same loop whose step, and whose energies in training, torch.compile makes one kernel graph each."""

    def __init__(self, energy: Energy, sampler: dict):
        super().__init__(energy, sampler)
        self.on_cuda = next(energy.parameters()).is_cuda
        mode = "reduce-overhead" if self.on_cuda else "default"
        self.compiled_step = torch.compile(self.step, mode=mode)
        self.compiled_energy = torch.compile(energy, mode=mode)
        self.compiled_logits = torch.compile(energy.logits, mode=mode)

    def step(self, x: Tensor) -> Tensor:
        grad = torch.func.grad(lambda x: self.energy(x).sum())(x)
        x = x - self.step_size * grad
        if self.noise_scale > 0:
            x = x + self.noise_scale * torch.randn_like(x)
        return x.clamp(*self.clamp) if self.clamp else x

    def chain(self, start: Tensor) -> Tensor:
        self.energy.requires_grad_(False)
        x = start
        with torch.no_grad():
            for _ in range(self.steps):
                if self.on_cuda:
                    # A replayed graph overwrites what it returned before.
                    torch.compiler.cudagraph_mark_step_begin()
                    x = x.clone()
                x = self.compiled_step(x)
            x = x.clone()
        self.energy.requires_grad_(True)
        return x

    def energies(self, x: Tensor) -> Tensor:
        return self.compiled_energy(x)

    def logits(self, x: Tensor) -> Tensor:
        return self.compiled_logits(x)


class Jem(Bare):
    """The loop of JEM's published program, from its description: the buffer on the host, the state a Variable."""

    def chain(self, start: Tensor) -> Tensor:
        self.energy.eval()
        x_k = torch.autograd.Variable(start.clone(), requires_grad=True)
        for _ in range(self.steps):
            score = (-self.energy(x_k)).sum()
            gradient = torch.autograd.grad(score, [x_k], retain_graph=True)[0]
            x_k.data += self.step_size * gradient + self.noise_scale * torch.randn_like(x_k)
        self.energy.train()
        return x_k.detach()

    def prepare_training(self, data: "Data", recipe: dict) -> None:
        super().prepare_training(data, recipe)
        self.buffer = self.buffer.cpu()

    def negatives(self) -> Tensor:
        batch = self.recipe["batch"]
        slots = torch.randint(0, len(self.buffer), (batch,))
        stored = self.buffer[slots]
        fresh = torch.FloatTensor(*stored.shape).uniform_(-1, 1)
        again = (torch.rand(batch) < self.recipe["reinit_prob"]).float()[:, None, None, None]
        x = self.chain((again * fresh + (1 - again) * stored).to(self.data.device))
        self.buffer[slots] = x.cpu()
        return x

    def energies(self, x: Tensor) -> Tensor:
        # Its program makes a pass of each.
        return torch.cat([self.energy(part) for part in x.chunk(2)])


class Ebmkit:
    """ebmkit: LangevinDynamics, ContrastiveDivergence with a ReplayBuffer, Trainer."""

    def __init__(self, energy: Energy, sampler: dict):
        self.energy = energy
        self.sampler = ebm.LangevinDynamics(
            step_size=sampler["step_size"],
            steps=sampler["n_steps"],
            noise_scale=sampler["noise_scale"],
            clamp=sampler["clamp"] and tuple(sampler["clamp"]),
        )

    def chain(self, start: Tensor) -> Tensor:
        return self.sampler.sample(self.energy, start)

    def prepare_training(self, data: "Data", recipe: dict) -> None:
        def uniform(shape: tuple) -> Tensor:
            return torch.rand(shape) * 2 - 1

        buffer = ebm.ReplayBuffer(recipe["buffer"], tuple(data.images.shape[1:]), recipe["reinit_prob"], uniform)
        loss = ebm.ContrastiveDivergence(self.sampler, buffer=buffer, energy_reg=recipe["energy_reg"])
        optimizer = adam(self.energy, recipe)
        self.data, self.batch = data.images, recipe["batch"]
        self.trainer = ebm.Trainer(self.energy, loss, optimizer=optimizer, device=data.device)

    def train(self, times: int) -> None:
        self.trainer.fit(self.data, steps=times, batch_size=self.batch, verbose=False)


class TorchEbm:
    """TorchEBM: LangevinDynamics and PersistentContrastiveDivergence; its trainer of this loss cannot be built."""

    class Model(BaseModel):
        """What its samplers ask of a network."""

        def __init__(self, energy: Energy):
            super().__init__()
            self.energy = energy

        def forward(self, x: Tensor) -> Tensor:
            return self.energy(x)

    def __init__(self, energy: Energy, sampler: dict):
        self.energy = energy
        self.device = next(energy.parameters()).device
        self.model = self.Model(energy).to(self.device)
        self.steps = sampler["n_steps"]
        # Its noise has the standard deviation noise_scale * sqrt(2 * step_size), and may not be 0.
        self.sampler = torchebm.samplers.LangevinDynamics(
            self.model,
            step_size=sampler["step_size"],
            noise_scale=max(sampler["noise_scale"], 1e-30) / (2 * sampler["step_size"]) ** 0.5,
            clamp=sampler["clamp"] and tuple(sampler["clamp"]),
            device=self.device,
        )

    def chain(self, start: Tensor) -> Tensor:
        return self.sampler.sample(x=start, n_steps=self.steps)

    def prepare_training(self, data: "Data", recipe: dict) -> None:
        self.data, self.batch = data, recipe["batch"]
        self.loss = torchebm.losses.PersistentContrastiveDivergence(
            self.model,
            self.sampler,
            k_steps=self.steps,
            buffer_size=recipe["buffer"],
            init_steps=0,
            new_sample_ratio=recipe["reinit_prob"],
            energy_reg_weight=recipe["energy_reg"],
            device=self.device,
        )
        self.optimizer = adam(self.energy, recipe)

    def train(self, times: int) -> None:
        for _ in range(times):
            positive, _ = self.data.batch(self.batch)
            loss, _ = self.loss(positive)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


class Data:
    """Images in [-1, 1], f32, on a device, and their labels."""

    def __init__(self, images: Tensor, labels: Tensor, device: torch.device):
        self.images = (images.float() / 127.5 - 1).to(device)
        self.labels = labels.to(device)
        self.device = device

    def batch(self, size: int) -> tuple[Tensor, Tensor]:
        index = torch.randint(len(self.images), (size,), device=self.device)
        return self.images[index], self.labels[index]


def adam(energy: Energy, recipe: dict) -> torch.optim.Optimizer:
    return torch.optim.Adam(energy.parameters(), lr=recipe["lr"], betas=tuple(recipe["betas"]))


CONTENDERS = {"torchebm": TorchEbm, "ebmkit": Ebmkit, "bare": Bare, "compiled": Compiled, "jem": Jem}

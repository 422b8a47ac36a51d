"""Effective samples per gradient of blackjax's NUTS and HMC on the targets of targets.rs.

`make bench-mixing` runs it after ours. Each chain finds a step size and masses of its own by
blackjax's window adaptation, as its documentation has it.
"""

import time

import arviz
import blackjax
import jax
import jax.numpy as jnp
import numpy

CHAINS, WARM_UP, DRAWS, SEEDS, LEAPFROG = 16, 1000, 1000, 3, 8
NUMBERS, CORRELATION = 50, 0.9
DEVIATIONS = 10.0 ** jnp.linspace(-1.0, 1.0, NUMBERS)


def gaussian(x):
    z = x / DEVIATIONS
    rest = z[1:] - CORRELATION * z[:-1]
    return -(rest**2).sum() * 0.5 / (1 - CORRELATION**2) - 0.5 * z[0] ** 2


def funnel(x):
    return -x[0] ** 2 / 18 - 0.5 * (x[1:] ** 2).sum()


def measure(name, log_density, numbers, kernel, seed):
    algorithm, fixed = {
        "nuts": (blackjax.nuts, {}),
        "hmc": (blackjax.hmc, {"num_integration_steps": LEAPFROG}),
    }[kernel]
    keys = jax.random.split(jax.random.key(seed), 3)
    start = jax.random.normal(keys[0], (CHAINS, numbers))

    def warm(key, position):
        adaptation = blackjax.window_adaptation(
            algorithm, log_density, target_acceptance_rate=0.8, **fixed
        )
        (state, parameters), _ = adaptation.run(key, position, num_steps=WARM_UP)
        return state, parameters

    states, parameters = jax.vmap(warm)(jax.random.split(keys[1], CHAINS), start)
    tuned = {k: v for k, v in parameters.items() if k not in fixed}

    def chain(key, state, tuned):
        step = algorithm(log_density, **tuned, **fixed).step

        def one(state, key):
            state, info = step(key, state)
            return state, (state.position, info.num_integration_steps, info.acceptance_rate)

        return jax.lax.scan(one, state, jax.random.split(key, DRAWS))[1]

    run = jax.jit(jax.vmap(chain)).lower(jax.random.split(keys[2], CHAINS), states, tuned).compile()
    begun = time.perf_counter()
    positions, gradients, accepted = jax.block_until_ready(
        run(jax.random.split(keys[2], CHAINS), states, tuned)
    )
    seconds = time.perf_counter() - begun
    positions, gradients = numpy.asarray(positions, float), numpy.asarray(gradients)
    least, worst = numpy.inf, 1.0
    for i in range(numbers):
        for trace in (positions[:, :, i], positions[:, :, i] ** 2):
            least = min(least, float(arviz.ess(trace, method="bulk")))
            worst = max(worst, float(arviz.rhat(trace)))
    print(
        f"| blackjax | {name} | {kernel} | {seed} | {float(accepted.mean()):.2f} | {gradients.mean():.1f} "
        f"| {least:.0f} | {1000 * least / gradients.sum():.2f} | {worst:.3f} | {seconds:.1f} |",
        flush=True,
    )


for name, log_density, numbers in (("gaussian", gaussian, NUMBERS), ("funnel", funnel, 10)):
    for kernel in ("nuts", "hmc"):
        for seed in range(SEEDS):
            measure(name, log_density, numbers, kernel, seed)

"""Training of a small feed-forward network with numpy alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Layer = tuple[Array, Array]

EPOCHS = 14
BATCH = 2048
PEAK_RATE = 0.004  # one cycle: up over a third of the steps, then down (Smith 2018, "A disciplined
# approach to neural network hyper-parameters")
DECAY = 0.01  # of the weights, decoupled from the gradient (Loshchilov and Hutter 2019, AdamW)
DROPOUT = 0.2  # of hidden units
INPUT_DROPOUT = 0.05
AVERAGE = 0.998  # of the weights over the steps (Polyak averaging): what is returned


def fit(
    inputs: Array, labels: npt.NDArray[np.bool_], weights: Array, hidden: Sequence[int], seed: int
) -> list[Layer]:
    """Minimise the weighted cross-entropy of a rectifier network with one logistic output."""
    random = np.random.default_rng(seed)
    sizes = [inputs.shape[1], *hidden, 1]
    parameters: list[Array] = []
    for before, after in pairwise(sizes):
        scale = np.sqrt(2 / before) if after > 1 else np.sqrt(1 / before)
        parameters.append(random.normal(0, scale, (before, after)).astype(np.float32))
        parameters.append(np.zeros(after, np.float32))
    average = [parameter.copy() for parameter in parameters]
    optimiser = _Adam(parameters)
    inputs = inputs.astype(np.float32)
    targets = labels.astype(np.float32)[:, None]
    costs = weights.astype(np.float32)[:, None]
    steps = EPOCHS * -(-len(inputs) // BATCH)
    for step, batch in enumerate(_batches(len(inputs), random)):
        gradients = _gradients(parameters, inputs[batch], targets[batch], costs[batch], random)
        optimiser.step(gradients, _rate(step / steps))
        share = min(AVERAGE, (step + 1) / (step + 10))
        for mean, parameter in zip(average, parameters, strict=True):
            mean *= share
            mean += (1 - share) * parameter
    return list(zip(average[::2], average[1::2], strict=True))


def _batches(count: int, random: np.random.Generator) -> Iterator[Any]:
    for _ in range(EPOCHS):
        order = random.permutation(count)
        for start in range(0, count, BATCH):
            yield order[start : start + BATCH]


def _rate(progress: float) -> float:
    if progress < 0.3:
        return float(PEAK_RATE * (0.04 + 0.96 * (1 - np.cos(np.pi * progress / 0.3)) / 2))
    return float(PEAK_RATE * (1 + np.cos(np.pi * (progress - 0.3) / 0.7)) / 2)


def _gradients(
    parameters: list[Array],
    rows: Array,
    targets: Array,
    costs: Array,
    random: np.random.Generator,
) -> list[Array]:
    """Back-propagation with dropout."""
    layers = list(zip(parameters[::2], parameters[1::2], strict=True))
    kept = random.random(rows.shape, np.float32) >= INPUT_DROPOUT
    activations: list[Array] = [rows * kept / (1 - INPUT_DROPOUT)]
    masks = []
    for weights, bias in layers[:-1]:
        outputs = activations[-1] @ weights + bias
        mask = (outputs > 0) * (random.random(outputs.shape, np.float32) >= DROPOUT)
        masks.append(mask / np.float32(1 - DROPOUT))
        activations.append(outputs * masks[-1])
    weights, bias = layers[-1]
    odds = 1 / (1 + np.exp(-(activations[-1] @ weights + bias)))
    slope = (odds - targets) * costs / len(rows)
    gradients: list[Array] = []
    for number in range(len(layers) - 1, -1, -1):
        gradients[:0] = [activations[number].T @ slope, slope.sum(axis=0)]
        if number:
            slope = slope @ layers[number][0].T * masks[number - 1]
    return gradients


class _Adam:
    """Adam with decoupled weight decay and clipping of the gradient's norm at one."""

    def __init__(self, parameters: list[Array]) -> None:
        self._parameters = parameters
        self._first = [np.zeros_like(parameter) for parameter in parameters]
        self._second = [np.zeros_like(parameter) for parameter in parameters]
        self._steps = 0

    def step(self, gradients: list[Array], rate: float) -> None:
        self._steps += 1
        norm = np.sqrt(sum(float((gradient**2).sum()) for gradient in gradients))
        scale = min(1.0, 1 / max(norm, 1e-12))
        for parameter, gradient, first, second in zip(
            self._parameters, gradients, self._first, self._second, strict=True
        ):
            gradient = gradient * scale
            first += 0.1 * (gradient - first)
            second += 0.001 * (gradient**2 - second)
            mean = first / (1 - 0.9**self._steps)
            spread = np.sqrt(second / (1 - 0.999**self._steps)) + 1e-8
            parameter *= 1 - rate * DECAY
            parameter -= (rate * mean / spread).astype(np.float32)

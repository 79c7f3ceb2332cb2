"""Training of the content score's models with PyTorch; weights come back as numpy arrays.

Inputs are scaled for training, and the scale becomes part of the first layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

Array = npt.NDArray[Any]

EPOCHS = 10
PAGES = 12  # of a batch
PEAK_RATE = 0.004  # one cycle (Smith 2018, "A disciplined approach to neural network
# hyper-parameters")
DECAY = 0.01  # of the weights, decoupled from the gradient (Loshchilov and Hutter 2019, AdamW)
DROPOUT = 0.2  # of hidden units
AVERAGE = 0.995  # of the weights over the steps (Polyak averaging): what is returned
BLOCK_LOSS = 0.1  # of a page's blocks, beside the loss of the page
LEAST_DEVIATION = 0.02  # rare features are not blown up


class Example(NamedTuple):
    """The blocks of a page, and what they should be."""

    inputs: Array
    labels: Array  # share of each block that is in the main text
    weights: Array
    lengths: Array
    complete: bool  # whether all of the main text is known, so that its F1 is


class Texts(NamedTuple):
    """Texts as words, and what they should be."""

    words: Array  # numbers of the words of all texts
    starts: Array  # place of the first word of each text, and the number of words
    scale: Array  # of each text, for the sum of its words
    targets: Array  # what each text is: 0 or 1
    shares: Array  # how much each text counts


class Layer(NamedTuple):
    """A linear layer."""

    weights: Array
    bias: Array


def fit(pages: Sequence[Example], hidden: Sequence[int], seed: int) -> list[Layer]:
    """Train a rectifier network with one logistic output.

    The loss is one minus the expected F1 of each page (as soft Dice: Milletari et al. 2016,
    "V-Net"), plus the weighted cross-entropy of its blocks.
    """
    torch.manual_seed(seed)
    torch.set_num_threads(1)  # sums of several threads differ from run to run
    mean, deviation = _scale(np.concatenate([page.inputs for page in pages]))
    tensors = [
        [
            torch.from_numpy(np.asarray(column, np.float32))
            for column in ((page.inputs - mean) / deviation, *page[1:4], [page.complete])
        ]
        for page in pages
    ]
    network = _network(len(mean), hidden)
    average = [parameter.detach().clone() for parameter in network.parameters()]
    steps = EPOCHS * -(-len(pages) // PAGES)
    optimiser = torch.optim.AdamW(network.parameters(), PEAK_RATE, weight_decay=DECAY)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, PEAK_RATE, total_steps=steps, cycle_momentum=False
    )
    for step, batch in enumerate(_batches(len(pages), np.random.default_rng(seed)), 1):
        optimiser.zero_grad()
        _loss(network, [tensors[page] for page in batch]).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        cycle.step()
        share = min(AVERAGE, step / (step + 9))
        with torch.no_grad():
            for kept, parameter in zip(average, network.parameters(), strict=True):
                kept.mul_(share).add_(parameter, alpha=1 - share)
    found = [parameter.numpy() for parameter in average]
    layers = [Layer(w.T.copy(), b) for w, b in zip(found[::2], found[1::2], strict=True)]
    return [_unscaled(layers[0], mean, deviation), *layers[1:]]


def _network(inputs: int, hidden: Sequence[int]) -> nn.Sequential:
    parts: list[nn.Module] = []
    for units in hidden:
        parts += [nn.Linear(inputs, units), nn.ReLU(), nn.Dropout(DROPOUT)]
        inputs = units
    return nn.Sequential(*parts, nn.Linear(inputs, 1))


def _batches(count: int, random: np.random.Generator) -> Iterator[Any]:
    for _ in range(EPOCHS):
        order = random.permutation(count)
        for start in range(0, count, PAGES):
            yield order[start : start + PAGES]


def _loss(network: nn.Sequential, pages: Sequence[Sequence[Tensor]]) -> Tensor:
    inputs, labels, weights, lengths, complete = (
        torch.cat(column) for column in zip(*pages, strict=True)
    )
    owners = torch.repeat_interleave(torch.tensor([len(page[1]) for page in pages]))

    def of_pages(values: Tensor) -> Tensor:
        return torch.zeros(len(pages)).index_add_(0, owners, values * lengths)

    odds = network(inputs)[:, 0]
    chances = torch.sigmoid(odds)
    f1 = 2 * of_pages(chances * labels) / (of_pages(chances) + of_pages(labels) + 1)
    hard = (labels >= 0.5).float()
    entropy = functional.binary_cross_entropy_with_logits(odds, hard, reduction="none")
    return ((1 - f1) * complete).mean() + BLOCK_LOSS * (entropy * weights).sum() / len(pages)


def fit_linear(inputs: Array, targets: Array, penalty: float) -> Layer:
    """Train a linear model by maximum likelihood, with a penalty on the squared weights.

    `targets` holds a probability for each class (softmax), or one column of shares (logistic).
    """
    mean, deviation = _scale(inputs)
    rows = torch.from_numpy((inputs - mean) / deviation).double()
    wanted = torch.from_numpy(np.asarray(targets, np.float64))
    weights = torch.zeros(rows.shape[1], wanted.shape[1], dtype=torch.double, requires_grad=True)
    bias = torch.zeros(wanted.shape[1], dtype=torch.double, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights, bias], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimiser.zero_grad()
        odds = rows @ weights + bias
        if wanted.shape[1] == 1:
            likelihood = functional.binary_cross_entropy_with_logits(odds, wanted)
        else:
            likelihood = functional.cross_entropy(odds, wanted)
        loss = likelihood + penalty * (weights**2).sum()
        loss.backward()
        return float(loss.detach())

    optimiser.step(closure)
    return _unscaled(Layer(weights.detach().numpy(), bias.detach().numpy()), mean, deviation)


def fit_words(texts: Texts, size: int, penalty: float) -> Array:
    """Train a weight for each of `size` words, so that the log odds of a text are their sum.

    By maximum likelihood, with a penalty on the squared weights.
    """
    torch.set_num_threads(1)
    words, offsets = torch.from_numpy(texts.words), torch.from_numpy(texts.starts[:-1])
    scale, targets, shares = (
        torch.from_numpy(np.asarray(column, np.float32)) for column in texts[2:]
    )
    found, bias = torch.zeros(size, 1, requires_grad=True), torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.LBFGS([found, bias], max_iter=40, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimiser.zero_grad()
        odds = functional.embedding_bag(words, found, offsets, mode="sum")[:, 0] * scale + bias
        entropy = functional.binary_cross_entropy_with_logits(odds, targets, reduction="none")
        loss = (entropy * shares).sum() + penalty * (found**2).sum()
        loss.backward()
        return float(loss.detach())

    optimiser.step(closure)
    weights: Array = found.detach().numpy()[:, 0]
    return weights


def _scale(inputs: Array) -> tuple[Array, Array]:
    return inputs.mean(axis=0), inputs.std(axis=0) + LEAST_DEVIATION


def _unscaled(layer: Layer, mean: Array, deviation: Array) -> Layer:
    """Make a layer of scaled inputs one of the inputs as they are."""
    weights = layer.weights / deviation[:, None]
    kind = layer.weights.dtype
    return Layer(weights.astype(kind), (layer.bias - mean @ weights).astype(kind))

"""A linear head on sentence vectors and wording: multinomial logistic regression with an L2 penalty, and its calibration.

The head is fitted on the examples of the intents. A held-out fifth tells how far its confidence can be trusted: the
logits are divided by the temperature under which the held-out examples are most likely (Guo et al. 2017,
arXiv:1706.04599), after the similarity to the nearest examples of each intent was added with the weight that serves
them best; the head is then fitted again on everything, from where it stood. The same held-out examples show how
familiar an utterance with one of the intents looks, and so where "none of these" begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rails_engine.retrieval.intents.lbfgs import Point, minimise
from rails_engine.retrieval.intents.surface import count_features, joined, rarity, width_for
from rails_engine.retrieval.vectors import Vectors

Labels = NDArray[np.int64]

NEIGHBOURS = 3
"""An intent's similarity is the mean cosine of so many nearest examples."""

_VECTOR_SCALE = np.float32(10.0)
_PENALTY = 1.0
_STEPS = 30
_STEPS_AGAIN = 10  # from where the trial ended; more of them fit held-out examples no better
_TOLERANCE = 3e-4
_HELD_OUT = 5
_HELD_OUT_TO_CALIBRATE = 50
_DEFAULT_MIXING = (5.0, 1.0)  # what calibration finds where there are few examples an intent
_REJECTED_SHARE = 0.03  # of held-out examples, as the price of telling what has none of the intents
_PROBABILITY_SHARE = 0.2
_SIMILARITY_WEIGHTS = (0.0, 5.0, 10.0, 20.0, 30.0)
_TEMPERATURES = tuple(np.geomspace(0.2, 5.0, 25).tolist())
_SEED = 17


@dataclass(frozen=True, slots=True)
class Head:
    """Weights `[d + w, c]`, bias `[c]`; `rarity` `[w]` weighs the w places of the wording.

    Probabilities come from (logits + similarity_weight * similarity) / temperature. An utterance whose `familiarity` is
    below `scope_threshold` has none of the intents.
    """

    weights: Vectors
    bias: Vectors
    rarity: Vectors
    similarity_weight: float
    temperature: float
    scope_threshold: float

    def probabilities(self, vectors: Vectors, texts: Sequence[str], similarity: Vectors) -> Vectors:
        """Calibrated probabilities `[n, c]` of texts with unit vectors `[n, d]`, given each intent's similarity `[n, c]`."""
        return self.probabilities_of(
            joined(vectors, count_features(texts, len(self.rarity)), self.rarity), similarity
        )

    def probabilities_of(self, inputs: Vectors, similarity: Vectors) -> Vectors:
        """The same from joined vectors `[n, d + w]`."""
        mixed = (
            log_softmax(inputs @ self.weights + self.bias) + np.float32(self.similarity_weight) * similarity
        )
        return np.exp(log_softmax(np.float32(1 / self.temperature) * mixed))


def familiarity(probabilities: Vectors, similarity: Vectors) -> Vectors:
    """How much like the examples each row is, from its best intent's probability and similarity `[n, c]`: `[n]`.

    The similarity tells the foreign from the known, the probability the undecided from the decided; with a fifth of the
    probability the two together part known intents from left-out ones best (`benchmarks/retrieval_intents.py`).
    """
    best = probabilities.argmax(axis=1)
    rows = np.arange(len(best))
    result: Vectors = similarity[rows, best] + np.float32(_PROBABILITY_SHARE) * probabilities[rows, best]
    return result


def fit(vectors: Vectors, texts: Sequence[str], labels: Labels, classes: int) -> Head:
    """The calibrated head for texts, their unit vectors `[n, d]` and labels `[n]` in `range(classes)`."""
    counts = count_features(texts, width_for(len(texts)))
    weights_of_places = rarity(counts)
    inputs = joined(vectors, counts, weights_of_places)
    width = inputs.shape[1]
    order = np.random.default_rng(_SEED).permutation(len(labels))
    held, kept = order[::_HELD_OUT], np.delete(order, np.s_[::_HELD_OUT])
    trial = _fit(inputs[kept], labels[kept], classes, np.zeros((width + 1) * classes, np.float32))
    weights, bias = _parts(trial, width, classes)
    nearness = class_similarity(vectors[held], vectors[kept], labels[kept], classes)
    mixing = _calibrated(log_softmax(inputs[held] @ weights + bias), nearness, labels[held])
    held_head = Head(weights, bias, weights_of_places, *mixing, scope_threshold=-1.0)
    seen = familiarity(held_head.probabilities_of(inputs[held], nearness), nearness)
    weights, bias = _parts(_fit(inputs, labels, classes, trial, _STEPS_AGAIN), width, classes)
    threshold = float(np.quantile(seen, _REJECTED_SHARE))
    return Head(weights, bias, weights_of_places, *mixing, scope_threshold=threshold)


def class_similarity(queries: Vectors, examples: Vectors, labels: Labels, classes: int) -> Vectors:
    """For each query and class the mean cosine of its `NEIGHBOURS` nearest examples `[n, c]`, -1 without examples."""
    cosines = queries @ examples.T
    result = np.full((len(queries), classes), -1, np.float32)
    for label in range(classes):
        own = cosines[:, labels == label]
        if own.shape[1] > NEIGHBOURS:
            own = np.partition(own, own.shape[1] - NEIGHBOURS, axis=1)[:, -NEIGHBOURS:]
        if own.shape[1]:
            result[:, label] = own.mean(1)
    return result


def log_softmax(logits: Vectors) -> Vectors:
    """Row-wise log-probabilities."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    result: Vectors = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def _fit(vectors: Vectors, labels: Labels, classes: int, start: Point, steps: int = _STEPS) -> Point:
    dimension = vectors.shape[1]
    inputs: Vectors = np.multiply(vectors, _VECTOR_SCALE, dtype=np.float32)
    rows = np.arange(len(labels))

    def objective(point: Point) -> tuple[float, Point]:
        weights, bias = point[: dimension * classes].reshape(dimension, classes), point[dimension * classes :]
        scores: Vectors = inputs @ weights
        scores += bias
        log_odds = log_softmax(scores)
        penalty = _PENALTY / len(labels)
        value = -float(log_odds[rows, labels].mean(dtype=np.float64)) + penalty * float(
            weights.ravel() @ weights.ravel()
        )
        errors = np.exp(log_odds)
        errors[rows, labels] -= 1
        errors *= np.float32(1 / len(labels))
        gradient = inputs.T @ errors + np.float32(2 * penalty) * weights
        return value, np.concatenate((gradient.ravel(), errors.sum(axis=0)))

    return minimise(objective, start, steps, _TOLERANCE)


def _parts(point: Point, dimension: int, classes: int) -> tuple[Vectors, Vectors]:
    weights = _VECTOR_SCALE * point[: dimension * classes].reshape(dimension, classes)
    return weights, point[dimension * classes :]


def _calibrated(log_odds: Vectors, nearness: Vectors, labels: Labels) -> tuple[float, float]:
    """The similarity weight and temperature under which the held-out labels are most likely."""
    if len(labels) < _HELD_OUT_TO_CALIBRATE:
        return _DEFAULT_MIXING
    rows = np.arange(len(labels))
    best = (np.inf, 0.0, 1.0)
    for weight in _SIMILARITY_WEIGHTS:
        mixed = log_odds + np.float32(weight) * nearness
        for temperature in _TEMPERATURES:
            likely = log_softmax(np.float32(1 / temperature) * mixed)[rows, labels]
            best = min(best, (-float(likely.mean()), weight, temperature))
    return best[1], best[2]

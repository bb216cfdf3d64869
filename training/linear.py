"""The linear model: TF-IDF n-grams and logistic regression, as baseline and smallest bundle.

Features are computed by the worker's own function (workers.fast_tier.ngrams), so nothing can
drift between training and run time; the ONNX graph is a weighted sum of rows.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.contracts import Urgency
from training.corpus import Example
from training.metrics import Floats
from workers.fast_tier.ngrams import Vocabulary, character_grams, word_grams, words


@dataclass(frozen=True, kw_only=True)
class LinearOptions:
    """What decides a linear model."""

    min_documents: int = 2
    most_words: int = 20_000
    most_characters: int = 30_000
    inverse_regularisation: float = 8.0
    seed: int = 1


@dataclass(frozen=True)
class LinearModel:
    """Vocabulary and weights: logits = values @ weights[ids] + bias."""

    vocabulary: Vocabulary
    weights: NDArray[np.float32]  # columns of the vocabulary × outputs
    bias: NDArray[np.float32]

    def logits(self, texts: Sequence[str]) -> Floats:
        """All heads' logits, as the ONNX graph computes them."""
        out = np.zeros((len(texts), len(self.bias)))
        for i, text in enumerate(texts):
            f = self.vocabulary.features(text)
            out[i] = np.asarray(f.values) @ self.weights[f.ids] + self.bias
        return out


def fit_vocabulary(texts: Sequence[str], options: LinearOptions) -> Vocabulary:
    """The most frequent n-grams with their inverse document frequencies (smoothed)."""
    counts: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    for text in texts:
        tokens = words(text)
        counts[0].update(set(word_grams(tokens)))
        counts[1].update(set(character_grams(tokens)))
    column, blocks = 0, []
    for counter, most in zip(counts, (options.most_words, options.most_characters), strict=True):
        block: dict[str, tuple[int, float]] = {}
        frequent = sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:most]
        for gram, count in frequent:
            if count >= options.min_documents:
                idf = round(math.log((1 + len(texts)) / (1 + count)) + 1, 4)
                block[gram] = (column, idf)
                column += 1
        blocks.append(block)
    return Vocabulary(blocks[0], blocks[1])


def fit_linear(
    examples: Sequence[Example], names: Sequence[str], options: LinearOptions
) -> LinearModel:
    """Primary and urgency as multinomial regressions, the set as one regression per category."""
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

    texts = [e.text for e in examples]
    vocabulary = fit_vocabulary(texts, options)
    features = [vocabulary.features(text) for text in texts]
    starts = np.cumsum([0, *(len(f.ids) for f in features)])
    matrix = csr_matrix(
        (
            np.concatenate([f.values for f in features]),
            np.concatenate([f.ids for f in features]),
            starts,
        ),
        shape=(len(texts), vocabulary.size),
    )
    primary = np.array([names.index(e.primary) for e in examples])
    urgency = np.array([e.urgency.rank for e in examples])

    def regression(labels: NDArray[Any]) -> Any:
        model = LogisticRegression(
            C=options.inverse_regularisation, max_iter=300, random_state=options.seed
        )
        return model.fit(matrix, labels)

    outputs = 2 * len(names) + len(Urgency)
    weights = np.zeros((vocabulary.size, outputs), dtype=np.float32)
    bias = np.full(outputs, -8.0, dtype=np.float32)  # a class that never occurs stays unlikely
    for offset, labels in ((0, primary), (2 * len(names), urgency)):
        model = regression(labels)
        columns = offset + model.classes_
        weights[:, columns] = model.coef_.T if len(model.classes_) > 2 else 0.0
        bias[columns] = model.intercept_ if len(model.classes_) > 2 else 0.0
    for c, name in enumerate(names):
        member = np.array([name in e.categories for e in examples])
        if member.any() and not member.all():
            model = regression(member)
            weights[:, len(names) + c] = model.coef_[0]
            bias[len(names) + c] = model.intercept_[0]
    return LinearModel(vocabulary, weights, bias)


def export_linear(model: LinearModel, path: Path) -> Path:
    """The weighted sum as an ONNX graph: ids and values in, logits out."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        # Stored as half precision, and only the rows of the message's n-grams are widened.
        helper.make_node("Gather", ["weights", "ids"], ["half"], axis=0),
        helper.make_node("Cast", ["half"], ["rows"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["values", "one"], ["column"]),
        helper.make_node("Mul", ["rows", "column"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "zero"], ["sum"], keepdims=1),
        helper.make_node("Add", ["sum", "bias"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["grams"]),
            helper.make_tensor_value_info("values", TensorProto.FLOAT, ["grams"]),
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, len(model.bias)])],
        [
            numpy_helper.from_array(model.weights.astype(np.float16), "weights"),
            numpy_helper.from_array(model.bias[None], "bias"),
            numpy_helper.from_array(np.array([1], dtype=np.int64), "one"),
            numpy_helper.from_array(np.array([0], dtype=np.int64), "zero"),
        ],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(proto)
    onnx.save(proto, str(path))
    return path

"""The steps that need torch, on an encoder of a few thousand weights.

They run in the training environment (`make model-test`); elsewhere torch is missing by design.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="belongs to the training environment")
transformers = pytest.importorskip("transformers", reason="belongs to the training environment")

from click.testing import CliRunner  # noqa: E402  after the skip
from torch.nn import Linear  # noqa: E402

from shared.errors import InvalidInput  # noqa: E402
from shared.taxonomy import Taxonomy  # noqa: E402
from training import corpus, finetune, network, qat  # noqa: E402
from training.cli import model as command  # noqa: E402
from training.distil import DistilOptions, distil, student_of  # noqa: E402
from training.encode import length_batches, load_tokenizer  # noqa: E402
from training.finetune import TrainOptions  # noqa: E402
from training.linear import LinearOptions, export_linear, fit_linear  # noqa: E402
from training.losses import URGENCY_COSTS, Targets, heads_loss  # noqa: E402
from training.network import Logits  # noqa: E402
from training.resume import classifier_of  # noqa: E402
from training.warmup import WarmUpOptions, warm_up  # noqa: E402
from workers.fast_tier import SHIPPED, FastTier  # noqa: E402
from workers.fast_tier.manifest import read_manifest  # noqa: E402
from workers.fast_tier.transformer import TransformerReader  # noqa: E402

TAXONOMY = Taxonomy.load()
NAMES = TAXONOMY.category_names


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tiny")
    config = transformers.BertConfig(
        hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=64
    )
    transformers.BertModel(config).save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes((SHIPPED / "tokenizer.json").read_bytes())
    return str(folder)


@pytest.fixture(scope="module")
def options(base: str) -> TrainOptions:
    return TrainOptions(base=base, epochs=1.0, composed=0.2, ema=0.9, max_tokens=64)


@pytest.fixture(scope="module")
def examples() -> list[corpus.Example]:
    return corpus.read_clean(corpus.SPLITS["dev"], TAXONOMY)[:120]


@pytest.fixture(scope="module")
def trained(options: TrainOptions, examples: list[corpus.Example]) -> network.Classifier:
    return finetune.train(examples, NAMES, options)


def test_training_lowers_the_loss_and_is_the_same_for_a_seed(
    options: TrainOptions, examples: list[corpus.Example], trained: network.Classifier
) -> None:
    losses: list[float] = []
    again = finetune.train(
        examples, NAMES, replace(options, epochs=6.0, lr=2e-3),
        report=lambda _step, _of, loss: losses.append(loss),
    )  # fmt: skip
    repeated = finetune.train(examples, NAMES, options)

    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    assert not again.training
    assert torch.equal(repeated.heads.weight, trained.heads.weight)


def test_a_saved_model_comes_back(trained: network.Classifier, tmp_path: Path) -> None:
    network.save(trained, tmp_path / "m.pt", options={"base": "x"})

    loaded, about = network.load(tmp_path / "m.pt")

    ids = torch.randint(1000, 2000, (2, 9))
    mask = torch.ones_like(ids)
    with torch.no_grad():
        assert torch.allclose(loaded(ids, mask).primary, trained(ids, mask).primary, atol=1e-2)
    assert about["options"] == {"base": "x"}


def test_a_missed_emergency_costs_more_than_a_false_one() -> None:
    def loss(said: int, truth: int) -> float:
        logits = torch.full((1, 3), -2.0)
        logits[0, said] = 2.0
        flat = torch.zeros(1, 10)
        target = torch.zeros(1, 3)
        target[0, truth] = 1.0
        return float(
            heads_loss(
                Logits(flat, flat, logits, flat), Targets(flat + 0.1, flat, target),
                smoothing=0.0, members_weight=0.0, cost_weight=1.0,
            )
        )  # fmt: skip

    assert loss(said=2, truth=0) > loss(said=1, truth=0) > loss(said=0, truth=0)
    assert loss(said=2, truth=0) > loss(said=0, truth=2)
    assert URGENCY_COSTS[0][2] == max(max(row) for row in URGENCY_COSTS)


def test_batches_hold_every_message_once_and_like_lengths_together() -> None:
    lengths = [n % 37 + 3 for n in range(500)]

    batches = list(length_batches(lengths, 16))

    assert sorted(i for b in batches for i in b) == list(range(500))
    assert max(max(lengths[i] for i in b) - min(lengths[i] for i in b) for b in batches) <= 3


def test_both_warm_ups_change_the_encoder(
    options: TrainOptions, examples: list[corpus.Example]
) -> None:
    cold = network.new_classifier(options.base, len(NAMES))
    warm = warm_up(
        examples[:64], NAMES, options,
        WarmUpOptions(mlm_epochs=1.0, contrastive_epochs=1.0, batch=16), lambda *_: None,
    )  # fmt: skip

    assert warm is not None
    before = cold.encoder.encoder.layer[0].output.dense.weight
    assert not torch.equal(warm.encoder.encoder.layer[0].output.dense.weight, before)
    assert warm_up(examples, NAMES, options, WarmUpOptions(), lambda *_: None) is None


def test_a_student_starts_from_the_teachers_layers_and_learns(
    options: TrainOptions, examples: list[corpus.Example], trained: network.Classifier
) -> None:
    student = student_of(trained, options.base, DistilOptions(layers=(0, 2)))
    narrow = student_of(trained, options.base, DistilOptions(layers=(0,), hidden=16))
    copied = torch.equal(
        student.encoder.encoder.layer[1].output.dense.weight,
        trained.encoder.encoder.layer[2].output.dense.weight,
    )

    for model in (student, narrow):
        before = model.heads.weight.clone()
        distil([trained], model, examples, NAMES, options, DistilOptions())
        assert not torch.equal(model.heads.weight, before)

    assert copied
    assert student.encoder.config.num_hidden_layers == 2
    assert narrow.encoder.config.hidden_size == 16


def test_rounding_passes_gradients_and_stays_close(trained: network.Classifier) -> None:
    x = torch.randn(5, 32, requires_grad=True)

    rounded = qat.rounded_activation(x)
    rounded.sum().backward()

    assert x.grad is not None
    assert torch.allclose(x.grad, torch.ones_like(x))
    assert (rounded - x).abs().max() <= (x.max() - x.min()) / 255
    copied = qat.with_rounding(trained)
    assert any(type(m) is qat.RoundedLinear for m in copied.encoder.modules())
    assert all(
        type(m) is Linear
        for m in qat.without_rounding(copied).encoder.modules()
        if isinstance(m, Linear)
    )


def test_the_linear_graph_computes_what_the_model_does(
    examples: list[corpus.Example], tmp_path: Path
) -> None:
    import onnxruntime

    model = fit_linear(examples, NAMES, LinearOptions())
    session = onnxruntime.InferenceSession(str(export_linear(model, tmp_path / "l.onnx")))
    text = "Please refill my metformin, thanks"
    f = model.vocabulary.features(text)

    (logits,) = session.run(
        ["logits"],
        {"ids": np.array(f.ids), "values": np.array(f.values, dtype=np.float32)},
    )

    assert np.allclose(logits[0], model.logits([text])[0], atol=0.02)  # half-precision weights


@pytest.mark.parametrize("kind", ["transformer", "linear"])
def test_all_steps_in_one_give_a_bundle_that_the_worker_loads(
    kind: str, base: str, examples: list[corpus.Example], tmp_path: Path
) -> None:
    train, dev, test = (tmp_path / f"{name}.jsonl" for name in ("train", "dev", "test"))
    rows = corpus.read_clean(corpus.SPLITS["train"], TAXONOMY)
    corpus.write(train, rows[:150] + [r for r in rows if r.lot == "J"])
    corpus.write(dev, examples)
    corpus.write(test, corpus.read_clean(corpus.SPLITS["dev"], TAXONOMY)[300:420])
    files = ["--train", str(train), "--dev", str(dev), "--test", str(test)]

    result = CliRunner().invoke(
        command,
        ["build", "--kind", kind, "--base", base, "--epochs", "0.5", "--no-release",
         "--work", str(tmp_path / "work"), *files],
    )  # fmt: skip

    assert result.exit_code == 0, result.output
    tier = FastTier.load(tmp_path / "work" / "bundle", taxonomy=TAXONOMY)
    assert tier.score("Refill please").category_set
    report = json.loads((tmp_path / "work" / "report-dev.json").read_text())
    assert report["headline"]["n"] == 120
    page = (tmp_path / "work" / "report-dev.html").read_text()
    assert page.count("<svg") == 5


def test_a_bundle_that_fails_a_gate_is_refused_and_says_why(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        command, ["release", "shipped", "--to", str(tmp_path / "out"), "--max-wrong", "0.0001",
                  "--test", str(corpus.SPLITS["dev"])],
    )  # fmt: skip

    assert result.exit_code != 0
    assert "of the accepted labels are wrong" in str(result.exception)
    assert not (tmp_path / "out" / "bundle.json").exists()


def test_tokens_of_long_messages_keep_head_and_tail(base: str) -> None:
    from training.encode import token_ids

    tokenizer = load_tokenizer(base)
    (short, long) = token_ids(tokenizer, ["hello", "pain " * 500 + "help"], 64)

    assert len(short) == 3
    assert len(long) == 64
    assert long[0] == short[0]
    assert tokenizer.id_to_token(long[-2]) == "help"


def test_a_released_bundle_comes_back_in_floats_to_be_trained_further() -> None:
    text = "I ran out of my blood pressure pills yesterday, can you send more to the pharmacy?"
    model = classifier_of(SHIPPED, NAMES).eval()

    found = finetune.predict(model, load_tokenizer(network.DEFAULT_BASE), [text])
    (read,) = TransformerReader.open(SHIPPED, read_manifest(SHIPPED)).read(text).readings

    # The graph rounds what flows through it; the weights are the same.
    assert np.abs(found.primary[0] - read.primary).max() < 0.5
    assert int(found.primary[0].argmax()) == int(np.argmax(read.primary))
    assert np.abs(found.urgency[0] - read.urgency).max() < 0.5


def test_a_bundle_of_other_categories_or_another_encoder_is_not_trained_further(base: str) -> None:
    with pytest.raises(InvalidInput, match="other categories"):
        classifier_of(SHIPPED, ("one", "two"))
    with pytest.raises(InvalidInput, match=r"another shape|not made from"):
        classifier_of(SHIPPED, NAMES, base)

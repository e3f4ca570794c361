"""Judge models score texts as a whole uncached pass does, whatever else is in the batch."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from auctionsim.judges import ModelJudge, assembled_judge, judge_model
from auctionsim.judges import model as judge_models
from auctionsim.language_models import ModelUnavailableError
from auctionsim.language_models.packaged import GEMMA, PACKAGED_MODELS, packaged_parts_or_none
from auctionsim.testing import fake_language_model, fake_tokenizer
from auctionsim.testing.tiny_networks import tiny_network

BEGINNING = [7, 300, 41, 12, 99, 250, 8, 77, 400, 23, 6, 310]
CONTINUATIONS = [[5, 17, 301], [44], [], [9, 8, 7, 6, 5, 4, 3, 2, 400, 401, 402, 403, 404], [5, 17, 302, 11]]
TOLERANCE = 1e-5


def fake_judge() -> ModelJudge:
    fake = fake_language_model()
    return assembled_judge("fake", fake.network, fake.tokenizer)


@pytest.fixture(params=["llama", "gemma3_text", "gpt2", "mamba"])
def judge(request: pytest.FixtureRequest) -> Iterator[ModelJudge]:
    """Llama; windows of 8 positions, which the texts leave; positions that are learnt; a recurrent state."""
    if request.param == "llama":
        yield fake_judge()
        return
    tiny: Any = tiny_network(request.param)
    yield assembled_judge("tiny", tiny.float(), fake_tokenizer())


@torch.inference_mode()
def whole(judge: ModelJudge, ids: list[int]) -> torch.Tensor:
    """Log probabilities after every position of one row, from one uncached pass."""
    logits: torch.Tensor = judge.network(torch.tensor([ids]), use_cache=False).logits
    return torch.log_softmax(logits[0].double(), -1)


def test_log_probabilities_are_those_of_a_whole_pass(judge: ModelJudge) -> None:
    found = judge.log_probabilities(BEGINNING, CONTINUATIONS)
    assert [len(one) for one in found] == [len(ids) for ids in CONTINUATIONS]
    for ids, log_p in zip(CONTINUATIONS, found, strict=True):
        law = whole(judge, [*BEGINNING, *ids])
        expected = [float(law[len(BEGINNING) - 1 + k, token]) for k, token in enumerate(ids)]
        assert log_p.tolist() == pytest.approx(expected, abs=TOLERANCE)


def test_a_row_does_not_depend_on_its_batch(judge: ModelJudge, monkeypatch: pytest.MonkeyPatch) -> None:
    together = judge.log_probabilities(BEGINNING, CONTINUATIONS)
    prompts = [[*BEGINNING[:6], *ids] for ids in CONTINUATIONS] + [[1, 2, 3]]
    logits = judge.next_logits(prompts)
    assert logits.dtype == torch.float32
    for k, ids in enumerate(CONTINUATIONS):
        (alone,) = judge.log_probabilities(BEGINNING, [ids])
        assert alone.tolist() == pytest.approx(together[k].tolist(), abs=TOLERANCE)
    for k, prompt in enumerate(prompts):
        alone = judge.next_logits([prompt])[0]
        assert float((alone - logits[k]).abs().max()) < TOLERANCE * float(logits[k].abs().max().clamp(min=1))
        assert float((torch.log_softmax(alone.double(), 0) - whole(judge, prompt)[-1]).abs().max()) < TOLERANCE
    monkeypatch.setattr(judge_models, "_MOST_LOGITS", 1)  # a row a batch
    for one, other in zip(judge.log_probabilities(BEGINNING, CONTINUATIONS), together, strict=True):
        assert one.tolist() == pytest.approx(other.tolist(), abs=TOLERANCE)


def test_a_common_beginning_is_computed_once(forward_passes: Any) -> None:
    judge = fake_judge()
    assert judge.shares
    with forward_passes(judge.network) as seen:
        judge.log_probabilities(BEGINNING, CONTINUATIONS)
    rows = len([ids for ids in CONTINUATIONS if ids])
    assert seen == [(1, len(BEGINNING) - 1), (rows, max(map(len, CONTINUATIONS)))]
    with forward_passes(judge.network) as seen:
        judge.next_logits([[*BEGINNING, 5], [*BEGINNING, 6, 7], BEGINNING])
    assert seen == [(1, len(BEGINNING) - 1), (3, 3)]  # the last wants the logits after the beginning itself


def test_a_cache_that_gives_other_numbers_is_not_used() -> None:
    fake = fake_language_model()

    class Forgetful(type(fake.network)):  # type: ignore[misc]
        """A network that looks at nothing but what it is given last."""

        def forward(self, *arguments: Any, past_key_values: Any = None, **more: Any) -> Any:
            return super().forward(*arguments, **more)

    fake.network.__class__ = Forgetful
    judge = assembled_judge("forgetful", fake.network, fake.tokenizer)
    assert not judge.shares
    (found,) = judge.log_probabilities(BEGINNING, [[5, 17]])
    assert found[1].item() == pytest.approx(float(whole(judge, [*BEGINNING, 5])[-1, 17]), abs=TOLERANCE)


def test_what_cannot_be_judged_is_refused() -> None:
    judge = fake_judge()
    assert judge.context_length == 512
    with pytest.raises(ValueError, match="fake judges texts of 1 to 512 tokens, got 612 to 612"):
        judge.log_probabilities(BEGINNING, [[5] * 601])
    with pytest.raises(ValueError, match="got 0 to 3"):
        judge.next_logits([[1, 2, 3], []])
    with pytest.raises(ValueError, match="need a beginning"):
        judge.log_probabilities([], [[5]])
    with pytest.raises(ValueError, match="a prompt is plain text, without control tokens"):
        judge.reply_ids("Well.<|im_end|>")
    assert judge.next_logits([]).shape == (0, 512)


def test_replies_follow_the_frame() -> None:
    judge = fake_judge()
    assert judge.tokenizer.decode([*judge.chat_ids("Hi"), *judge.reply_ids(" Well.\n")]).endswith("assistant\nWell.")
    judge.tokenizer.chat_template = None
    assert judge.tokenizer.decode([*judge.chat_ids("Hi"), *judge.reply_ids("Well.")]).endswith("Hi\nAnswer: Well.")
    assert judge.reply_ids(" \n") == []


def test_a_judge_is_loaded_once_and_named_by_weights_and_frame(tmp_path: Path) -> None:
    fake = fake_language_model()
    for name in ("one", "two"):
        fake.network.save_pretrained(tmp_path / name)  # type: ignore[operator]
        if name == "two":
            fake.tokenizer.chat_template = fake.tokenizer.chat_template.replace("\n", " ")
        fake.tokenizer.save_pretrained(tmp_path / name)
    one = judge_model(str(tmp_path / "one"))
    assert judge_model(str(tmp_path / "one")) is one
    assert judge_model(str(tmp_path / "two" / ".." / "one")) is one
    assert (one.name, one.fingerprint) == ("one", fake.fingerprint)
    assert one.network.dtype == torch.float32
    other = judge_model(str(tmp_path / "two"))
    assert other.fingerprint == one.fingerprint
    assert one.identity.partition("/")[2] != other.identity.partition("/")[2]
    fake_language_model(dtype=torch.bfloat16).network.save_pretrained(tmp_path / "half")  # type: ignore[operator]
    fake.tokenizer.save_pretrained(tmp_path / "half")
    half = judge_model(str(tmp_path / "half"))  # its verdicts, too, are computed in float32
    assert (half.network.dtype, half.fingerprint) == (torch.float32, one.fingerprint)
    with pytest.raises(ModelUnavailableError, match="no language model"):
        judge_model(str(tmp_path / "three"))


@pytest.mark.model
def test_smollm2_scores_a_row_alike_in_any_batch() -> None:
    judge = judge_model("smollm2")
    asked = judge.chat_ids("Which running shoes would you choose?")
    texts = ("I would choose Nike.", "A light shoe with good cushioning, such as the Pegasus, is best for long runs.")
    ids = [judge.reply_ids(text) for text in texts]
    together = judge.log_probabilities(asked, ids)
    for one, own in zip(together, ids, strict=True):
        expected = [float(whole(judge, [*asked, *own[:k]])[-1, token]) for k, token in enumerate(own)]
        assert one.tolist() == pytest.approx(expected, abs=1e-4)
        assert judge.log_probabilities(asked, [own])[0].tolist() == pytest.approx(one.tolist(), abs=1e-4)
        mean = judge.log_probabilities(asked, [own])[0].double().mean()
        assert float(mean) == pytest.approx(float(one.double().mean()), abs=TOLERANCE)


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.skipif(packaged_parts_or_none(GEMMA) is None, reason=PACKAGED_MODELS[GEMMA].install)
def test_gemma_is_dequantised_right() -> None:
    """A sentence is far more probable than its words shuffled, and the start token stands before a plain frame."""
    judge = judge_model(GEMMA)
    start = judge.tokenizer.bos_token_id
    sentence = "The river rises in the hills to the north and takes four days to reach the sea."
    shuffled = "sea north the days rises hills The in reach four takes river the to and to the."
    fluent, broken = (
        -float(judge.log_probabilities([start], [judge.reply_ids(text)])[0].mean()) for text in (sentence, shuffled)
    )
    assert fluent < 4.0 < broken - 3.0
    assert judge.chat_ids("Hi?")[0] == start
    assert judge.tokenizer.decode(judge.chat_ids("Hi?")[1:]) == "Question: Hi?\nAnswer:"
    asked = judge.chat_ids("Which sea?")
    together = judge.log_probabilities(asked, [judge.reply_ids(sentence), judge.reply_ids("The North Sea.")])
    alone = judge.log_probabilities(asked, [judge.reply_ids("The North Sea.")])[0]
    assert float(alone.mean()) == pytest.approx(float(together[1].mean()), abs=TOLERANCE)

"""Intent is a product of the model's own conditional probabilities; never more than the slot probability."""

import pytest
import torch
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.language_models import LanguageModel, scale_neurons
from auctionsim.readings.intent import LEADS, CommercialScorer, Lead
from auctionsim.readings.slots import SlotScorer
from auctionsim.testing import fake_language_model

MODEL = fake_language_model()
PROMPT = "Which running shoes would you choose?"
STEMS = ("I would recommend", "My first pick would be")
BRANDS = (Brand("Nike", ("Puma",)), Brand("Adidas"))
FEW = (Lead(". You", ("can", "can see", "care", "buy")), Lead(". More at", ("www",)))


def some_scales(rows: int) -> Tensor:
    noise = torch.rand(rows, MODEL.num_layers, MODEL.num_neurons, generator=torch.Generator().manual_seed(2))
    return torch.cat([torch.ones(1, MODEL.num_layers, MODEL.num_neurons), 1 + noise[1:]])


def follows(model: LanguageModel, before: list[int], after: list[int], first: int, scales: Tensor) -> float:
    """P(after | before), token by token, one full pass each, interventions from position `first` on."""
    probability, ids = 1.0, list(before)
    for token in after:
        with scale_neurons(model, scales, first_position=first):
            logits = model.network(torch.tensor([ids])).logits[0, -1]
        probability *= float(torch.softmax(logits.double(), -1)[token])
        ids.append(token)
    return probability


def test_intent_is_a_slow_loop_over_names_leads_and_calls() -> None:
    scales = some_scales(3)
    found = CommercialScorer(MODEL, BRANDS, STEMS, leads=FEW)(PROMPT, scales)
    names = {name: SlotScorer(MODEL, (Brand(name),), STEMS)(PROMPT, scales) for name in ("Nike", "Puma", "Adidas")}
    prompt = MODEL.chat_ids(PROMPT)
    counted = {". You": ("can", "care", "buy"), ". More at": ("www",)}  # "can see" begins with "can": counted by it
    for row in range(3):
        one = scales[row : row + 1]
        for s, stem in enumerate(STEMS):
            for i, brand in enumerate(BRANDS):
                slow = 0.0
                for name in brand.names:
                    for lead, calls in counted.items():
                        before = [*prompt, *MODEL.text_ids(f"{stem} {name}{lead}")]
                        for call in calls:
                            after = MODEL.text_ids(f" {call}")
                            given = follows(MODEL, before, after, len(prompt) - 1, one)
                            slow += float(names[name][row, s, 0]) * given / len(counted)
                assert found.intent[row, s, i].item() == pytest.approx(slow, rel=1e-3)
    assert not torch.allclose(found.intent[0], found.intent[1], rtol=1e-2)


def test_the_slot_is_the_same_as_scored_alone() -> None:
    scales = some_scales(5)
    found = CommercialScorer(MODEL, BRANDS, STEMS, leads=FEW)(PROMPT, scales)
    alone = SlotScorer(MODEL, BRANDS, STEMS)(PROMPT, scales)
    torch.testing.assert_close(found.slot_probability, alone, rtol=1e-4, atol=0)
    without = CommercialScorer(MODEL, BRANDS, STEMS, leads=())(PROMPT, scales)
    torch.testing.assert_close(without.slot_probability, alone, rtol=1e-4, atol=0)
    assert not without.intent.any()
    with pytest.raises(ValueError, match="a lead needs calls"):
        CommercialScorer(MODEL, BRANDS, STEMS, leads=(*FEW, Lead(". So", ())))


@pytest.mark.parametrize("leads", [FEW, LEADS], ids=["few", "ours"])
def test_it_lies_between_nothing_and_the_slot_and_repeats(leads: tuple[Lead, ...]) -> None:
    score = CommercialScorer(MODEL, BRANDS, STEMS, leads=leads)
    scales = some_scales(2)
    found, again = score(PROMPT, scales), score(PROMPT, scales)
    assert (found.intent > 0).all()
    assert (found.intent < found.slot_probability).all()
    assert torch.equal(found.intent, again.intent)


def test_certain_calls_make_intent_the_slot() -> None:
    """Where the model always goes on with the call, nothing is lost and rounding does not go beyond."""
    network = fake_language_model().network
    sure = torch.nn.Linear(32, 512).requires_grad_(False)
    sure.weight.zero_()
    sure.bias.zero_()
    name = MODEL.text_ids(" Nike")
    sure.bias[name[0]] = 40.0
    network.set_output_embeddings(sure)  # type: ignore[operator]
    model = fake_language_model(network=network)
    found = CommercialScorer(model, (Brand("Nike"),), STEMS, leads=(Lead(". You can", ("Nike",)),))(
        PROMPT, some_scales(2)
    )
    assert found.slot_probability.min() > 0.999
    assert (found.intent > 0.999).all()
    assert (found.intent <= found.slot_probability).all()


def test_a_row_does_not_depend_on_its_batch_nor_on_how_rows_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    scales = some_scales(7)
    score = CommercialScorer(MODEL, BRANDS, STEMS, leads=FEW)
    together = score(PROMPT, scales)
    monkeypatch.setattr("auctionsim.readings.intent._BYTES", 5 * 4 * 512 * 24)  # fewer rows than one intervention has
    apart = score(PROMPT, scales)
    torch.testing.assert_close(apart.intent, together.intent, rtol=1e-4, atol=0)
    for row in (0, 3, 6):
        torch.testing.assert_close(
            score(PROMPT, scales[row : row + 1]).intent[0], together.intent[row], rtol=1e-4, atol=0
        )


def test_a_lead_that_melts_into_what_follows_is_refused() -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    pieces = {"<unk>": 0, "o": 1, " ": 2, "N": 3, ".": 4, "o.": 5}
    tokenizer = Tokenizer(models.BPE(pieces, [("o", ".")], unk_token="<unk>"))
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")
    model = LanguageModel("melting", MODEL.fingerprint, MODEL.network, fast, MODEL.feed_forwards)
    with pytest.raises(ValueError, match=r"no boundary between 'o' and '\.'"):
        CommercialScorer(model, (Brand("N"),), ("o",), leads=(Lead(".", ("o",)),))

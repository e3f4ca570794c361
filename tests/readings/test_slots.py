"""Slot probabilities are products of the model's own conditional probabilities, each event counted once."""

import re

import pytest
import torch
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.language_models import LanguageModel, prefill, sample_replies, scale_neurons
from auctionsim.readings.slots import SlotScorer
from auctionsim.testing import fake_language_model

MODEL = fake_language_model()
PROMPT = "Which running shoes would you choose?"
STEMS = ("I would recommend", "My first pick would be")


def some_scales(rows: int) -> Tensor:
    noise = torch.rand(rows, MODEL.num_layers, MODEL.num_neurons, generator=torch.Generator().manual_seed(2))
    return torch.cat([torch.ones(1, MODEL.num_layers, MODEL.num_neurons), 1 + noise[1:]])


def conditional(model: LanguageModel, ids: list[int], first: int, scales: Tensor) -> Tensor:
    """One full pass: the distribution of the token after `ids`, interventions from position `first` on."""
    with scale_neurons(model, scales, first_position=first):
        return torch.softmax(model.network(torch.tensor([ids])).logits[0, -1].double(), -1)


def brute_force(model: LanguageModel, stem: str, name: str, scales: Tensor) -> float:
    """P(` name` and then no letter, digit or underscore), token by token."""
    prompt = model.chat_ids(PROMPT)
    ids = [*prompt, *model.text_ids(stem)]
    probability = 1.0
    for token in model.text_ids(f" {name}"):
        probability *= float(conditional(model, ids, len(prompt) - 1, scales)[token])
        ids.append(token)
    follows = conditional(model, ids, len(prompt) - 1, scales)
    for token in range(model.vocabulary_size):
        rest = model.tokenizer.decode([*model.text_ids(f" {name}"), token])[len(name) + 1 :]
        if re.match(r"\w", rest):
            follows[token] = 0
    return probability * float(follows.sum())


def test_one_name_is_the_product_of_its_conditional_probabilities() -> None:
    brands = (Brand("Nike"), Brand("Adidas"), Brand("Puma"))
    assert [len(MODEL.text_ids(f" {brand.name}")) for brand in brands] == [1, 7, 1]
    scales = some_scales(3)
    found = SlotScorer(MODEL, brands, STEMS)(PROMPT, scales)
    assert found.shape == (3, 2, 3)
    assert found.dtype == torch.float64
    for row in range(3):
        for s, stem in enumerate(STEMS):
            for i, brand in enumerate(brands):
                expected = brute_force(MODEL, stem, brand.name, scales[row : row + 1])
                assert found[row, s, i].item() == pytest.approx(expected, rel=1e-3)
    assert not torch.allclose(found[0], found[1], rtol=1e-2)


def test_aliases_add_up() -> None:
    found = SlotScorer(MODEL, (Brand("Nike", ("Puma", "wear")),), STEMS)(PROMPT, some_scales(2))
    alone = [SlotScorer(MODEL, (Brand(name),), STEMS)(PROMPT, some_scales(2)) for name in ("Nike", "Puma", "wear")]
    torch.testing.assert_close(found, sum(alone), rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    ("names", "counted"),
    [
        (("Nike", "Nike Inc"), ("Nike",)),
        (("Nike Inc", "Nike"), ("Nike",)),
        (("Nike", "Nike-Air", "Nike's", "Nike 2.0"), ("Nike",)),
        (("Nike", "Nikes"), ("Nike", "Nikes")),  # a word of its own: two different events
        (("Nike's", "Nike's own"), ("Nike's",)),
    ],
)
def test_an_event_is_counted_once(names: tuple[str, ...], counted: tuple[str, ...]) -> None:
    found = SlotScorer(MODEL, (Brand(names[0], names[1:]),), STEMS)(PROMPT, some_scales(2))
    alone = [SlotScorer(MODEL, (Brand(name),), STEMS)(PROMPT, some_scales(2)) for name in counted]
    torch.testing.assert_close(found, sum(alone), rtol=1e-4, atol=0)


def test_a_word_ends_where_no_letter_digit_or_underscore_follows() -> None:
    ends = SlotScorer(MODEL, (Brand("Nike"),), STEMS).word_ends
    assert ends.shape == (MODEL.vocabulary_size,)
    for token in range(MODEL.vocabulary_size):
        rest = MODEL.tokenizer.decode([*MODEL.text_ids(" Nike"), token])[5:]
        assert bool(ends[token]) == (re.match(r"\w", rest) is None), (token, rest)
    for text, ending in ((" shoe", True), ("s", False), ("_", False), ("7", False), (".", True), ("\n", True)):
        assert bool(ends[MODEL.text_ids(text)[0]]) == ending
    assert ends[MODEL.end_ids[0]]


def test_a_row_does_not_depend_on_its_batch() -> None:
    """More rows than are scored at once: the same numbers as one by one."""
    score = SlotScorer(MODEL, (Brand("Nike"), Brand("Adidas")), STEMS)
    scales = some_scales(37)
    together = score(PROMPT, scales)
    for row in (0, 15, 16, 36):
        torch.testing.assert_close(score(PROMPT, scales[row : row + 1])[0], together[row], rtol=1e-4, atol=0)


def test_the_probability_is_how_often_sampled_replies_say_it() -> None:
    """Continue a stem by sampling: the share that goes on with the name lies within 4 standard errors."""
    rows, ids = 4000, [*MODEL.chat_ids(PROMPT), *MODEL.text_ids(STEMS[0])]
    first = conditional(MODEL, ids, 0, some_scales(1))
    words = [
        token
        for token in first.argsort(descending=True).tolist()
        if re.fullmatch(r" \w+", MODEL.tokenizer.decode([token]))
    ][:2]
    names = [MODEL.tokenizer.decode([token])[1:] for token in words]
    found = SlotScorer(MODEL, tuple(map(Brand, names)), STEMS[:1])(PROMPT, some_scales(1))[0, 0]
    assert found.min() > 0.01
    uniforms = torch.rand(rows, 2, generator=torch.Generator().manual_seed(4))
    replies = sample_replies(MODEL, prefill(MODEL, ids, 2), some_scales(1), uniforms)
    for name, token, probability in zip(names, words, found.tolist(), strict=True):
        texts = [MODEL.tokenizer.decode(row) for row in replies.tokens if row[0] == token]
        share = sum(re.match(rf" {name}(?!\w)", text) is not None for text in texts) / rows
        assert abs(share - probability) <= 4 * (probability * (1 - probability) / rows) ** 0.5


def test_certainty_is_at_most_one() -> None:
    """Rounding in float32 may not push a probability above 1, which no surface accepts."""
    network = fake_language_model().network
    sure = torch.nn.Linear(32, 512).requires_grad_(False)
    sure.weight.zero_()
    sure.bias.zero_()
    sure.bias[MODEL.text_ids(" Nike")[0]] = 40.0
    network.set_output_embeddings(sure)  # type: ignore[operator]
    model = fake_language_model(network=network)
    found = SlotScorer(model, (Brand("Nike"),), STEMS)(PROMPT, some_scales(2))
    assert found.min() > 0.999
    assert found.max() <= 1


def test_tokenizers_that_mark_the_first_word_are_read_in_place() -> None:
    """Where a tokenizer puts a space before every text, a name is tokenised after its stem, not alone."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=120, special_tokens=["<unk>", "</s>"], show_progress=False)
    tokenizer.train_from_iterator(["Nike", "I would recommend Nike", "the Nike shoe"] * 20, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>")
    model = LanguageModel("marked", MODEL.fingerprint, MODEL.network, fast, MODEL.feed_forwards)
    assert model.text_ids(" Nike") != model.text_ids("Nike")  # two spaces
    ids = model.continuation_ids("I would recommend", "Nike")
    assert model.text_ids("I would recommend Nike") == model.text_ids("I would recommend") + ids
    assert SlotScorer(model, (Brand("Nike"),), ("I would recommend",)).continuations[0].name_ids == ids


def test_a_stem_that_melts_into_the_name_is_refused() -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    pieces = {"<unk>": 0, "o": 1, " ": 2, "N": 3, "o ": 4, "o N": 5}
    tokenizer = Tokenizer(models.BPE(pieces, [("o", " "), ("o ", "N")], unk_token="<unk>"))
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")
    model = LanguageModel("melting", MODEL.fingerprint, MODEL.network, fast, MODEL.feed_forwards)
    with pytest.raises(ValueError, match="no boundary between 'o' and 'N': choose another stem"):
        model.continuation_ids("o", "N")

"""Ads before the reply: every text names its brand, and stands where its lever says, in a fixed order."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from auctionsim.brands import parse_brands
from auctionsim.carriers import carrier_entry, load_carrier, save_carrier
from auctionsim.carriers.ad_wordings import ad_text, prompt_ad, wordings
from auctionsim.carriers.displayed_bids import DisplayedBids
from auctionsim.carriers.insertion import Insertion
from auctionsim.carriers.prompt_ad import PromptAd
from auctionsim.carriers.protocol import Carrier
from auctionsim.carriers.registry import FittingInputs
from auctionsim.carriers.segments import Segments
from auctionsim.carriers.slots import Slots
from auctionsim.carriers.wording_strength import name_strengths, weak_to_strong
from auctionsim.language_models.change import Change
from auctionsim.language_models.framing import Framing, Framings
from auctionsim.language_models.model import LanguageModel
from auctionsim.prompts import PromptSet
from auctionsim.readings.slots import SlotScorer
from auctionsim.stems import SPLITS, Stem
from auctionsim.substrates.language_model import LanguageModelSubstrate
from auctionsim.testing import fake_language_model, fake_tokenizer

SHOES = "running shoes"
BRANDS = parse_brands("Nike,Adidas")
MANY = parse_brands("Nike,Dr. Martens,Nestlé,Yahoo!,AT&T,喜茶,Coca-Cola|Coke,Apple:case,7-Eleven")
FAKE = fake_language_model()
PROMPTS = PromptSet(
    ("any",), (tuple(f"{word}?" for word in ["Which", "Who", "What", "Where", "When", "Why", "How", "Whose"]),),
    tuple(Stem(f"I {word}", "calling", split) for word, split in zip(("a", "b", "c", "d"), SPLITS, strict=True)),
)  # fmt: skip
"""Two short prompts and a stem on each split."""
KINDS = (PromptAd, Segments, DisplayedBids, Slots, Insertion)
LISTS = ("prompt", "segments", "lines")


def framed(carrier: Carrier, *rows: list[float]) -> list[Framing]:
    """The framings of allocations to one lever a bidder."""
    before = carrier.change(torch.tensor([[[float(value)] for value in row] for row in rows])).before
    assert before is not None
    return list(before.rows)


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("category", ["running shoes", "charities", "{brand}", "Käse & <b>"])
def test_every_packaged_wording_names_every_brand_once_filled(kind: str, category: str) -> None:
    texts = wordings(kind)
    assert len(set(texts)) == len(texts) >= 4
    for brand in MANY:
        for text in texts:
            ad = ad_text(text, brand, category)
            assert brand.spans(ad)
            assert brand.name in ad
            assert not [other for other in MANY if other != brand and other.spans(ad)]
            assert "{" not in ad or "{" in category


def test_a_prompt_ad_is_in_the_system_message() -> None:
    assert prompt_ad(BRANDS[0], SHOES, "See {brand} for {category}.") == Framing(system="See Nike for running shoes.")


@pytest.mark.parametrize(
    ("wording", "message"),
    [
        ("Buy now.", "gives 'Buy now.': an ad must name its brand, Nike"),
        ("Try {brand}ish {category}.", "gives 'Try Nikeish running shoes.': an ad must name its brand, Nike"),
        ("Try {name}.", r"has a place \{name\}; places are \{brand\} and \{category\}"),
        ("  ", "a wording must have words, got '  '"),
    ],
)
@pytest.mark.parametrize("kind", [PromptAd, Segments, Slots, Insertion])
def test_a_wording_that_names_no_brand_is_refused(kind: type[PromptAd], wording: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refusal:
        kind(BRANDS, SHOES, ["{brand} is good.", wording])
    assert "\n" not in str(refusal.value)


def test_lists_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="a list of wordings needs at least one, got none"):
        PromptAd(BRANDS, SHOES, [])
    with pytest.raises(ValueError, match=r"the wording '\{brand\}!' is there twice"):
        Slots(BRANDS, SHOES, ["{brand}!", "{brand}?", "{brand}!"])
    with pytest.raises(ValueError, match="there are wordings for prompt, segments, lines and displays, not for 'x'"):
        wordings("x")
    with pytest.raises(ValueError, match=r"has a place \{brand\}; places are \{category\}"):
        DisplayedBids(BRANDS, SHOES, "Sponsors: {brand}.")
    with pytest.raises(ValueError, match="prompt-ad needs one brand or several of different names, got"):
        PromptAd((BRANDS[0], BRANDS[0]), SHOES)
    with pytest.raises(ValueError, match="a category must be words"):
        Segments(BRANDS, " ")


@pytest.mark.parametrize("kind", KINDS)
def test_levers_are_whole_numbers_in_their_range(kind: type[PromptAd]) -> None:
    carrier = kind(BRANDS, SHOES)
    most = carrier.levers[0].high
    rungs = carrier.ladder()
    assert rungs[:, 0].tolist() == [float(k) for k in range(1, int(most) + 1)]
    for bad in (-1.0, 0.5, most + 1, float("nan")):
        with pytest.raises(ValueError, match=rf"{carrier.name} takes {carrier.levers[0].name} in \[0, .* \(whole\)"):
            carrier.change(torch.tensor([[[1.0], [bad]]]))
    assert carrier.change(torch.tensor([[[0.0], [0.0]], [[1.0], [0.0]]])).null.tolist() == [True, False]
    assert carrier.reads_bids == (kind is DisplayedBids)


def test_prompt_ads_stand_one_after_the_other_in_the_bidders_order() -> None:
    carrier = PromptAd(BRANDS, SHOES, ["{brand}, perhaps.", "{brand} for {category}."])
    assert framed(carrier, [0, 0], [1, 0], [0, 2], [2, 1]) == [
        Framing(),
        Framing(system="Nike, perhaps."),
        Framing(system="Adidas for running shoes."),
        Framing(system="Nike for running shoes. Adidas, perhaps."),
    ]


def test_segments_are_background_before_the_question() -> None:
    carrier = Segments(BRANDS, SHOES, ["See {brand}.", "{brand} is another."])
    assert framed(carrier, [0, 0], [2, 1]) == [
        Framing(),
        Framing(before="See Nike. Nike is another. See Adidas. "),
    ]


def test_displayed_bids_are_shown_in_the_bidders_order() -> None:
    carrier = DisplayedBids(BRANDS, SHOES, "Sponsors of {category}:", most=3)
    assert framed(carrier, [0, 0], [1, 3], [0, 2]) == [
        Framing(),
        Framing(system="Sponsors of running shoes:\nNike pays 1.\nAdidas pays 3."),
        Framing(system="Sponsors of running shoes:\nAdidas pays 2."),
    ]


def test_a_segment_longer_than_the_context_is_refused_in_one_sentence_before_anything_is_drawn() -> None:
    carrier = Segments(BRANDS, SHOES, ["See {brand}.", "{brand} " * 600])
    with pytest.raises(ValueError, match="no room in the model's context of 512") as refusal:
        LanguageModelSubstrate(FAKE, carrier, PROMPTS)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("kind", [PromptAd, Segments])
def test_a_wording_that_speaks_for_the_model_is_refused_before_anything_is_drawn(kind: type[PromptAd]) -> None:
    carrier = kind(BRANDS, SHOES, ["{brand}.", "See {brand}.<|im_end|>"])
    with pytest.raises(ValueError, match=r"contains '<\|im_end\|>': what is added is plain text"):
        LanguageModelSubstrate(FAKE, carrier, PROMPTS)
    assert LanguageModelSubstrate(FAKE, kind(BRANDS, SHOES), PROMPTS).num_bidders == 2


def template_less() -> LanguageModel:
    """The fake model without a chat template."""
    tokenizer = fake_tokenizer()
    tokenizer.chat_template = None
    return replace(FAKE, tokenizer=tokenizer)


@pytest.mark.parametrize(
    ("kind", "model"), [*((kind, FAKE) for kind in KINDS), (PromptAd, template_less())], ids=lambda value: ""
)
def test_every_carrier_is_fitted_by_its_rule_and_comes_back_from_its_file(
    kind: type[PromptAd], model: LanguageModel, tmp_path: Path
) -> None:
    """On the packaged lists; one brand is a single token, the other many."""
    brands = parse_brands("Nike,喜茶")
    carrier = carrier_entry(kind.name).fit(FittingInputs(model, brands, "tea", PROMPTS))
    assert isinstance(carrier, kind)
    assert carrier.brands == brands
    save_carrier(tmp_path / "carrier.safetensors", carrier)
    again = load_carrier(tmp_path / "carrier.safetensors")
    assert again.digest == carrier.digest
    full = torch.tensor([[[lever.high for lever in carrier.levers]] * len(brands)])
    change = carrier.change(full)
    assert again.change(full) == change
    if change.before is not None:
        text = str(model.tokenizer.decode(change.framing(0).ids(model, "Which?")))
        assert all(brand.spans(text) for brand in brands)


def test_strengths_are_mean_log_probabilities_of_the_name_and_wordings_are_ordered_by_them() -> None:
    inputs = FittingInputs(FAKE, BRANDS, "tea", PROMPTS)
    fitted = carrier_entry("prompt-ad").fit(inputs)
    assert isinstance(fitted, PromptAd)
    ads = [[prompt_ad(brand, "tea", text) for text in fitted.wordings] for brand in BRANDS]
    strengths = name_strengths(inputs, ads)
    assert strengths.shape == (len(wordings("prompt")), 2)
    assert strengths.mean(1).tolist() == sorted(strengths.mean(1).tolist())
    own = PROMPTS.split("A")
    scorer = SlotScorer(FAKE, BRANDS[1:], own.stem_texts)
    change = Change(1, before=Framings((ads[1][2],)))
    expected = [scorer(prompt, change).log().mean() for prompt in own.everything]
    assert float(strengths[2, 1]) == pytest.approx(float(sum(expected)) / len(expected), abs=1e-5)


def test_of_equal_wordings_the_earlier_comes_first() -> None:
    assert weak_to_strong(torch.tensor([[2.0, 0.0], [-1.0, 1.0], [0.5, 1.5], [0.0, 0.0]])) == [1, 3, 0, 2]

"""A logit bias on brands' names: which tokens gain it, by how much, and what is refused."""

import pytest
import torch

from auctionsim import carriers
from auctionsim.brands import Brand, parse_brands
from auctionsim.carriers.logit_bias import BrandTokens, name_tokens
from auctionsim.language_models.token_laws import LogitBias
from auctionsim.prompts import build_prompts
from auctionsim.testing import fake_language_model

MODEL = fake_language_model()
BRANDS = parse_brands("Nike,Adidas")


def fitted() -> BrandTokens:
    inputs = carriers.FittingInputs(MODEL, BRANDS, "running shoes", build_prompts("running shoes"))
    made = carriers.carrier_entry("logit-bias").fit(inputs)
    assert isinstance(made, BrandTokens)
    return made


def text_of(token: int) -> str:
    return str(MODEL.tokenizer.decode([token]))


def test_names_are_begun_by_their_first_token_after_a_space() -> None:
    nike, adidas = fitted().tokens
    assert [text_of(token) for token in nike] == ["Nike", " Nike"]  # "nike" and "NIKE" take several here
    assert [text_of(token) for token in MODEL.continuation_ids("I", "Adidas")][:2] == [" ", "A"]
    assert [text_of(token) for token in adidas] == ["A"]  # white space begins everything


def test_other_spellings_count_where_the_brand_counts_them_and_they_are_one_token() -> None:
    single = Brand("a", case_sensitive=("a",))
    assert {text_of(token) for token in name_tokens(MODEL, single)} == {" a", "a"}
    either = {text_of(token) for token in name_tokens(MODEL, Brand("a"))}
    assert {" a", "a", "A"} <= either
    assert {text.strip().lower() for text in either} == {"a"}
    alias = name_tokens(MODEL, Brand("Puma", ("Nike",)))
    assert {text_of(token) for token in alias} == {" Puma", "Nike", " Nike"}


def test_a_lever_is_nats_at_temperature_one_and_a_shared_token_gains_both() -> None:
    carrier = BrandTokens(BRANDS, ((3, 5), (5, 8)), 20)
    levers = torch.tensor([[[0.0], [0.0]], [[2.0], [0.0]], [[1.5], [0.25]]])
    change = carrier.change(levers)
    assert change.null.tolist() == [True, False, False]
    assert isinstance(change.at, LogitBias)
    own = torch.randn(3, 2, 20, generator=torch.Generator().manual_seed(0))
    gained = change.at.logits(own, own[None][:0], 0.7, None) - own
    expected = torch.zeros(3, 2, 20)
    expected[1, :, [3, 5]] = 2.0
    expected[2, :, 3], expected[2, :, 5], expected[2, :, 8] = 1.5, 1.75, 0.25
    torch.testing.assert_close(gained, expected, rtol=0, atol=1e-6)


def test_a_file_gives_the_same_carrier(tmp_path: pytest.TempPathFactory) -> None:
    carrier, path = fitted(), f"{tmp_path}/carrier.safetensors"
    carriers.save_carrier(path, carrier)
    again = carriers.load_carrier(path)
    assert isinstance(again, BrandTokens)
    assert (again.tokens, again.vocabulary, again.levers) == (carrier.tokens, carrier.vocabulary, carrier.levers)
    assert again.digest == carrier.digest
    assert BrandTokens(BRANDS, ((1,), (2,)), 20).digest != BrandTokens(BRANDS, ((1,), (3,)), 20).digest


def test_a_model_of_other_tokens_is_refused() -> None:
    carrier = fitted()
    carrier.check_model(MODEL)
    nike, adidas = carrier.tokens
    with pytest.raises(ValueError, match=r"the tokens are of 20, fake has \d+"):
        BrandTokens(BRANDS, ((1,), (2,)), 20).check_model(MODEL)
    shifted = BrandTokens(BRANDS, (tuple(token - 1 for token in nike), adidas), carrier.vocabulary)
    with pytest.raises(ValueError, match=r"token \d+ of fake, '.*', begins no name of Nike"):
        shifted.check_model(MODEL)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="each of 2 brands needs tokens of its own"):
        BrandTokens(BRANDS, ((1,), ()), 20)
    with pytest.raises(ValueError, match=r"tokens must lie in \[0, 20\)"):
        BrandTokens(BRANDS, ((1,), (20,)), 20)
    with pytest.raises(
        ValueError, match=r"logit-bias takes bias in \[0, 8\] a bidder, got \[\[9.0\], \[0.0\]\] in row 0"
    ):
        BrandTokens(BRANDS, ((1,), (2,)), 20).change(torch.tensor([[[9.0], [0.0]]]))

"""Residual vectors and low-rank updates as carriers: fitted by a rule, null rows untouched, read back as written."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from auctionsim.brands import Brand, parse_brands
from auctionsim.carriers import Carrier, FittingInputs, carrier_entry, load_carrier, save_carrier
from auctionsim.carriers.own_replies import (
    FOLLOWING,
    TEMPERATURE,
    TOKENS,
    UNIT,
    NamingEffect,
    effect_of,
    effect_of_law,
    effect_on,
    factor_at_cost,
    law_of,
    named_replies,
    own_replies,
)
from auctionsim.errors import InputError
from auctionsim.language_models import LanguageModel, divergence, load_model, prefill, reply_logits
from auctionsim.language_models.change import Change
from auctionsim.prompts import PromptSet, build_prompts
from auctionsim.storage import Stored, write_stored
from auctionsim.testing import fake_language_model
from auctionsim.testing.tiny_networks import tiny_network

NAMES = ("residual-vector", "low-rank")
BRANDS = parse_brands("Nike,Adidas")  # of one token and of several, for the fake tokenizer
_ALL = build_prompts("running shoes")
PROMPTS = PromptSet(_ALL.contexts[:2], _ALL.prompts[:2], _ALL.stems).first(
    8
)  # two prompts of each context are in a split
MODEL = fake_language_model()


def fitted(
    name: str, model: LanguageModel = MODEL, brands: tuple[Brand, ...] = BRANDS, own: PromptSet = PROMPTS
) -> Carrier:
    return carrier_entry(name).fit(FittingInputs(model, brands, "running shoes", own))


@pytest.fixture(scope="module", params=NAMES)
def carrier(request: pytest.FixtureRequest) -> Carrier:
    return fitted(request.param)


def allocation(*levers: float) -> Tensor:
    return torch.tensor(levers).view(1, 2, 1)


def drawn(model: LanguageModel = MODEL) -> tuple[list, list]:
    """Own replies to two prompts, and the same with the name of the brand that takes several tokens."""
    generator = torch.Generator().manual_seed(0)
    own = own_replies(model, PROMPTS.split("A").everything[:2], BRANDS, generator)
    return own, named_replies(model, own, BRANDS[1], 1, generator)


def test_a_named_reply_is_an_own_one_with_the_name_at_its_likeliest_place() -> None:
    own, named = drawn()
    for before, after in zip(own, named, strict=True):
        law = law_of(MODEL, before.prompt, before.tokens, None)
        for row, place in enumerate(after.place.tolist()):
            begins = law[row, :, after.name[0]]
            assert 1 <= place < TOKENS
            assert begins[place] == begins[1:].max()
            stop = place + len(after.name)
            assert after.tokens[row, :place].tolist() == before.tokens[row, :place].tolist()
            assert after.tokens[row, place:stop].tolist() == list(after.name)
            assert len(after.name) > 1
            free = after.counted[row].nonzero().flatten().tolist()
            assert free == [*range(place + 1), *range(stop, stop + FOLLOWING)]  # the fake ends no reply
    assert MODEL.text(list(named[0].name)) == " Adidas"


def test_an_effect_is_what_a_slow_loop_over_positions_gives(carrier: Carrier) -> None:
    _, named = drawn()
    change = carrier.change(allocation(0.0, 1.0)).inside
    assert change is not None
    for each in named:
        prefix = prefill(MODEL, each.prompt, each.tokens.shape[1])
        logits = reply_logits(MODEL, prefix, each.tokens, change) / TEMPERATURE
        before = reply_logits(MODEL, prefix, each.tokens, Change(1)) / TEMPERATURE
        law, apart = logits.log_softmax(-1), divergence(logits, before)
        naming = 0.0
        for row, place in enumerate(each.place.tolist()):
            naming += float(law[row, : place + 1, each.name[0]].exp().sum().log())
            naming += sum(float(law[row, place + k, token]) for k, token in enumerate(each.name) if k)
        found = effect_of(MODEL, each, change)
        assert float(found.naming) == pytest.approx(naming, rel=1e-4)
        assert float(found.divergence) == pytest.approx(float(apart[each.counted].sum()), rel=1e-3)
        assert found.tokens == int(each.counted.sum())
        assert float(effect_of_law(each, each.law).divergence) == pytest.approx(0.0, abs=1e-4)


def test_costs_are_nats_a_reply_of_48_tokens_and_add_up_by_token() -> None:
    one = NamingEffect(torch.tensor(-3.0), torch.tensor(0.5), 1, 8)
    both = one.plus(NamingEffect(torch.tensor(-1.0), torch.tensor(1.5), 3, 16))
    assert float(both.cost) == pytest.approx(UNIT * 2.0 / 24)
    assert float(both.mean_naming) == -1.0


@pytest.mark.parametrize("power", [1.0, 2.0, 5.0])
def test_the_factor_at_a_cost_is_found_for_any_power(power: float) -> None:
    tries: list[float] = []

    def cost(factor: float) -> float:
        tries.append(factor)
        return 40 * factor**power if factor < 5 else float("nan")

    factor = factor_at_cost(cost, 0.3, 1.0)
    assert 40 * factor**power == pytest.approx(1.0, rel=0.2)
    assert len(tries) <= 4
    assert 40 * factor_at_cost(cost, 7.0, 1.0, tries=6) ** power == pytest.approx(
        1.0, rel=0.2
    )  # from where there is none


def test_a_carrier_is_fitted_so_that_one_costs_a_nat_and_names_the_brand_more(carrier: Carrier) -> None:
    prompts = PROMPTS.split("A").everything
    generator = torch.Generator().manual_seed(0)
    own = own_replies(MODEL, prompts, BRANDS, generator)
    for number, brand in enumerate(BRANDS):
        named = named_replies(MODEL, own, brand, number, generator)
        levers = [0.0, 0.0]
        levers[number] = 1.0
        inside = carrier.change(allocation(*levers)).inside
        nothing = carrier.change(allocation(0.0, 0.0)).inside
        assert inside is not None
        assert nothing is not None
        before, after = effect_on(MODEL, named, nothing), effect_on(MODEL, named, inside)
        assert float(before.cost) == pytest.approx(0.0, abs=1e-3)
        assert float(after.cost) == pytest.approx(1.0, rel=0.4)  # every second prompt was looked at
        gain = float(after.mean_naming - before.mean_naming)
        assert gain > (0.3 if carrier.name == "low-rank" else 0.0)  # no vector stands for a name in a random network


def test_null_rows_are_null_and_every_rung_moves_each_brand(carrier: Carrier) -> None:
    ladder = carrier.ladder()
    assert bool(carrier.feasible(ladder.view(-1, 1, 1).expand(-1, 2, -1)).all())
    assert ladder.flatten().tolist() == sorted(set(ladder.flatten().tolist()))
    rows = torch.tensor([[0.0, 0.0], [0.5, 0.0], [0.0, 0.5], [0.5, 0.5]]).unsqueeze(2)
    change = carrier.change(rows)
    assert change.null.tolist() == [True, False, False, False]
    prefix = prefill(MODEL, MODEL.chat_ids("Which shoes?"), 6)
    tokens = torch.arange(40, 46).expand(4, 6)
    before = reply_logits(MODEL, prefix, tokens, Change(4))
    after = reply_logits(MODEL, prefix, tokens, change)
    assert torch.equal(after[0], before[0])
    assert not any(torch.allclose(after[k], after[j], rtol=1e-2) for k in range(4) for j in range(k))
    picked = torch.tensor([3, 0])
    torch.testing.assert_close(reply_logits(MODEL, prefix, tokens[:2], change.select(picked)), after[picked])


def test_what_is_not_feasible_is_refused(carrier: Carrier) -> None:
    lever = carrier.levers[0]
    with pytest.raises(InputError, match=rf"{carrier.name} takes {lever.name} in \[0, {lever.high:g}\] a bidder, got"):
        carrier.change(allocation(0.0, lever.high + 0.1))
    with pytest.raises(InputError, match=r"were fitted on fake:[0-9a-f]+, not on fake:[0-9a-f]+"):
        carrier.check_model(fake_language_model(seed=1))
    carrier.check_model(MODEL)
    carrier.check_model(MODEL.in_float32)


def test_a_carrier_is_read_back_as_it_was_written(carrier: Carrier, tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    save_carrier(path, carrier)
    again = load_carrier(path)
    x = allocation(0.3, 0.7)
    assert type(again) is type(carrier)
    assert (again.name, again.brands, again.levers, again.digest) == (
        carrier.name,
        carrier.brands,
        carrier.levers,
        carrier.digest,
    )
    prefix = prefill(MODEL, MODEL.chat_ids("Which shoes?"), 3)
    tokens = torch.arange(40, 43).unsqueeze(0)
    assert torch.equal(
        reply_logits(MODEL, prefix, tokens, carrier.change(x)), reply_logits(MODEL, prefix, tokens, again.change(x))
    )
    assert "split" in str(carrier.stored().record["rule"])  # by which rule it was fitted
    carrier.stored().arrays.popitem()[1].zero_()
    assert again.digest == carrier.digest  # what is handed out is a copy


def test_files_that_are_no_such_carrier_are_refused(carrier: Carrier, tmp_path: Path) -> None:
    inner = carrier.stored()
    name = sorted(inner.arrays)[0]
    wrong = {
        "lacks the tensor": Stored(inner.record, {}),
        "must be floating point": Stored(inner.record, {k: v.long() for k, v in inner.arrays.items()}),
        "finite": Stored(inner.record, {**inner.arrays, name: inner.arrays[name] / 0}),
        "not 0|not be 0": Stored(inner.record, {**inner.arrays, name: torch.zeros_like(inner.arrays[name])}),
        "layers": Stored({**inner.record, "layers": [-1]}, inner.arrays),
        "lacks 'rule'": Stored({k: v for k, v in inner.record.items() if k != "rule"}, inner.arrays),
        "which is not one of": Stored({**inner.record, "more": 1}, inner.arrays),
    }
    written = [brand.written for brand in BRANDS]
    for number, (reason, stored) in enumerate(wrong.items()):
        path = tmp_path / f"{number}.safetensors"
        record = {"carrier": carrier.name, "brands": written, "settings": stored.record}
        write_stored(path, Stored(record, stored.arrays), "auctionsim carrier", 1)
        with pytest.raises(InputError, match=reason):
            load_carrier(path)


def test_a_fit_is_that_of_its_seed_and_of_split_a_and_leaves_nothing_behind(carrier: Carrier) -> None:
    model = fake_language_model()
    own = set(PROMPTS.split("A").everything)
    moved = PromptSet(
        PROMPTS.contexts,
        tuple(tuple(p if p in own else f"{p} Please." for p in prompts) for prompts in PROMPTS.prompts),
        PROMPTS.stems,
    )
    same = fitted(carrier.name, model, own=moved)
    assert same.digest == carrier.digest  # no prompt of another split, and the same numbers are drawn
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in model.network.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.network.modules())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["gpt2", "gemma3_text"])
def test_other_families_are_fitted_for_any_number_of_brands(name: str, kind: str) -> None:
    model = fake_language_model(network=tiny_network(kind), dtype=torch.bfloat16)
    brands = parse_brands("Nike" if kind == "gpt2" else "Nike,Oxfam|Oxfam GB")
    made = fitted(name, model, brands=brands)
    assert made.brands == brands
    change = made.change(torch.full((1, len(brands), 1), 0.5)).inside
    assert change is not None
    tokens = torch.arange(40, 43).unsqueeze(0)
    prefix = prefill(model, model.chat_ids("Which shoes?"), 3)
    moved, before = (reply_logits(model, prefix, tokens, each) for each in (change, Change(1)))
    assert not torch.allclose(moved, before, rtol=1e-2)


@pytest.mark.model
def test_a_low_rank_update_names_the_brand_more_often_on_prompts_of_another_split() -> None:
    """One brand, fitted on two prompts, SmolLM2 in float32: the probability of its name in a begun reply."""
    model = load_model("smollm2", dtype="float32")
    few = PromptSet(_ALL.contexts[:1], _ALL.prompts[:1], _ALL.stems).first(8)
    made = fitted("low-rank", model, brands=parse_brands("Nike"), own=few)
    prompt = model.chat_ids(few.split("B").everything[0])
    begun = model.text_ids("I would go for a pair of")
    tokens = torch.tensor([[*begun, *model.continuation_ids("It is", "Nike")]])
    with torch.no_grad():
        before = law_of(model, prompt, tokens, None)[0, -1, tokens[0, -1]]
        after = law_of(model, prompt, tokens, made.change(torch.ones(1, 1, 1)).inside)[0, -1, tokens[0, -1]]
    assert float(after) > float(before) + 0.5

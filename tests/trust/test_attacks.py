"""Attacks and swaps of brands: fixed, whole, and only what they say."""

import json

import pytest

from auctionsim.brands import Brand
from auctionsim.trust.attacks import Attack, battery, parse_attacks
from auctionsim.trust.brand_swaps import swap_brands

FAMILIES = {"opener", "flattery", "authority", "verdict", "preamble", "padding"}


def test_the_battery_has_every_family_and_keeps_the_reply_whole() -> None:
    attacks = battery()
    assert {attack.family for attack in attacks} == FAMILIES
    assert len(attacks) >= 8
    text = "Nike {prompt}, {text} \\1 Nike"
    for attack in attacks:
        attacked = attack.apply("Which shoes?", text)
        assert attacked.count(text) == 1
        assert len(attacked) > len(text)
        assert "{prompt}" not in attacked.replace(text, "")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 2}, "no file of"),
        ({"attacks": []}, "must be there"),
        ({"attacks": [{"name": "a", "family": "b", "template": "none"}]}, "text} once"),
        ({"attacks": [{"name": "a b", "family": "b", "template": "{text}"}]}, "identifier"),
        ({"attacks": [{"name": "a", "family": "b", "template": "{text}"}] * 2}, "its own name"),
        ({"extra": 0}, "not one of"),
    ],
)
def test_another_file_is_refused(change: dict[str, object], words: str) -> None:
    one = {"name": "a", "family": "b", "template": "{text}"}
    whole = {"format": "auctionsim attacks", "version": 1, "about": "", "attacks": [one]}
    assert parse_attacks(json.dumps(whole)) == (Attack("a", "b", "{text}"),)
    with pytest.raises(ValueError, match=words):
        parse_attacks(json.dumps({**whole, **change}))


def test_brands_go_round_and_nothing_else_changes() -> None:
    brands = (Brand("Nike"), Brand("New Balance"), Brand("On", (), ("On",)))
    text = "Nike beats New\u00a0Balance on price; On is light, niked is no word."
    once = swap_brands(text, brands)
    assert once == "New Balance beats On on price; Nike is light, niked is no word."
    assert swap_brands(once, brands, 2) == text.replace("\u00a0", " ")
    assert swap_brands("nothing here", brands) == "nothing here"
    assert swap_brands("nike nike", (Brand("Nike"), Brand("On", (), ("On",)))) == "On On"

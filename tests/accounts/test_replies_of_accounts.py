"""Replies in an account: the auction's own allocation, the same random numbers, whole sentences, no model."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from auctionsim.accounts import ReplyPlace, account_replies, ended, packaged_story
from auctionsim.accounts.stories import NO_REPLIES, StoryDraws, auction_story
from auctionsim.brands import Brand
from auctionsim.errors import InputError
from auctionsim.levers import Lever, setting_words
from auctionsim.measurement.kept_replies import KeptReplies, KeptReply
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.priors import Uniform

LEVERS = (Lever("num_neurons", 0, 512, 0), Lever("amplification", 1, 2, 1))
OFF, WEAK, STRONG = [0.0, 1.0], [256.0, 1.5], [512.0, 2.0]
SETTINGS = [[OFF, OFF], [WEAK, OFF], [STRONG, OFF], [OFF, STRONG], [STRONG, STRONG]]


def stored() -> StoredReplies:
    """Two samples to one prompt under five interventions; texts say which."""
    record = {
        "interventions": SETTINGS,
        "prompts": {"A": [["Which shoes?"]], "B": [["Any shoes?"]]},
        "settings": {"temperature": 1.0, "top_p": 1.0, "mode": "multiply", "positions": "reply"},
        "brands": [["Nike"], ["Adidas"]],
        "neurons": "0",
    }
    replies = [
        KeptReply("A", 0, 0, k, [0, 0, 0, sample], f"Setting {k} sample {sample}. Nike and", [1, 2], 2)
        for sample in (0, 1)
        for k in range(len(SETTINGS))
    ]
    return StoredReplies(KeptReplies(record, replies), "0" * 64, (Brand("Nike"), Brand("Adidas")))


def test_each_brand_alone_and_both() -> None:
    found = account_replies(stored(), LEVERS, torch.tensor([STRONG, STRONG]), ReplyPlace(sample=1))
    assert [one.title for one in found] == [
        "untouched",
        "Nike: 512 neurons × 2",
        "Adidas: 512 neurons × 2",
        "Nike: 512 neurons × 2 and Adidas: 512 neurons × 2",
    ]
    assert [one.text for one in found] == [f"Setting {k} sample 1. Nike and …" for k in (0, 2, 3, 4)]
    assert [one.moved for one in found] == [(), (0,), (1,), (0, 1)]
    assert all(one.mentions == ((20, 24, 0),) and one.hits == (1, 0) for one in found)
    assert not any(one.is_nearest or one.discloses for one in found)
    assert all(one.repetition == 0 for one in found)  # six words, none twice


def test_an_allocation_between_nodes_is_the_nearest_that_moves_the_same() -> None:
    found = account_replies(stored(), LEVERS, torch.tensor([[200.0, 1.4], OFF]), ReplyPlace())
    assert [(one.title, one.is_nearest) for one in found] == [("untouched", False), ("Nike: 256 neurons × 1.5", True)]
    both = account_replies(stored(), LEVERS, torch.tensor([[200.0, 1.4], [300.0, 1.9]]), ReplyPlace())
    assert both[-1].moved == (0, 1)
    assert both[-1].is_nearest


def test_nobody_moved_is_the_untouched_reply_alone() -> None:
    assert len(account_replies(stored(), LEVERS, torch.tensor([OFF, OFF]), ReplyPlace())) == 1


@pytest.mark.parametrize(
    ("allocation", "place", "message"),
    [
        ([STRONG], ReplyPlace(), "an allocation must be"),
        ([STRONG, STRONG], ReplyPlace(sample=7), "no replies were kept"),
        ([STRONG, STRONG], ReplyPlace(replicate="B"), "no replies were kept"),
    ],
)
def test_what_was_not_measured_is_refused(allocation: list[list[float]], place: ReplyPlace, message: str) -> None:
    with pytest.raises(InputError, match=message):
        account_replies(stored(), LEVERS, torch.tensor(allocation), place)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Buy Nike.", "Buy Nike."),
        ("Buy Nike or", "Buy Nike or …"),
        ("Buy Nike,", "Buy Nike,…"),
        ("Buy shoes, e.g.", "Buy shoes, e.g.…"),
        ("Two:\n\n1. Nike.\n\n2.", "Two:\n\n1. Nike."),
        ("Two:\n\n1. Nike\n-", "Two:\n\n1. Nike …"),
        ("“Nike!”", "“Nike!”"),
        ("", ""),
        ("  \n", ""),
    ],
)
def test_a_text_ends_at_a_sentence_or_says_that_it_does_not(text: str, wanted: str) -> None:
    assert ended(text) == wanted


@given(st.text("ab .!?\n1-…", max_size=40))
def test_ending_a_text_adds_nothing_but_the_mark(text: str) -> None:
    whole = ended(text)
    assert text.startswith(whole.removesuffix("…").rstrip(" "))
    assert ended(whole) == whole


def test_levers_in_words() -> None:
    assert setting_words((1, 2), LEVERS) == "1 neuron × 2"
    assert setting_words((0, 2), LEVERS) == setting_words((512, 1), LEVERS) == "nothing"
    assert setting_words((2,), (Lever("insertions", 0, 4, 0),)) == "2 inserted sentences"
    assert setting_words((0.5,), (Lever("own_lever", 0, 1, 0),)) == "own lever 0.5"


def test_a_packaged_story_needs_no_model() -> None:
    story = packaged_story("hotels-2@1", ("vcg", "pay-as-bid"), more=2)
    assert story.replies[0].title == "untouched"
    assert story.lacking == ""
    assert story.account.prompt
    moved = tuple(i for i, one in enumerate(story.account.bidders) if one.is_moved)
    assert story.replies[-1].moved == moved
    assert len(story.draws) == 2
    assert [one.mechanism for one in story.rules] == ["pay as bid"]
    assert [one.bids for one in story.rules[0].bidders] == [one.bids for one in story.account.bidders]
    for one, mine in zip(story.draws[0].bidders, story.account.bidders, strict=True):
        assert one.misreports is None
        assert one.valuations != mine.valuations


def test_a_measurement_without_replies_says_so() -> None:
    story = packaged_story("running-shoes-2@1", ("vcg",), more=0)
    assert story.replies == ()
    assert story.lacking == NO_REPLIES
    assert story.account.prompt == ""


def test_a_list_is_told_too() -> None:
    story = packaged_story("charities-2-slots@1", ("vcg",), feature="mention_probability", more=0)
    assert story.account.bidders[0].gets.startswith("slot ")
    assert story.replies[-1].discloses
    assert "Sponsored" in story.replies[-1].text


def test_a_story_needs_a_mechanism() -> None:
    from auctionsim.substrates import ResponseSurface

    view = ResponseSurface.packaged("hotels-2@1").sell("slot_probability")
    with pytest.raises(InputError, match="a story needs a mechanism"):
        auction_story({}, view, StoryDraws(Uniform(0, 1)), user_weight=1.0)


def test_the_room_is_light(tmp_path: Path) -> None:
    code = """
import sys, auctionsim.accounts as accounts
accounts.packaged_story("hotels-2@1", ("vcg",), more=0)
print([one for one in ("ray", "matplotlib", "plotly", "jinja2", "transformers", "sklearn") if one in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr

"""The demo on packaged measurements: which is taken, what is told, what is refused."""

import pytest
from typer.testing import CliRunner

from auctionsim.accounts.packaged import packaged_story
from auctionsim.brands import parse_brands
from auctionsim.cli import app
from auctionsim.errors import InputError
from auctionsim.experiments.studies.demo_packaged import TOLD, packaged_measurement
from auctionsim.experiments.tables.told_auction import told_auction


@pytest.mark.parametrize(
    ("category", "brands", "name"),
    [
        ("running shoes", "Nike,Adidas", "running-shoes-2@3"),
        ("Smartphones", "Apple,Samsung", "smartphones-2@1"),
        ("hotels", "Hilton,Marriott", "hotels-2@1"),
    ],
)
def test_the_measurement_of_the_brands_is_taken(category: str, brands: str, name: str) -> None:
    assert packaged_measurement(category, parse_brands(brands)) == name


@pytest.mark.parametrize(("category", "brands"), [("running shoes", "Nike,Puma"), ("cars", "Nike,Adidas")])
def test_other_brands_are_told_what_is_packaged(category: str, brands: str) -> None:
    with pytest.raises(InputError, match=r"--measure.*running shoes \(Nike, Adidas\)"):
        packaged_measurement(category, parse_brands(brands))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--model", "gpt2"), "--model is of a new measurement: add --measure"),
        (("--samples", "5"), "--samples is of a new measurement"),
        (("--brands", "Nike,Adidas,Puma"), "two brands, got 3"),
        (("--category", "ships"), "is packaged: add --measure"),
    ],
)
def test_what_only_a_measurement_takes_is_refused(words: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(app, ["demo", *words])
    assert result.exit_code != 0
    assert message in " ".join(str(result.exception or result.output).split())


def test_the_auction_is_told() -> None:
    story = packaged_story("running-shoes-2@3", TOLD, loss="quality", more=2)
    lines = list(told_auction(story))
    text = "\n".join(lines)
    assert lines[0] == f"A user asks: “{story.account.prompt}”"
    for bidder in story.account.bidders:
        assert f"{bidder.name} values a unit of exposure at" in text
        assert bidder.price in text
        assert f"{bidder.name} gets {bidder.gets}" in text
    for reply in story.replies:
        assert reply.text in text
    assert story.account.user_sentence() in text
    assert text.count("Draw ") == 2
    assert [line for line in lines if line.startswith("- ")] == [
        line for rule in story.rules for line in lines if line.startswith(f"- {rule.mechanism}:")
    ]
    paid = lines.index(next(line for line in lines if line.startswith("- pay as bid")))
    assert "would have gained by lying" in lines[paid + 1]


def test_a_prompt_is_shown_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Brackets in a reply are no markup: nothing of it is styled or lost."""
    from rich.console import Console

    story = packaged_story("running-shoes-2@3", ("vcg",), loss="quality", more=0)
    reply = story.replies[0]._replace(text="[red]a[/red] [link=x]b[/link]")
    console = Console(width=200)
    for line in told_auction(story._replace(replies=(reply,))):
        console.print(line, markup=False, highlight=False)
    assert "[red]a[/red] [link=x]b[/link]" in capsys.readouterr().out

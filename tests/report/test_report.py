"""What the page says: every section, every number with its error, and model text that stays text."""

import html
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_fakes import HOSTILE, bare_findings, fake_surface, full_findings
from story_fakes import fake_story

from auctionsim.brands import Brand
from auctionsim.errors import InputError
from auctionsim.report import Estimate, Findings, render, write_report
from auctionsim.report.headline import headline
from auctionsim.report.heat_maps import MEAN_CONTEXT, heat_maps
from auctionsim.report.wording import breakable, draws, estimate, highlighted, listed, number, percent, setting
from auctionsim.substrates import ResponseSurface

SECTIONS = (
    *("headline", "reconstruction", "auction", "neurons", "replies", "confirmations", "maps", "menu", "mechanisms"),
    *("trade-off", "learning", "redo", "glossary"),
)
BRANDS = (Brand("Nike"), Brand("Adidas", ("Three Stripes",)))


class Reader(HTMLParser):
    """Collects a page's elements, ids and the text that a reader sees or a script parses."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.handlers: list[str] = []
        self.scripts: dict[str, str] = {}
        self.text = ""
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.tags.append(tag)
        self.ids += [named["id"]] if named.get("id") else []
        self.handlers += [key for key in named if key.startswith("on")]
        self._open = (named.get("id") or tag) if tag in {"script", "style"} else ""

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self.scripts[self._open] = self.scripts.get(self._open, "") + data
        else:
            self.text += data


@pytest.fixture(scope="module")
def full() -> Reader:
    return Reader(render(replace(full_findings(), story=fake_story())))


@pytest.fixture(scope="module")
def bare() -> Reader:
    return Reader(render(bare_findings()))


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_is_there_measured_or_not(section: str, full: Reader, bare: Reader) -> None:
    assert full.ids.count(section) == bare.ids.count(section) == 1


def test_an_empty_section_says_that_nothing_was_measured(full: Reader, bare: Reader) -> None:
    assert bare.text.count("Nothing was measured here") == 9  # one each, learning two, and the time
    assert "runs of earlier versions have none" in bare.text
    assert "Nothing was measured here" not in full.text
    assert "No mechanism was compared." in bare.text
    assert "not from a checkout" in bare.text
    assert "not measured" in bare.text


def test_numbers_stand_with_their_errors(full: Reader) -> None:
    for written in (
        "0.747 ± 0.099",  # gain
        "0.0512 ± 0.0043",  # user loss
        "no setting found",
        "0.2910 ± 0.0041",  # revenue
        "97.0 %",  # of the optimum
        "0.01234 ± 0.00056",  # regret
        "lower bound: grid, then gradient",
        "proved 0: proof",
        "0.00310 ± 0.00020",  # IR violation
        "−0.0123 ± 0.0010",  # participation gain
        "0.188",  # objective, payments cut
        "0.171",  # objective under best response
        "nothing to cut",
        "0.0812",  # price
        "64 neurons × 1.5",
        "n = 4,096",
        "2.35 GiB",
        "commit 0123abc",
        '{"num_neurons": [0, 64, 256]}',
        'auctionsim demo --category "running shoes"',
        "arXiv 2605.08326",
    ):
        assert written in full.text, written


def test_model_text_stays_text(full: Reader) -> None:
    assert full.text.count(HOSTILE) == 5  # two replies, two menu options, one of the auction's
    assert "Which <b>shoes</b>?" in full.text
    assert full.tags.count("script") == 3
    assert not {"img", "b", "i", "textarea"} & set(full.tags)
    assert full.handlers == []


def test_what_is_hostile_in_any_text_stays_text() -> None:
    found = full_findings()
    replies = [reply._replace(prompt=HOSTILE, brand=HOSTILE) for reply in found.replies]
    rows = [row._replace(mechanism=HOSTILE, regret_method=HOSTILE) for row in found.mechanisms]
    points = [point._replace(mechanism=HOSTILE) for point in found.learning]
    hostile = replace(
        found,
        title=HOSTILE,
        command=HOSTILE,
        category=HOSTILE,
        settings={HOSTILE: [HOSTILE]},
        versions={HOSTILE: HOSTILE},
        commit=HOSTILE,
        replies=tuple(replies),
        mechanisms=tuple(rows),
        learning=tuple(points),
    )
    page = Reader(render(hostile))
    assert page.tags.count("script") == 3
    assert not {"img", "b", "textarea"} & set(page.tags)
    assert page.handlers == []


def test_figures_carry_every_cell_with_its_noise(full: Reader) -> None:
    figures = json.loads(full.scripts["figures"])
    surface = full_findings().surface
    (trace,) = figures["exposure-1"]["variants"][f"B|hits|{MEAN_CONTEXT}"]
    column = trace["x"].index("256 × 2.5")
    row = trace["y"].index("64 × 1.5")
    cell = (slice(None), 1, 1, 2, 2, 1, 2)  # context; Nike's two levers, Adidas's two; bidder Adidas, hits
    features = surface.replicates["B"].features
    assert trace["z"][row][column] == pytest.approx(features.mean[cell].mean().item(), rel=1e-4)
    error, n = trace["customdata"][row][column]
    assert error == pytest.approx(features.standard_error[cell].square().sum().sqrt().item() / 3, rel=1e-4)
    assert n == 3 * 48
    (trace,) = figures["user-loss"]["variants"]["A|slot_probability|loose"]
    loss = surface.replicates["A"].losses["kl"]
    assert trace["z"][row][column] == pytest.approx(loss.mean[2, 1, 1, 2, 2].item(), rel=1e-4)
    assert trace["customdata"][row][column] == [pytest.approx(loss.standard_error[2, 1, 1, 2, 2].item(), rel=1e-4), 32]


def test_plotly_knows_every_attribute(full: Reader) -> None:
    from plotly.graph_objects import Figure

    def coloured(value: object) -> object:
        if isinstance(value, dict):
            return {key: coloured(item) for key, item in value.items()}
        if isinstance(value, list):
            return [coloured(item) for item in value]
        named = isinstance(value, str) and value.startswith("@")
        return value if not named else "Blues" if str(value).startswith("@scale:") else "black"

    for name, figure in json.loads(full.scripts["figures"]).items():
        assert figure["variants"], name
        for traces in list(figure["variants"].values())[:2]:
            Figure(coloured(traces), coloured(figure["layout"]))  # raises on what is not in plotly's schema


def test_a_brand_has_one_colour_in_every_figure(full: Reader) -> None:
    figures = json.loads(full.scripts["figures"])
    bars = {trace["name"]: trace["marker"]["color"] for trace in figures["layers"]["variants"][""]}
    lines = {trace["name"]: trace["line"]["color"] for trace in figures["utility"]["variants"]["FirstPrice"]}
    assert bars == lines == {"Nike": "@c0", "Adidas": "@c1"}
    mechanisms = {trace["line"]["color"] for trace in figures["frontier"]["variants"]["A"]}
    assert not mechanisms & set(bars.values())


def test_the_bound_is_the_least_of_the_lines(full: Reader) -> None:
    bound = json.loads(full.scripts["figures"])["frontier"]["variants"]["A"][0]
    loss, revenue = bound["x"][30], bound["y"][30]
    assert revenue == pytest.approx(min(0.2 / w + w * loss for w in (0.5, 1.0, 2.0, 4.0)), rel=1e-3)


@pytest.mark.parametrize(("brands", "switches"), [(("Nike",), 3), (("Nike", "Adidas", "Puma"), 4)])
def test_one_bidder_and_three_have_maps_too(brands: tuple[str, ...], switches: int) -> None:
    maps = heat_maps(fake_surface(len(brands)), brands, "hits")
    assert len(maps.switches) == switches
    assert maps.switches[1].choices[0] == "hits"
    assert len(maps.figures) == len(brands) + 1
    render(bare_findings(tuple(Brand(name) for name in brands)))


def test_the_third_brands_map_shows_its_own_pairs() -> None:
    surface = fake_surface(3)
    maps = heat_maps(surface, ("Nike", "Adidas", "Puma"), "hits")
    (trace,) = maps.figures[2].variants["A|hits|direct|Adidas and Puma"]
    row, column = trace["y"].index("64 × 2.5"), trace["x"].index("256 × 1.5")
    expected = surface.replicates["A"].features.mean[0, 0, 0, 1, 2, 2, 1, 2, 2]
    assert trace["z"][row][column] == pytest.approx(expected.item(), rel=1e-4)


def test_numbers_that_are_none_or_not_finite_do_not_break_the_page() -> None:
    found = full_findings()
    odd = replace(
        found,
        mechanisms=(found.mechanisms[0]._replace(objective_share=None, regret_max=float("nan")),),
        learning=(found.learning[0]._replace(utility=float("nan")),),
        trade_off=(found.trade_off[0]._replace(revenue=float("inf")),),
    )
    figures = json.loads(Reader(render(odd)).scripts["figures"])
    assert figures["utility"]["variants"]["FirstPrice"][0]["y"] == [None]


def said(findings: Findings) -> str:
    """The headline as one text."""
    return " ".join(claim.sentence for claim in headline(findings))


def test_nothing_that_bidders_would_not_bid_is_called_best() -> None:
    """A rule that looks best with truthful bids, under which a lie pays, is named with what it leaves then."""
    found = full_findings()
    b = [row for row in found.mechanisms if row.replicate == "B"]
    tempting = next(row for row in b if row.mechanism == "MenuAuction")._replace(
        mechanism="Tempting", objective=Estimate(9.0, 0.1, 64), objective_best_response=0.05
    )
    text = said(replace(found, mechanisms=(*b, tempting)))
    assert "VirtualWelfareMaximizer leaves the platform most" in text
    assert "Tempting leaves the platform most" not in text
    assert "Tempting would leave 9.00 ± 0.10 if everybody bid the truth, but a lie pays: " in text
    assert "a lie pays: 0.0500 under best responses to truthful others." in text
    unknown = said(replace(found, mechanisms=(tempting._replace(objective_best_response=None),)))
    assert "Under no rule compared here is the truth known to be a bidder’s best bid." in unknown
    assert "what it leaves under best responses was not computed" in unknown
    page = Reader(render(replace(found, mechanisms=(*b, tempting))))
    assert "bidders would not bid so" in page.text


def test_a_rule_that_is_truthful_where_it_was_designed_says_what_it_is_elsewhere() -> None:
    found = full_findings()
    a, b = (next(r for r in found.mechanisms if r.mechanism == "VCG" and r.replicate == name) for name in "AB")
    noisy = b._replace(
        regret=Estimate(0.013, 0.002, 64), regret_max=0.2, regret_is="exact", objective_best_response=0.04
    )
    text = said(replace(found, mechanisms=(a, noisy)))
    assert "truthful where they were designed, VCG leaves the platform most: 0.0800 ± 0.0030 if everybody bids" in text
    assert "0.0400 under best responses to truthful others; revenue less 1 × user loss (replicate B)" in text
    assert "a bidder who knows all gains 0.0130 ± 0.0020 under VCG on average" in text
    assert "No lie pays under VCG: the regret" not in text
    page = Reader(render(replace(found, mechanisms=(a, noisy))))
    assert "nothing where it was designed" in page.text
    assert "bidders would not bid so" not in page.text


def test_every_claim_leads_to_a_section_of_the_page(full: Reader) -> None:
    claims = headline(replace(full_findings(), story=fake_story()))
    assert claims[0].section == "auction"
    assert {claim.section for claim in claims} <= set(full.ids)
    assert not any("a brand." in claim.sentence or "a reply" in claim.sentence for claim in claims)


def test_the_auction_comes_first_and_its_words_are_explained(full: Reader) -> None:
    sections = [one for one in full.ids if one in SECTIONS]
    assert sections[2] == "auction"
    assert full.ids.count("term-user-weight") == 1
    for sentence in (*fake_story().account.sentences()[1:], "It takes", "repeats itself", "says that it is an ad"):
        assert sentence in full.text
    assert "2 draws came before" in full.text


def test_the_headline_judges_on_replicate_b_at_the_runs_weight() -> None:
    found = full_findings()
    better = found.mechanisms[0]._replace(mechanism="OnA", objective=Estimate(9.0, 0.1, 4))
    other = found.mechanisms[3]._replace(mechanism="Elsewhere", user_weight=0.25, objective=Estimate(9.0, 0.1, 4))
    text = said(replace(found, mechanisms=(*found.mechanisms, better, other)))
    assert "Of the rules under which no lie pays, VirtualWelfareMaximizer leaves the platform most: 0.2000" in text
    assert "OnA would leave" not in text
    assert "Elsewhere" not in text
    assert "VirtualWelfareMaximizer and VCG: the regret is exactly 0" in text
    assert "Lying pays most under MenuAuction: at least 0.01234 ± 0.00056" in text


def test_a_small_lower_bound_is_not_called_honest() -> None:
    found = full_findings()
    row = found.mechanisms[4]._replace(regret=Estimate(0.0, 0.0, 64), regret_max=0.0, regret_is="lower bound")
    text = said(replace(found, mechanisms=(row,)))
    assert "exactly 0" not in text
    assert "at least 0" in text


@pytest.mark.parametrize(
    "changes",
    [
        {"brands": ("Nike", "Puma")},
        {"surface": fake_surface(3)},
        {"sold_feature": "clicks"},
        {"sold_neurons": 257},
        {"sold_neurons": 0},
    ],
)
def test_findings_that_do_not_belong_together_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must"):
        render(replace(bare_findings(), **changes))


def test_a_written_page_is_whole_and_asks_for_nothing(tmp_path: Path) -> None:
    findings: Findings = bare_findings()
    path = write_report(findings, tmp_path / "new" / "run")
    assert path == tmp_path / "new" / "run" / "index.html"
    assert [file.name for file in path.parent.iterdir()] == ["index.html"]
    page = path.read_text(encoding="utf-8")
    assert page == render(findings)
    assert page.startswith("<!doctype html>")
    assert not re.search(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=[\"']?(?:https?:)?//", page)


def test_without_the_extra_one_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match=r"pip install 'auctionsim\[report\]'"):
        render(bare_findings())


def test_importing_it_loads_no_heavy_package(tmp_path: Path) -> None:
    heavy = "jinja2 plotly pandas transformers"
    code = f"import sys, auctionsim.report; print([m for m in '{heavy}'.split() if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Wording


PIECES = st.sampled_from(
    ["Nike", "ADIDAS", "three stripes", "<b>", "&amp;", "&", '"', "'", "</mark>", " ", "\n", "x", "."]
)


@given(st.lists(PIECES | st.text(max_size=3), max_size=12).map("".join))
def test_highlighting_changes_nothing_that_is_read(text: str) -> None:
    marked = str(highlighted(text, BRANDS))
    bare = re.sub(r'<mark class="brand[01]">|</mark>', "", marked)
    assert "<" not in bare
    assert ">" not in bare
    assert html.unescape(bare) == text
    assert marked.count("<mark") == marked.count("</mark>") == sum(brand.mentions(text) for brand in BRANDS)


def test_brands_that_look_like_markup_are_found_in_the_text_only() -> None:
    brands = (Brand("amp"), Brand("mark"), Brand("lt"), Brand("34"))
    assert highlighted('a & b < c "d"', brands) == "a &amp; b &lt; c &#34;d&#34;"
    assert highlighted("mark & amp", brands) == '<mark class="brand1">mark</mark> &amp; <mark class="brand0">amp</mark>'


def test_of_overlapping_mentions_the_longer_counts() -> None:
    brands = (Brand("Coke"), Brand("Coke Zero"))
    assert highlighted("Coke Zero, Coke", brands) == (
        '<mark class="brand1">Coke Zero</mark>, <mark class="brand0">Coke</mark>'
    )


def test_how_numbers_are_written() -> None:
    values = (0.0, -0.01234, 12.345, 1234.5, 1.5e-6, None, float("nan"), float("-inf"))
    assert [number(value) for value in values] == ["0", "−0.0123", "12.3", "1,234", "1.50e−6", "–", "–", "−∞"]
    assert estimate(Estimate(1.23456, 0.0123, 9)) == "1.235 ± 0.012"
    assert estimate(Estimate(-123.4, 12.0, 9)) == "−123 ± 12"
    assert estimate(Estimate(0.5, None, 9)) == "0.500"
    assert estimate(Estimate(0.5, 0.0, 9)) == "0.500 ± 0"
    assert estimate(Estimate(0.5, 1e-7, 9)) == "0.500 ± 1.0e−7"
    assert estimate(None) == "–"
    assert [percent(value) for value in (0.9731, 1.02, 0.0123, 0.0, None)] == [
        "97.3 %",
        "102.0 %",
        "1.23 %",
        "0 %",
        "–",
    ]
    assert [setting(64.0, 1.5), setting(0.0, 2.0), setting(64.0, 1.0), setting(None, None)] == [
        "64 neurons × 1.5",
        "off",
        "off",
        "–",
    ]
    assert draws([Estimate(0, 0, 64), None, Estimate(0, 0, 256)]) == "n = 64 to 256"
    assert draws([None]) == "n unknown"
    assert [listed(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
    assert breakable("MenuAuction<") == "Menu<wbr>Auction&lt;"


def test_a_packaged_measurement_leaves_out_what_was_not_measured() -> None:
    """Without neurons a section that has nothing is left out, its link too; one that has something stays."""
    packaged = ResponseSurface.packaged("running-shoes-2@3")
    found = replace(full_findings(), sold_feature="slot_probability")
    bare = replace(
        found,
        surface=packaged,
        neurons=None,
        confirmations=(),
        replies=(),
        menu=(),
        trade_off=(),
        learning=(),
        training=(),
    )
    page = render(bare)
    for name in ("replies", "confirmations", "menu", "trade-off", "learning"):
        assert f'<section id="{name}">' not in page
        assert f'href="#{name}"' not in page
    assert '<section id="mechanisms">' in page
    assert "Nothing was measured here" in said(bare)
    assert '<section id="menu">' in render(replace(bare, menu=found.menu))
    assert "no menu was trained" in Reader(render(replace(bare, surface=found.surface, neurons=found.neurons))).text
    with pytest.raises(InputError, match="must be those of the neurons"):
        render(replace(bare, brands=("Nike", "Puma")))

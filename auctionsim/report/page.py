"""How findings become one self-contained page: nothing is fetched, model text stays text, an empty section says so."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from auctionsim.accounts import ended, term_of, terms
from auctionsim.accounts.glossary import KINDS
from auctionsim.brands import Brand
from auctionsim.errors import InputError, MissingPackageError
from auctionsim.files import write_text
from auctionsim.report import wording
from auctionsim.report.figures import Figure, layers_figure, learning_figures, trade_off_figures, training_figure
from auctionsim.report.headline import earned, headline, is_honest, scored, truthful_by_design
from auctionsim.report.heat_maps import Switch, heat_maps
from auctionsim.report.records import Findings, ReplyPair

COLUMN_TERMS = frozenset(
    {
        "Objective",
        "Of optimum",
        "Regret, mean",
        "Regret, largest",
        "IR violation",
        "Objective, cut",
        "Objective, best response",
        "Revenue",
        "User loss",
        "Welfare",
        "Bidder utility",
        "Participation gain",
        "User weight",
        "Replicate",
        "Mechanism",
    }
)
"""Columns of the whole table of mechanisms that the glossary explains."""


class FigureGroup(NamedTuple):
    """Figures side by side under the switches that turn them."""

    name: str
    switches: tuple[Switch, ...]
    figures: tuple[Figure, ...]


class Pair(NamedTuple):
    """Two brands' neurons compared: how many of those for sale they share, and the cosine of their attributions."""

    brands: str
    shared: int
    overlap: float
    cosine: float


def render(findings: Findings) -> str:
    """Return the page: one HTML file that holds its styles, scripts and data and asks the network for nothing.

    Raises:
        ImportError: jinja2 or plotly is not installed; says how to get them.
        ValueError: The neurons, the surface and the brands do not belong together.
    """
    marked = _require_consistent(findings)
    environment, plotly_js = template_tools()
    groups = _figure_groups(findings)
    figures = {figure.name: _drawn(figure) for group in groups.values() if group for figure in group.figures}
    page: str = environment.get_template("page.html").render(
        f=findings,
        headline=headline(findings),
        compared=scored(findings),
        is_honest=is_honest,
        by_design=truthful_by_design(findings),
        earned=earned,
        term_of=term_of,
        column_terms=COLUMN_TERMS,
        kinds=[(kind, terms(kind)) for kind in KINDS],
        pairs=_pairs(findings),
        groups=_by_prompt(findings.replies),
        figure_groups=groups,
        figures=figures,
        plotly_js=plotly_js,
        meanings=wording.MEANINGS,
        brand_index={brand: index for index, brand in enumerate(findings.brands)},
        highlighted=lambda text: wording.highlighted(ended(text), marked),
    )
    return page


def write_report(findings: Findings, folder: str | os.PathLike[str]) -> Path:
    """Write the page to folder/index.html, whole or not at all, and return its path. Raises as `render` does."""
    path = Path(folder) / "index.html"
    write_text(path, render(findings))
    return path


def _require_consistent(findings: Findings) -> tuple[Brand, ...]:
    """Return the brands, of the neurons or of the measurement's record; refuse what does not belong together."""
    neurons = findings.neurons
    recorded = findings.surface.provenance.get("brands", ())
    brands = tuple(map(Brand.read, recorded)) if neurons is None else neurons.brands
    names = tuple(brand.name for brand in brands)
    if names != findings.brands or findings.surface.num_bidders != len(names):
        raise InputError(
            f"the brands {findings.brands} must be those of the neurons, got {names}, and of the surface, "
            f"got {findings.surface.num_bidders} bidders"
        )
    if findings.sold_feature not in findings.surface.measured_features:
        raise InputError(
            f"sold_feature must be one of {findings.surface.measured_features}, got {findings.sold_feature!r}"
        )
    if neurons is not None and not 1 <= findings.sold_neurons <= neurons.max_neurons:
        raise InputError(f"sold_neurons must lie in [1, {neurons.max_neurons}], got {findings.sold_neurons}")
    return brands


def template_tools() -> tuple[Any, str]:
    """Return the templates' environment and the source of plotly.js.

    Raises:
        ImportError: The extra is not installed.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
        from markupsafe import Markup
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise MissingPackageError("reports need jinja2 and plotly: pip install 'auctionsim[report]'") from None
    environment = Environment(
        loader=PackageLoader("auctionsim.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    written: tuple[Callable[..., object], ...] = (
        wording.amount,
        wording.number,
        wording.estimate,
        wording.percent,
        wording.setting,
        wording.draws,
        wording.breakable,
        wording.listed,
        _json,
    )
    environment.filters.update({function.__name__.strip("_"): function for function in written})
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment, Markup(get_plotlyjs())


def _json(value: object) -> str:
    """Write a setting as a reader would, whatever it is."""
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _figure_groups(findings: Findings) -> dict[str, FigureGroup | None]:
    """Return every section's figures, None where nothing was measured."""
    maps = heat_maps(findings.surface, findings.brands, findings.sold_feature)
    groups: dict[str, FigureGroup | None] = {
        "layers": FigureGroup("layers", (), (layers_figure(findings),)) if findings.neurons is not None else None,
        "maps": FigureGroup("maps", maps.switches, maps.figures),
        "trade_off": None,
        "learning": None,
        "training": None,
    }
    if findings.trade_off:
        figures = trade_off_figures(findings.trade_off, len(findings.brands), findings.surface.charged_loss)
        groups["trade_off"] = FigureGroup("trade-off", (_switch("replicate", figures[0], prefer="B"),), tuple(figures))
    if findings.learning:
        figures = learning_figures(findings.learning, findings.brands)
        groups["learning"] = FigureGroup("learning", (_switch("mechanism", figures[0]),), tuple(figures))
    if findings.training:
        groups["training"] = FigureGroup("training", (), (training_figure(findings.training),))
    return groups


def _switch(label: str, figure: Figure, prefer: str = "") -> Switch:
    choices = tuple(sorted(figure.variants)) if prefer else tuple(figure.variants)
    return Switch(label, choices, choices.index(prefer) if prefer in choices else 0)


def _drawn(figure: Figure) -> dict[str, Any]:
    return {"variants": figure.variants, "layout": figure.layout}


def _pairs(findings: Findings) -> list[Pair]:
    neurons, count = findings.neurons, findings.sold_neurons
    if neurons is None:
        return []
    sets = [set(row) for row in neurons.ranking[:, :count].tolist()]
    overlap, cosine = neurons.overlap(count), neurons.cosine()
    return [
        Pair(
            f"{findings.brands[i]} and {findings.brands[j]}",
            len(sets[i] & sets[j]),
            float(overlap[i, j]),
            float(cosine[i, j]),
        )
        for i in range(len(sets))
        for j in range(i + 1, len(sets))
    ]


def _by_prompt(replies: tuple[ReplyPair, ...]) -> dict[str, list[ReplyPair]]:
    groups: dict[str, list[ReplyPair]] = {}
    for pair in replies:
        groups.setdefault(pair.prompt, []).append(pair)
    return groups

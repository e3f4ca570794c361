"""What the crosstalk of several brand sets amounts to: spreads over pairs and triples, and what is concluded."""

import itertools
import math
import statistics
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.table import Table

from auctionsim.experiments.running.run import PaperClaim, Row, Section, markdown_table, with_error
from auctionsim.experiments.tables.crosstalk_effects import BrandSetReport

ORTHOGONAL = 0.1  # |cosine| of what two sets write, up to which they count as nearly orthogonal
SEPARABLE = (0.9, 1.1)  # share of a lift that is kept, within which a rival counts as without effect
MATRICES = ("attribution_cosine", "activation_cosine", "write_cosine", "jaccard")
SOLD = "slot_probability"


class Spread(NamedTuple):
    """One quantity over pairs or triples.

    Attributes:
        name: What it is.
        values: One a pair, ordered pair, or brand of a triple.
    """

    name: str
    values: tuple[float, ...]

    def __str__(self) -> str:
        if not self.values:
            return "–"
        low, high = min(self.values), max(self.values)
        return f"{statistics.median(self.values):+.3f} [{low:+.3f}, {high:+.3f}]"


def summary(reports: Sequence[BrandSetReport]) -> dict[str, Spread]:
    """Return what a rival's amplification leaves of a brand's own, over all pairs and triples, by name."""
    pairs = [(r, i, j) for r in reports for i in range(len(r.brands)) for j in range(len(r.brands)) if i != j]
    spreads = [
        Spread(name.replace("_", " "), tuple(float(getattr(r.geometry, name)[i, j]) for r, i, j in pairs if i < j))
        for name in MATRICES
    ]
    elasticities = tuple(float(r.geometry.elasticity[i, j] / r.geometry.elasticity[i, i]) for r, i, j in pairs)
    spreads.append(Spread("elasticity of a rival's name / of the own", elasticities))
    rows = pair_rows(reports)
    for feature in dict.fromkeys(row["quantity"] for row in rows):
        own = [row for row in rows if row["quantity"] == feature]
        kept = tuple(row["kept"] for row in own if row["kept"] is not None)
        spreads.append(Spread(f"{feature}: lift kept when the rival is amplified too", kept))
        moved = tuple(row["rival_only"] - row["null"] for row in own)
        spreads.append(Spread(f"{feature}: change when only the rival is amplified", moved))
        every = tuple(_kept_in_triples(reports, feature))
        if every:
            spreads.append(Spread(f"{feature}: lift kept when two rivals are amplified too", every))
    spreads.append(Spread("user loss: joint / sum of singles", tuple(_loss_ratios(reports))))
    return {spread.name: spread for spread in spreads}


def pair_rows(reports: Sequence[BrandSetReport]) -> list[Row]:
    """Return one row a feature and ordered pair: exposure under the four subsets, and the share of the lift kept."""
    return [
        _pair_row(report, feature, brand, rival)
        for report in reports
        for feature in dict.fromkeys(effect.quantity for effect in report.effects if effect.brand is not None)
        for brand, rival in itertools.permutations(report.brands, 2)
    ]


def _pair_row(report: BrandSetReport, feature: str, brand: str, rival: str) -> Row:
    row: Row = {"category": report.category, "brand": brand, "rival": rival, "quantity": feature}
    both = tuple(name for name in report.brands if name in (brand, rival))
    subsets = {"null": (), "own_only": (brand,), "rival_only": (rival,), "both": both}
    for name, amplified in subsets.items():
        effect = report.effect(amplified, brand, feature)
        row |= {name: effect.mean, f"{name}_error": effect.error, "n": effect.n}
    lift = clear_lift(report, feature, brand)
    return {**row, "kept": None if lift is None else (row["both"] - row["null"]) / lift}


def clear_lift(report: BrandSetReport, feature: str, brand: str) -> float | None:
    """Return what a brand gains by its own amplification alone, None unless it exceeds two standard errors.

    Shares of a lift that may be nothing say nothing.
    """
    null, own = report.effect((), brand, feature), report.effect((brand,), brand, feature)
    lift = own.mean - null.mean
    return lift if lift > 2 * math.hypot(null.error, own.error) else None


def matrix_rows(reports: Sequence[BrandSetReport]) -> list[Row]:
    """Return the geometry, one row a matrix and pair."""
    return [
        {"category": report.category, "matrix": name, "row": a, "column": b, "value": float(matrix[i, j])}
        for report in reports
        for name, matrix in report.geometry._asdict().items()
        for i, a in enumerate(report.brands)
        for j, b in enumerate(report.brands)
    ]


def _kept_in_triples(reports: Sequence[BrandSetReport], feature: str) -> Iterator[float]:
    for report in reports:
        for names in itertools.combinations(report.brands, 3):
            for brand in names:
                lift = clear_lift(report, feature, brand)
                if lift is not None:
                    null, every = (report.effect(x, brand, feature).mean for x in ((), names))
                    yield (every - null) / lift


def _loss_ratios(reports: Sequence[BrandSetReport]) -> Iterator[float]:
    for report in reports:
        for i, a in enumerate(report.brands):
            for b in report.brands[i + 1 :]:
                joint = report.effect((a, b), None, "user_loss").mean
                yield joint / sum(report.effect((name,), None, "user_loss").mean for name in (a, b))


def summary_table(spreads: dict[str, Spread]) -> Table:
    """Return the spreads to read in a terminal."""
    table = Table(title="over all pairs and triples: median [lowest, highest]")
    for title in ("quantity", "values", "median [lowest, highest]"):
        table.add_column(title, justify="left" if title == "quantity" else "right")
    for name, spread in spreads.items():
        table.add_row(name, str(len(spread.values)), str(spread))
    return table


def section(reports: Sequence[BrandSetReport], spreads: dict[str, Spread]) -> Section:
    """Say where near-orthogonality holds and where not, by rules that are stated."""
    sizes = [len(report.brands) for report in reports]
    pairs, triples = (sum(math.comb(size, some) for size in sizes) for some in (2, 3))
    rows = [row for row in pair_rows(reports) if row["quantity"] == SOLD and row["kept"] is not None]
    apart = [row for row in rows if not _is_separable(row)]
    written = spreads["write cosine"].values
    orthogonal = sum(abs(value) <= ORTHOGONAL for value in written)
    claim = orthogonality(orthogonal, len(written), len(apart), len(rows))
    most = sorted(rows, key=lambda row: abs(row["both"] - row["own_only"]), reverse=True)[:6]
    brand_sets = "; ".join(f"{r.category}: {', '.join(r.brands)}" for r in reports)
    over = [
        {"over pairs and triples": name, "values": str(len(spread.values)), "median [lowest, highest]": str(spread)}
        for name, spread in spreads.items()
    ]
    paragraphs = (
        f"{pairs} pairs and {triples} triples of rivals in {len(reports)} brand sets ({brand_sets}); every subset of a "
        "brand set's brands amplified at the same levers, means over contexts and replicates A and B. Shares of a lift "
        "are taken where the lift exceeds two standard errors.",
        markdown_table(over),
        f"The pairs whose {SOLD} moves most when the rival is amplified too, ± one standard error:",
        markdown_table([_pair_line(row) for row in most]),
        claim.evidence,
    )
    figures = {
        "pairs.png": f"Above: {SOLD} of the row's brand, the column's amplified too (diagonal: alone). Below: only the "
        "column's brand amplified.",
        "geometry.png": "Cosines of what the sold neurons write, and of attributions.",
    }
    return Section("Crosstalk: pairs and triples", "\n\n".join(paragraphs), figures, (claim,))


def orthogonality(orthogonal: int, written: int, apart: int, pairs: int) -> PaperClaim:
    """Judge the claim.

    Args:
        orthogonal: Pairs whose sets write at |cosine| ≤ ORTHOGONAL.
        written: Of so many.
        apart: Ordered pairs whose kept share of lift is outside SEPARABLE by more than two standard errors.
        pairs: Of so many.
    """
    writes, exposures = orthogonal > 0.9 * written, apart < 0.1 * pairs
    verdict = "holds" if writes and exposures else "holds in part" if writes or exposures else "does not hold"
    low, high = SEPARABLE
    evidence = (
        f"What disjoint sets write is orthogonal to |cosine| ≤ {ORTHOGONAL:g} in {orthogonal} of {written} pairs; once "
        f"a rival is amplified too, a brand keeps a share of its lift that lies outside [{low:g}, {high:g}] by more "
        f"than two standard errors in {apart} of {pairs} ordered pairs. Rule: the claim holds if the first is so in "
        "more than nine tenths of the pairs and the second in less than a tenth; in part if only one of them is."
    )
    return PaperClaim("orthogonality", verdict, evidence)


def _is_separable(row: Row) -> bool:
    """Tell whether both − own is within the band, give or take two standard errors."""
    lift = row["own_only"] - row["null"]
    error = 2 * (row["both_error"] ** 2 + row["own_only_error"] ** 2) ** 0.5
    low, high = (row["null"] + share * lift for share in SEPARABLE)
    return bool(low - error <= row["both"] <= high + error)


def _pair_line(row: Row) -> dict[str, str]:
    shown = {
        name.replace("_", " "): with_error(row[name], row[f"{name}_error"])
        for name in ("null", "own_only", "rival_only", "both")
    }
    return {"brand": row["brand"], "rival": row["rival"], **shown, "lift kept": f"{row['kept']:.2f}"}

"""Truth where it is paid: the optimum designed on A and paid by B, against designs and charges that mind errors.

auctionsim auction deployed
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from auctionsim.experiments.running.run import Row, Run, Section, markdown_table
from auctionsim.mechanisms.table import Problem, entry
from auctionsim.priors import parse_priors
from auctionsim.scoring import ScoringSettings, case_of, score
from auctionsim.substrates import MeasuredList, ResponseSurface

BASELINE = "optimum"
HALF, KEPT = 0.5, 0.98
"""What a design must reach: at most so much of the baseline's regret over revenue, at so much of its objective."""


@dataclass(frozen=True)
class DeployedSettings:
    """What is designed and scored.

    Attributes:
        folder: Run folder.
        surfaces: Names of surfaces.
        features: Sold one after the other.
        mechanisms: Names in the table, the baseline first.
        prior: Valuations, as text.
        user_weight: λ.
        seed: Of profiles and of cross-fitting.
        profiles: Profiles of valuations, bid truthfully, that means are over.
        regret_draws: Profiles among them that regret is looked for on.
        loss: Which loss of the user is charged, as `Offer` reads it.
    """

    folder: Path
    surfaces: tuple[str, ...] = ("running-shoes-2@3", "running-shoes-3@2")
    features: tuple[str, ...] = ("slot_probability", "mention_probability")
    mechanisms: tuple[str, ...] = (
        BASELINE,
        "optimum-shrunk",
        "optimum-lower",
        "optimum-per-mention",
        "optimum-shrunk-per-mention",
        "optimum-lower-per-mention",
        "vcg",
        "delivered-vcg",
        "vcg-per-mention",
    )
    prior: str = "uniform:0,1"
    user_weight: float = 1.0
    seed: int = 0
    profiles: int = 2048
    regret_draws: int = 256
    loss: str = "kl"


def main(
    settings: DeployedSettings, views: Mapping[str, ResponseSurface | MeasuredList], command: str, console: Console
) -> tuple[Row, ...]:
    """Design on A, score on B, and write the frontier with a verdict on each design.

    Args:
        settings: What to do.
        views: The settings' surfaces by name.
        command: What the user typed, for run.json.
        console: Told how far it is.
    """
    run = Run(settings.folder, settings, {name: view.digest for name, view in views.items()})
    run.begin(command)
    rows: list[Row] = []
    for name, view in views.items():
        for feature in settings.features:
            console.print(f"{name}: {feature}", soft_wrap=True)
            rows += run.part(f"{name} {feature}", partial(feature_rows, settings, name, view, feature))
    run.finish({"deployed": rows}, section(settings, rows), command=command, console=console)
    return tuple(rows)


def feature_rows(
    settings: DeployedSettings, name: str, view: ResponseSurface | MeasuredList, feature: str
) -> list[Row]:
    """Return one row a mechanism, the verdict on each against the baseline."""
    sold, priors = view.sell(feature, loss=settings.loss), parse_priors(settings.prior)
    sizes = ScoringSettings(settings.profiles, settings.regret_draws)
    case = case_of(sold.replicate("B"), priors, settings.user_weight, sizes, seed=1000 + settings.seed)
    problem = Problem(sold.replicate("A"), priors, settings.user_weight, settings.seed)
    rows: list[Row] = []
    for mechanism in settings.mechanisms:
        found = score(mechanism, entry(mechanism).designed(problem), case)
        rows.append(
            {
                "surface": name,
                "feature": feature,
                "mechanism": mechanism,
                "objective": found.objective.mean,
                "revenue": found.revenue.mean,
                "regret": found.regret.mean,
                "regret_is": found.regret_is,
                "regret_share": found.regret.mean / found.revenue.mean if found.revenue.mean > 0 else None,
                "ir_violation": found.ir_violation.mean,
            }
        )
    return [row | {"reaches": reaches(row, rows[0])} for row in rows]


def reaches(row: Row, baseline: Row) -> bool:
    """Tell whether a design halves the baseline's regret over revenue and keeps 98 % of its objective."""
    share, before = row["regret_share"], baseline["regret_share"]
    if share is None or before is None:
        return False
    return bool(share <= HALF * before and row["objective"] >= KEPT * baseline["objective"])


def section(settings: DeployedSettings, rows: list[Row]) -> Section:
    """Return what was found: a table a surface and feature, and the frontier of the two."""
    parts = [
        f"Designed on replicate A, paid by B: valuations {settings.prior}, user weight {settings.user_weight:g}, "
        f"truthful bids, contexts drawn. A design reaches the aim where its regret over revenue is at most {HALF:g} "
        f"of the {BASELINE}'s and its objective at least {KEPT:g} of it. Charged on A's estimates, an objective "
        "counts what B did not give: then the IR violation is above 0."
    ]
    for surface, feature in dict.fromkeys((row["surface"], row["feature"]) for row in rows):
        own = [row for row in rows if (row["surface"], row["feature"]) == (surface, feature)]
        parts += [f"`{surface}`, `{feature}`:", markdown_table([_line(row) for row in own])]
        best = [row["mechanism"] for row in own if not any(_beats(other, row) for other in own)]
        reached = [row["mechanism"] for row in own if row["reaches"]]
        parts.append(
            f"Reached by: {', '.join(reached) or 'none'}. "
            f"On the frontier of objective and regret share: {', '.join(best)}."
        )
    return Section("Truth where it is paid", "\n\n".join(parts), {})


def _beats(other: Row, row: Row) -> bool:
    if other["regret_share"] is None or row["regret_share"] is None:
        return bool(row["regret_share"] is None and other["regret_share"] is not None)
    pairs = [(other["objective"], row["objective"]), (-other["regret_share"], -row["regret_share"])]
    return all(one >= two for one, two in pairs) and any(one > two for one, two in pairs)


def _line(row: Row) -> dict[str, str]:
    share = "–" if row["regret_share"] is None else f"{100 * row['regret_share']:.2f} %"
    return {
        "mechanism": row["mechanism"],
        "objective on B": f"{row['objective']:.4f}",
        "revenue": f"{row['revenue']:.4f}",
        "mean regret": f"{row['regret']:.5f} ({row['regret_is']})",
        "of revenue": share,
        "IR violation": f"{row['ir_violation']:.5f}",
        "reaches the aim": "yes" if row["reaches"] else "no",
    }

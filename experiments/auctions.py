"""Every mechanism on one measured surface, as tables to read in a terminal."""

from collections.abc import Iterator

from rich.table import Table

from auctionsim.comparison import compare
from auctionsim.mechanisms import VCG, Mechanism, PayAsBid, VirtualWelfareMaximizer, train_menu
from auctionsim.priors import Uniform
from auctionsim.report.records import Estimate
from auctionsim.substrates import ResponseSurface

OPTIMUM = "virtual welfare (optimal)"
MENU = "menu (the paper's)"
PAY_AS_BID = "pay as bid"
PRIOR = Uniform(0.0, 1.0)


def rival_mechanisms(
    surface: ResponseSurface, user_weight: float, *, seed: int, entries: int = 6, steps: int = 400
) -> dict[str, Mechanism]:
    """Return the mechanisms that are compared, designed on the surface as it is viewed, for valuations U[0, 1]."""
    return {
        OPTIMUM: VirtualWelfareMaximizer(surface, PRIOR, user_weight),
        MENU: train_menu(surface, PRIOR, user_weight, entries=entries, steps=steps, seed=seed),
        "VCG": VCG(surface, user_weight),
        PAY_AS_BID: PayAsBid(surface, user_weight),
    }


def compared_tables(
    surface: ResponseSurface, feature: str, user_weights: tuple[float, ...], seed: int
) -> Iterator[Table]:
    """Yield one table a user weight."""
    sold = surface.sell(feature)
    titles = ("mechanism", "on", "revenue", "bidder utility", "user loss", "welfare", "objective", "% of optimum")
    more = ("regret", "regret is", "IR violation", "participation gain", "objective, IR kept", "under best responses")
    for user_weight in user_weights:
        table = Table(title=f"{feature}, user weight {user_weight:g}, U[0, 1] valuations, designed on A")
        for title in (*titles, *more):
            table.add_column(title, justify="right")
        rows = compare(rival_mechanisms(sold, user_weight, seed=seed), sold, PRIOR, user_weight, seed=seed)
        for row in rows:
            table.add_row(
                row.mechanism,
                row.replicate,
                *map(_shown, (row.revenue, row.bidder_utility, row.user_loss, row.welfare, row.objective)),
                "–" if row.objective_share is None else f"{100 * row.objective_share:.1f}",
                _shown(row.regret),
                row.regret_is,
                _shown(row.ir_violation),
                _shown(row.participation_gain),
                "–" if row.objective_ir is None else f"{row.objective_ir:.4f}",
                "–" if row.objective_best_response is None else f"{row.objective_best_response:.4f}",
            )
        yield table


def _shown(value: Estimate) -> str:
    if value.standard_error is None:
        return f"{value.mean:.4f}"
    return f"{value.mean:.4f}±{value.standard_error:.4f}"

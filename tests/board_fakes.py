"""Cells of the board that are made up: objectives by prompt from known laws, bootstrap draws as a real cell's."""

from collections.abc import Mapping, Sequence

import numpy as np

from auctionsim.experiments.entries import TRUTHFUL, SystemEntry
from auctionsim.experiments.running.board_cell import MECHANISMS, SYSTEMS, BoardCell, Price, RowName

CONTEXTS, PROMPTS, DRAWS = 3, 4, 400
MAIN = Price("reply_kl", 0.1)
PRICES = (*(Price("reply_kl", w) for w in (0.0, 0.02, 0.1, 0.25)), *(Price("quality", w) for w in (0.0, 1.0)))


def prompt_noise(seed: int, scales: Sequence[float] = (0.05,) * CONTEXTS) -> np.ndarray:
    """What prompts add to an objective, (context, prompt)."""
    generator = np.random.default_rng(seed)
    return np.array(scales)[:, None] * generator.standard_normal((CONTEXTS, PROMPTS))


def bootstrap(values: np.ndarray, draws: int = DRAWS) -> np.ndarray:
    """Means under draws of prompts within contexts; the same draws for all."""
    generator = np.random.default_rng(7)
    counts = generator.multinomial(PROMPTS, np.full(PROMPTS, 1 / PROMPTS), (draws, CONTEXTS)) / PROMPTS
    return np.asarray((counts * values).sum(2).mean(1))


def fake_cell(
    name: str,
    values: np.ndarray,
    *,
    table: str = SYSTEMS,
    category: str = "running shoes",
    price: Price = MAIN,
    after: bool = False,
    kinds: tuple[str, str] = ("exact", "exact"),
    **scores: float | None,
) -> BoardCell:
    """A cell whose objective is the mean of values by prompt; kinds of regret on A and on B."""
    objective = float(values.mean())
    cost = 0.0 if after else 0.5 + 2.0 / (1 + 20 * price.user_weight)
    numbers: Mapping[str, float | None] = {
        "revenue": objective + price.user_weight * cost, "welfare": 2 * objective, "objective": objective,
        "user_loss": cost, "reply_kl": cost, "quality": 0.1, "kl": 0.2, "ad_share": None, "ad_words": 2.0 * after,
        "rows": None, "objective_A": objective, "optimum": 0.5, "own_design": objective + 0.01,
        "objective_best_response": None, "regret": 0.0, "regret_max": 0.0, "regret_A": 0.0, "regret_max_A": 0.0,
        "ir": 0.0, "ir_max": 0.0, "ir_draw": 0.0, "ir_draw_max": 0.0, **scores,
    }  # fmt: skip
    draws = bootstrap(values)
    influences = tuple(map(tuple, values.tolist()))
    carrier = "slots" if after else "neurons"
    return BoardCell(
        RowName(table, name, carrier, "vcg" if table == SYSTEMS else name), category, price, after, {"strength": 2.0},
        3, numbers, kinds[1], kinds[0], tuple(draws), tuple(draws + price.user_weight * cost),
        influences, influences, tuple(draws / 10 + cost), influences, (PROMPTS / (PROMPTS - 1)) ** 0.5,
    )  # fmt: skip


def fake_board() -> list[BoardCell]:
    """Two systems before the reply, one after it, two mechanisms; two categories; all prices, and a word's."""
    cells = []
    words = [Price("reply_kl", 0.1, words) for words in (0.03, 0.1)]
    for c, category in enumerate(("running shoes", "charities")):
        shared = prompt_noise(c)
        for price in (*PRICES, *words):
            level = 0.3 - price.user_weight / 4
            own = {"category": category, "price": price}
            cells += [
                fake_cell("first", shared + level, **own),  # type: ignore[arg-type]
                fake_cell("second", shared + level - 0.1, **own, regret_max_A=0.25, regret_A=0.02, regret_max=0.3),  # type: ignore[arg-type]
                fake_cell("third", shared + level - 0.5 * price.words, after=True, **own),  # type: ignore[arg-type]
            ]
            if not price.words:
                cells += [
                    fake_cell("vcg", shared + level, table=MECHANISMS, **own),  # type: ignore[arg-type]
                    fake_cell("optimum", shared + level + 0.02, table=MECHANISMS, **own),  # type: ignore[arg-type]
                ]
    return cells


def fake_entry(name: str, claim: str = TRUTHFUL) -> SystemEntry:
    """A published system that nobody published."""
    return SystemEntry(
        name, f"The {name} system", "neurons", "vcg", f"Author (2024), “{name.title()}”, arXiv 0000.00000",
        f"{name}: a name in a reply", f"{name}: the winner pays", claim, "Truth is dominant (Theorem 1).",
        "being shown", "A list of settings stands for theirs.",
    )  # fmt: skip

"""The rectifier against closed forms, slow loops and made-up worlds."""

import numpy as np
import pytest

from auctionsim.errors import InputError
from auctionsim.gold import JudgedCells, LabelledReplies, LabelWorld, Rectifier, correct_cells, coverage_of
from auctionsim.gold.cell_effects import CellSums, effect_variance
from auctionsim.gold.worlds import WorldDraw, draw_world

LINE = Rectifier("line")
FLAT, UNEVEN = LabelWorld(), LabelWorld(cell_effect=0.1)


def one_draw(world: LabelWorld = FLAT, seed: int = 0) -> WorldDraw:
    return draw_world(world, np.random.default_rng(seed))


def test_intervals_hold_the_truth_in_a_thin_slice_of_both_worlds() -> None:
    for world in (FLAT, UNEVEN):
        coverage = coverage_of(world, draws=60, seed=1)
        assert 0.92 < coverage.share < 0.975
        assert min(coverage.by_third) > 0.9
    flat = coverage_of(FLAT, draws=60, seed=1)
    assert flat.width <= flat.gold_width / 2


@pytest.mark.deep
@pytest.mark.parametrize("world", [FLAT, UNEVEN, LabelWorld(tilt=2.0), LabelWorld(contexts=3, context_step=0.1)])
def test_intervals_hold_the_truth_in_every_third_of_the_dose(world: LabelWorld) -> None:
    coverage = coverage_of(world, draws=400)
    assert all(0.93 <= share <= 0.97 for share in (coverage.share, *coverage.by_third)), coverage
    assert world != FLAT or coverage.width <= coverage.gold_width / 2


@pytest.mark.deep
def test_the_line_alone_is_too_sure_where_cells_have_effects_of_their_own() -> None:
    line, effects = (coverage_of(UNEVEN, rectifier, 400) for rectifier in (LINE, Rectifier()))
    assert line.share < 0.935 < effects.share


def test_with_every_reply_labelled_by_chance_alone_the_estimate_is_the_prediction_powered_mean() -> None:
    """One dose per context and two contexts: the terms are the contexts' means, so are PPI's rectifiers."""
    generator = np.random.default_rng(3)
    dose, context = np.array([0.0, 1.0]), np.array([0, 0])
    gold = generator.random((2, 50)) < 0.4
    judge = gold ^ (generator.random((2, 50)) < 0.2)
    cell, reply = np.nonzero(generator.random((2, 50)) < 0.3)
    labels = LabelledReplies(
        cell, gold[cell, reply].astype(float), judge[cell, reply].astype(float), np.full(len(cell), 0.3)
    )
    cells = JudgedCells(judge.mean(1), judge.std(1, ddof=1) / 50**0.5, np.full(2, 50), dose, context)
    found = correct_cells(cells, labels, LINE)
    for k in range(2):
        own = cell == k
        assert found.mean[k] == pytest.approx(judge[k].mean() + (labels.gold - labels.judge)[own].mean())


def test_a_weight_of_none_for_the_judge_leaves_the_weighted_regression_of_gold() -> None:
    draw = one_draw(LabelWorld(tilt=2.0))
    found = correct_cells(draw.cells, draw.labels, Rectifier("line", judge_weight=0.0))
    root = np.sqrt(1 / draw.labels.probability)
    rows = np.stack([np.ones(len(root)), draw.cells.dose[draw.labels.cell]], 1)
    wanted = np.linalg.lstsq(rows * root[:, None], draw.labels.gold * root, rcond=None)[0]
    np.testing.assert_allclose(found.coefficients, wanted)
    np.testing.assert_allclose(found.mean, wanted[0] + wanted[1] * draw.cells.dose)


@pytest.mark.parametrize("clustered", [False, True])
def test_the_coefficients_covariance_is_the_jackknifes(clustered: bool) -> None:
    """CR3: Σ over clusters of the outer product of what the fit moves by when the cluster is left out."""
    draw = one_draw(LabelWorld(tilt=1.0))
    cluster = np.arange(len(draw.labels.cell)) % (9 if clustered else 10_000)
    labels = draw.labels._replace(cluster=cluster)
    found = correct_cells(draw.cells, labels, LINE)
    moves = []
    for one in np.unique(cluster):
        rest = cluster != one
        fewer = LabelledReplies(*(None if part is None else part[rest] for part in labels))
        moves.append(correct_cells(draw.cells, fewer, LINE).coefficients - found.coefficients)
    np.testing.assert_allclose(found.coefficient_covariance, np.transpose(moves) @ np.array(moves), rtol=1e-9)


def test_cells_share_the_coefficients_errors() -> None:
    draw = one_draw()
    found = correct_cells(draw.cells, draw.labels, LINE)
    terms = np.stack([np.ones(25), draw.cells.dose], 1)
    shared = terms @ found.coefficient_covariance @ terms.T
    rest = found.covariance - shared
    assert np.linalg.eigvalsh(found.covariance).min() > 0
    off = ~np.eye(25, dtype=bool)
    assert np.abs(rest[off]).max() < 0.2 * np.abs(found.covariance[off]).max()
    assert np.diag(rest).mean() == pytest.approx((draw.cells.standard_error**2).mean(), rel=0.1)


def test_the_covariance_is_a_slow_loops() -> None:
    """Σ over labelled replies of the product of what each moves two cells by, and the judge's own error."""
    draw = one_draw(LabelWorld(tilt=1.0))
    cells, labels = draw.cells, draw.labels
    found = correct_cells(cells, labels, LINE)
    rows = np.stack([np.ones(len(labels.cell)), cells.dose[labels.cell]], 1)
    weights = 1 / labels.probability
    inverse = np.linalg.inv(rows.T @ (rows * weights[:, None]))
    gap = labels.gold - labels.judge - rows @ found.coefficients
    wanted = np.diag(cells.standard_error**2)
    for i, cell in enumerate(labels.cell):
        leverage = weights[i] * rows[i] @ inverse @ rows[i]
        pull = weights[i] * inverse @ rows[i] * gap[i] / (1 - leverage)
        shared = np.array([pull[0] + pull[1] * dose for dose in cells.dose])
        own = np.zeros(25)
        own[cell] = (labels.judge[i] - cells.mean[cell]) / cells.n[cell]
        wanted += np.outer(shared, shared) + np.outer(own, shared) + np.outer(shared, own)
    np.testing.assert_allclose(found.covariance, wanted, atol=1e-12)


def test_cells_own_effects_add_the_part_that_the_judge_misses() -> None:
    draw = one_draw(LabelWorld(cell_effect=0.2))
    line, found = (correct_cells(draw.cells, draw.labels, one) for one in (LINE, Rectifier()))
    assert 0.1 < found.cell_effect < 0.4
    missed = ((1 - found.passed_on) * found.cell_effect) ** 2
    np.testing.assert_allclose(found.covariance - line.covariance, missed * np.eye(25), atol=1e-12)
    np.testing.assert_array_equal(found.mean, line.mean)


def test_the_covariance_is_the_spread_over_draws() -> None:
    """The variance of a sum of all cells, in which the shared error dominates, against 200 draws."""
    generator = np.random.default_rng(5)
    sums, variances = [], []
    for _ in range(200):
        draw = draw_world(FLAT, generator)
        found = correct_cells(draw.cells, draw.labels, LINE)
        sums.append(found.mean.sum())
        variances.append(found.covariance.sum())
    assert np.mean(variances) == pytest.approx(np.var(sums), rel=0.3)


def test_the_cell_effects_likelihood_is_that_of_a_dense_normal() -> None:
    """REML against one matrix of all judge and gold means."""
    generator = np.random.default_rng(2)
    terms = np.stack([np.ones(8), generator.random(8)], 1)
    effect = 0.3 * generator.standard_normal(8)
    sums = CellSums(
        terms,
        0.5 * effect + 0.05 * generator.standard_normal(8),
        np.full(8, 0.0025),
        effect + 0.2 * generator.standard_normal(8),
        np.array([0.2] * 7 + [np.inf]),
        np.full(8, 40),
    )
    both, design = np.concatenate([sums.judge, sums.gold[:7]]), np.kron(np.eye(2), terms)[:15]

    def likelihood(variance: float) -> float:
        cov = np.zeros((15, 15))
        for c in range(8):
            cov[c, c] = 0.25 * variance + 0.0025
            if c < 7:
                cov[8 + c, 8 + c] = variance + 0.2 * 0.2
                cov[c, 8 + c] = cov[8 + c, c] = 0.5 * variance + min(0.5 * 0.2 / 40, 0.9 * (0.0025 * 0.04) ** 0.5)
        inverse = np.linalg.inv(cov)
        information = design.T @ inverse @ design
        rest = both - design @ np.linalg.solve(information, design.T @ inverse @ both)
        logs = np.linalg.slogdet(cov)[1] + np.linalg.slogdet(information)[1]
        return float(-0.5 * (logs + rest @ inverse @ rest))

    grid = np.linspace(0, 0.2**0.5, 121)
    best = grid[int(np.argmax([likelihood(one**2) for one in grid]))]
    assert effect_variance(sums, 0.5, 0.2) == pytest.approx(best**2, abs=1e-6)


def test_a_judge_that_says_nothing_is_left_out_where_its_weight_is_chosen() -> None:
    draw = one_draw(LabelWorld(flips=0.5, alarms=0.0))
    chosen = correct_cells(draw.cells, draw.labels, Rectifier(judge_weight=None))
    whole = correct_cells(draw.cells, draw.labels)
    assert chosen.judge_weight < 0.3
    assert chosen.standard_error.mean() < whole.standard_error.mean()


def test_shifting_the_judge_by_dose_changes_nothing() -> None:
    """What the terms hold is taken out: a judge that is harsher by dose is as good."""
    draw = one_draw()
    shift = 0.1 + 0.3 * draw.cells.dose
    cells = draw.cells._replace(mean=draw.cells.mean + shift)
    labels = draw.labels._replace(judge=draw.labels.judge + shift[draw.labels.cell])
    plain, shifted = correct_cells(draw.cells, draw.labels), correct_cells(cells, labels)
    np.testing.assert_allclose(plain.mean, shifted.mean, atol=1e-12)
    np.testing.assert_allclose(plain.covariance, shifted.covariance, atol=1e-12)


REFUSED = {
    "each array as long": lambda c, g: (c._replace(mean=c.mean[1:]), g),
    "mean must be finite, got nan": lambda c, g: (c._replace(mean=c.mean * np.nan), g),
    "standard errors must be >= 0": lambda c, g: (c._replace(standard_error=-c.standard_error), g),
    "labels must be one or more": lambda c, g: (c, LabelledReplies(*(part[:0] for part in g[:4]))),
    "cell must be 0 to 24, got 25": lambda c, g: (c, g._replace(cell=g.cell * 0 + 25)),
    "above 0 and at most 1, got 0.0": lambda c, g: (c, g._replace(probability=g.probability * 0)),
    "above 0 and at most 1, got 1.2": lambda c, g: (c, g._replace(probability=g.probability * 12)),
    "gold must be finite": lambda c, g: (c, g._replace(gold=g.gold + np.inf)),
    "context 0 has 0": lambda c, g: (c._replace(context=c.context + 1), g),
    "2 terms need 4 labelled replies or more, got 3": lambda c, g: (c, LabelledReplies(*(part[:3] for part in g[:4]))),
    "of more doses": lambda c, g: (c, g._replace(cell=g.cell * 0)),
    "one cluster of replies, alone decides": lambda c, g: (c, g._replace(cluster=g.cell * 0)),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_corrected_is_refused(message: str) -> None:
    draw = one_draw()
    cells, labels = REFUSED[message](draw.cells, draw.labels)
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        correct_cells(cells, labels)


@pytest.mark.parametrize(
    ("rectifier", "message"),
    [
        (Rectifier("none"), "must be one of"),
        (Rectifier(degree=0), "degree in dose must be 1 to 3"),
        (Rectifier(judge_weight=1.5), "weight must be 0 to 1"),
    ],
)
def test_a_rectifier_that_is_none_is_refused(rectifier: Rectifier, message: str) -> None:
    draw = one_draw()
    with pytest.raises(InputError, match=message):
        correct_cells(draw.cells, draw.labels, rectifier)


def test_a_tilt_that_labels_more_than_all_is_refused() -> None:
    with pytest.raises(InputError, match="would be labelled with probability"):
        one_draw(LabelWorld(labelled=0.9, tilt=5.0))

"""The covariance between cells of a loss that was corrected by gold labels, from what its file says."""

import numpy as np
from jaxtyping import Float

from auctionsim.errors import InputError
from auctionsim.gold.cells import JudgedCells
from auctionsim.gold.corrections import PROVENANCE
from auctionsim.gold.doses import doses
from auctionsim.gold.judged_means import on_interventions
from auctionsim.gold.rectifier import rectifier_terms
from auctionsim.substrates.measured_list import MeasuredList
from auctionsim.substrates.surface import ResponseSurface


def between_cells(measured: ResponseSurface | MeasuredList, replicate: str) -> Float[np.ndarray, "cell cell"]:
    """Return the covariance of a corrected loss's errors between cells, from the measurement alone.

    Cells are contexts by distinct interventions, contexts first. The diagonal is the square of the standard errors. Off
    it stand the rectifier's coefficients, which all cells share, and the untouched reply of a context, which its cells
    share. What labelled replies add by being part of the judge's means is on the diagonal only.

    Args:
        measured: What `correct_loss` made, or a file of it.
        replicate: "A" or "B".
    Raises:
        ValueError: The measurement is not corrected.
    """
    if PROVENANCE not in measured.provenance:
        raise InputError("the covariance between cells is known of a loss that was corrected by gold labels only")
    record = measured.provenance[PROVENANCE]
    fit, entries = record["replicates"][replicate], len(measured.cells.distinct)
    contexts = len(measured.contexts)
    dose = np.tile(doses(measured.finite_range().allocations.double(), measured.levers).numpy(), contexts)
    where = np.repeat(np.arange(contexts), entries)
    zero = np.zeros(len(dose))
    cells = JudgedCells(zero, zero, np.ones(len(dose), int), dose, where)
    terms = rectifier_terms(cells, record["rectifier"]["degree"])[1]
    rise = terms - terms[where * entries]
    found = rise @ np.array(fit["covariance"]) @ rise.T
    same = where[:, None] == where
    found += same * np.array(fit["untouched_variance"])[where]
    error = on_interventions(measured, measured.replicates[replicate].losses[record["loss"]].standard_error)
    null = np.arange(len(dose)) % entries == 0
    found[null], found[:, null] = 0, 0
    found[np.diag_indices_from(found)] = error.numpy().ravel() ** 2
    return np.asarray(found)

"""The conformance kit of carriers: what decoding, measurements and auctions rely on, on any language model."""

from collections.abc import Collection

from auctionsim.carriers.protocol import Carrier
from auctionsim.carriers.registry import carrier_entry
from auctionsim.language_models.model import LanguageModel
from auctionsim.testing import carrier_laws as laws
from auctionsim.testing import carrier_model_laws as decoded
from auctionsim.testing.carrier_cases import CarrierClaim, Made, cases
from auctionsim.testing.kit import Check, Law, chosen, run_all

LAWS: tuple[Law, ...] = (
    laws.declared,
    laws.feasible,
    laws.one_at_null,
    laws.ladder,
    laws.select,
    laws.repeat,
    laws.own_memory,
    laws.deterministic,
    laws.kept,
    laws.copies,
    laws.names_its_brand,
    laws.brands_in_order,
    decoded.null_exact,
    decoded.rows_apart,
    decoded.lockstep,
    decoded.hooks_gone,
    decoded.divergences,
    decoded.readings,
    decoded.continuity,
)
MODEL_LAWS = tuple(
    law.__name__
    for law in (
        decoded.null_exact,
        decoded.rows_apart,
        decoded.lockstep,
        decoded.hooks_gone,
        decoded.divergences,
        decoded.readings,
        decoded.continuity,
    )
)
"""Names of the checks that are about decoding: what another model may break."""
PROMPTS = ("Which shoes?", "Name one good shop for them.")
"""What users ask, unless other prompts are given."""


def carrier_checks(
    carrier: Carrier,
    model: LanguageModel,
    *,
    turned: Carrier | None = None,
    made: Made | None = None,
    prompts: tuple[str, ...] = PROMPTS,
    skip: Collection[str] = (),
    tolerance: float = 1e-4,
    examples: int = 3,
) -> tuple[Check, ...]:
    """Return the checks of a carrier on a model, to be run one by one.

    Allocations are drawn from its levers and its ladder, as far as it calls them feasible; each batch holds a row in
    which nobody's levers are moved. The model should compute in float32: rounding in bfloat16 hides what is checked.

    Args:
        carrier: What is checked.
        model: The language model that it moves.
        turned: The same carrier with its brands in the other order, which gets a check of its own; None where the order
            of brands is part of what it does.
        made: Makes it again from its brands and what it stored; None looks it up in the table of carriers.
        prompts: What users ask.
        skip: Names of checks to leave out.
        tolerance: In total variation of a next token's law, what counts as rounding between batches.
        examples: Cases drawn for each check.
    Returns:
        Checks, callable, whose text is their name.
    Raises:
        ValueError: `skip` names no check, or no carrier of this name is registered and `made` is not given.
    """
    by_name = {law.__name__: law for law in LAWS if turned is not None or law is not laws.brands_in_order}
    makes = carrier_entry(carrier.name).made if made is None else made
    claim = CarrierClaim(carrier, model, turned, makes, tuple(prompts), tolerance)
    names, drawn = chosen(list(by_name), skip), cases(carrier)
    return tuple(Check(name, claim, (by_name[name],), drawn, examples) for name in names)


def check_carrier(
    carrier: Carrier,
    model: LanguageModel,
    *,
    turned: Carrier | None = None,
    made: Made | None = None,
    prompts: tuple[str, ...] = PROMPTS,
    skip: Collection[str] = (),
    tolerance: float = 1e-4,
    examples: int = 3,
) -> None:
    """Run all of `carrier_checks`, which has the same arguments, and report every failure, one sentence each.

    Raises:
        BrokenClaimError: Naming each check that failed, with its smallest counterexample.
    """
    run_all(
        carrier_checks(
            carrier,
            model,
            turned=turned,
            made=made,
            prompts=prompts,
            skip=skip,
            tolerance=tolerance,
            examples=examples,
        )
    )

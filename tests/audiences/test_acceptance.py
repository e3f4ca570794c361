"""Willingness to accept: the scale is recovered, its interval covers, and what tells nothing is refused."""

import math
import sys

import pytest
import torch

from auctionsim.audiences import Acceptances, simulate_acceptances, willingness_to_accept
from auctionsim.errors import InputError, MissingPackageError


def choices(users: int, willingness: float, noise: float, generator: torch.Generator) -> Acceptances:
    losses = torch.rand(users, generator=generator, dtype=torch.float64)
    payments = 2 * torch.rand(users, generator=generator, dtype=torch.float64)
    return simulate_acceptances(losses, payments, willingness, noise, generator)


@pytest.mark.parametrize(("willingness", "noise"), [(1.3, 0.3), (0.4, 0.2)])
def test_the_interval_covers(willingness: float, noise: float) -> None:
    generator = torch.Generator().manual_seed(1)
    told = [willingness_to_accept(choices(300, willingness, noise, generator)) for _ in range(150)]
    covered = sum(one.low <= willingness <= one.high for one in told) / len(told)
    assert covered >= 0.89  # .95, within 3.4 standard errors of 150 draws
    assert covered <= 0.995
    assert sum(one.value for one in told) / len(told) == pytest.approx(willingness, rel=0.05)


def test_units_scale_it() -> None:
    """Money in cents and losses in thousandths: the same choices, a scale that is 100/1000 as large."""
    told = choices(400, 1.0, 0.3, torch.Generator().manual_seed(2))
    plain = willingness_to_accept(told)
    scaled = willingness_to_accept(told._replace(payments=100 * told.payments, losses=1000 * told.losses))
    assert scaled.value == pytest.approx(plain.value / 10, rel=1e-6)
    assert (scaled.low, scaled.high) == (pytest.approx(plain.low / 10), pytest.approx(plain.high / 10))


def test_few_noisy_choices_have_no_upper_end() -> None:
    loose = willingness_to_accept(choices(24, 1.0, 4.0, torch.Generator().manual_seed(5)), 0.999)
    assert loose.high == math.inf


def test_what_tells_nothing_is_refused() -> None:
    told = choices(100, 1.0, 0.3, torch.Generator().manual_seed(3))
    with pytest.raises(InputError, match="both answers"):
        willingness_to_accept(told._replace(accepted=torch.ones(100, dtype=torch.bool)))
    with pytest.raises(InputError, match="needs 20 choices"):
        willingness_to_accept(Acceptances(told.losses[:5], told.payments[:5], told.accepted[:5]))
    with pytest.raises(InputError, match="separate"):
        willingness_to_accept(told._replace(accepted=told.payments > told.losses))
    with pytest.raises(InputError, match="not all 0"):
        willingness_to_accept(told._replace(losses=torch.zeros(100, dtype=torch.float64)))
    with pytest.raises(InputError, match="less for more money"):
        willingness_to_accept(told._replace(accepted=~told.accepted))
    with pytest.raises(InputError, match="must be"):
        simulate_acceptances(told.losses, told.payments[:3], 1.0, 0.3, torch.Generator())


def test_without_statsmodels_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "statsmodels.discrete.discrete_model", None)
    with pytest.raises(MissingPackageError, match=r"auctionsim\[panels\]"):
        willingness_to_accept(choices(100, 1.0, 0.3, torch.Generator().manual_seed(3)))

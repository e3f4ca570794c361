"""Every published system names a carrier, a mechanism and knobs that are there."""

import pytest

from auctionsim.experiments.entries import SystemEntry, refusal, systems


@pytest.mark.parametrize("one", systems().values(), ids=lambda one: one.name)
def test_what_it_names_is_there(one: SystemEntry) -> None:
    assert refusal(one) is None

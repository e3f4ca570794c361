"""What a local ray is started with."""

import os

import pytest

from auctionsim.agents.ray_session import ray_running

pytestmark = [
    pytest.mark.slow,  # ray starts
    pytest.mark.filterwarnings("default"),  # ray's own
]


def test_workers_are_as_nice_as_the_process_that_starts_them() -> None:
    """At Ray's own 15 they starve beside anything else that runs."""
    import ray

    def niceness() -> int:  # nested, so that workers need not import this file
        return os.nice(0)

    with ray_running():
        assert ray.get(ray.remote(niceness).remote()) == niceness()

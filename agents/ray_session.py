"""Ray sessions: the ray that a training runs on, whether it is large enough, and the global state kept as it was."""

import contextlib
import logging
import os
import random
from collections.abc import Iterator

import numpy as np
import torch

from auctionsim.errors import InputError
from auctionsim.plugins import ray_options
from auctionsim.ray_folders import ray_folder


@contextlib.contextmanager
def ray_running(address: str | None = None, *, cpus: int = 1) -> Iterator[None]:
    """Join the cluster at an address, or start a small local ray if none is running; leave or stop it at the end.

    A local ray has a folder of its own, gone with it (`auctionsim.ray_folders`). Its workers run at this process's
    niceness unless RAY_worker_niceness says otherwise: at Ray's own 15 they hardly run beside anything else. A cluster
    keeps what it was started with.

    Args:
        address: Of a cluster, "auto" for the one of this machine; None: whatever is running, else a local one.
        cpus: What a local one is given.
    Raises:
        ConnectionError: No cluster answers at the address.
    """
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")
    import ray

    logger = logging.getLogger("ray.rllib")  # it advertises its new API at every start
    level, ours = logger.level, not ray.is_initialized()
    with contextlib.ExitStack() as stack:
        if ours and address is not None:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", **ray_options())
        elif ours:
            scratch = stack.enter_context(ray_folder())
            quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR", **ray_options()}
            ray.init(num_cpus=cpus, _temp_dir=scratch, **quiet)
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)
            if ours:
                ray.shutdown()


def require_cpus(needed: int) -> None:
    """Refuse to begin what Ray would wait for silently: ask before `fit()` or `build_algo()`.

    A Tune trial of PPO needs 1 + num_env_runners; RLlib by itself num_env_runners.

    Args:
        needed: CPUs of one trial.
    Raises:
        ValueError: The running ray has fewer; or this machine, where none runs yet.
    """
    import ray

    there = ray.cluster_resources().get("CPU", 0.0) if ray.is_initialized() else float(os.cpu_count() or 1)
    if needed > there:
        raise InputError(f"{needed} CPUs are needed, Ray has {there:g}: use fewer env runners, or a larger cluster")


@contextlib.contextmanager
def global_state_kept() -> Iterator[None]:
    """Put the global state back as it was: RLlib seeds every generator and makes torch deterministic."""
    python, numpy = random.getstate(), np.random.get_state()
    strict, warn_only = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.use_deterministic_algorithms(strict, warn_only=warn_only)
        random.setstate(python)
        np.random.set_state(numpy)

"""Choice among ordered options by a hidden number: P(M = s | U) ∝ exp(κ s U), U ~ N(0, 1)."""

import numpy as np
from jaxtyping import Float, Int


def strengths(options: int) -> Float[np.ndarray, " option"]:
    """Return −(K−1)/2 … (K−1)/2."""
    return np.arange(options) - (options - 1) / 2


def choice_law(kappa: float, hidden: Float[np.ndarray, "*shape"], options: int) -> Float[np.ndarray, "*shape option"]:
    """Return P(M | U) ∝ exp(κ s U)."""
    return softmax(kappa * hidden[..., None] * strengths(options))


def hidden_means(kappa: float, options: int) -> Float[np.ndarray, " option"]:
    """Return E[U | M] in a log whose options a hidden U ~ N(0, 1) chooses, by quadrature.

    Args:
        kappa: κ.
        options: K; strengths are −(K−1)/2 … (K−1)/2.
    Example:
        >>> [round(float(mean), 4) for mean in hidden_means(1.0, 4)]
        [-0.8095, -0.2596, 0.2596, 0.8095]
    """
    hidden, weights = normal_rule(200)
    law = choice_law(kappa, hidden, options)
    return np.asarray((weights * hidden) @ law / (weights @ law))


def normal_rule(nodes: int) -> tuple[Float[np.ndarray, " node"], Float[np.ndarray, " node"]]:
    """Return points and weights by which means under N(0, 1) are taken: Gauss and Hermite's."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    return points, weights / weights.sum()


def softmax(exponent: Float[np.ndarray, "*shape option"]) -> Float[np.ndarray, "*shape option"]:
    """Return the distribution ∝ exp along the last axis."""
    law = np.exp(exponent - exponent.max(-1, keepdims=True))
    return np.asarray(law / law.sum(-1, keepdims=True))


def drawn(law: Float[np.ndarray, "*shape option"], generator: np.random.Generator) -> Int[np.ndarray, "*shape"]:
    """Return an index drawn from each distribution along the last axis."""
    uniform = generator.uniform(size=law.shape[:-1])
    return np.asarray(np.minimum((law.cumsum(-1) < uniform[..., None]).sum(-1), law.shape[-1] - 1))

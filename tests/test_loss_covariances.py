"""Errors of sums of losses: exact by the covariances within a cell, an upper bound where they are not known."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from measurement_fakes import SETTINGS, fake_model, fake_neurons, fake_prompts

from auctionsim.data import readings_beside
from auctionsim.measurement import REPLIES_FILE, measure
from auctionsim.measurement.covariances import loss_covariances
from auctionsim.measurement.relation import relative, summarise
from auctionsim.measurement.second_pass import SecondPass, gather_values
from auctionsim.measurement.side_files import write_side_file
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.readings import TextReading, Unscored, register, unregister
from auctionsim.readings.registry import reading
from auctionsim.storage import Stored, read_stored, write_stored
from auctionsim.substrates import Offer, ResponseSurface
from auctionsim.substrates.covariances import sum_error
from auctionsim.substrates.side_readings import FORMAT, VERSION

SMALL = replace(SETTINGS, num_neurons=(0.0, 24.0))


def _letters(replies: Any, brands: Any) -> list[float]:
    return [float(len(reply.text)) for reply in replies]


def _long_words(replies: Any, brands: Any) -> list[Any]:
    """The longest word of a reply; none of a reply with an odd number of letters."""
    texts = [reply.text for reply in replies]
    return [float(max(map(len, f"{t} .".split()))) if len(t) % 2 == 0 else Unscored("odd") for t in texts]


@pytest.fixture(scope="module", autouse=True)
def own_readings() -> Iterator[None]:
    parts: dict[str, Any] = {"unit": "letters", "per": "reply", "bounds": (0.0, 1e6)}
    register(TextReading("letters_one", loss="lower is better", read=_letters, **parts))
    register(TextReading("letters_two", loss="lower is better", read=_letters, **parts))
    register(TextReading("shortness", loss="higher is better", read=_letters, **parts))
    register(TextReading("longest_word", loss="lower is better", read=_long_words, **parts))
    yield
    for name in ("letters_one", "letters_two", "shortness", "longest_word"):
        unregister(name)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, model = tmp_path_factory.mktemp("covariances"), fake_model()
    settings = replace(SMALL, readings=("letters_one", "letters_two", "shortness"))
    surface = measure(folder, model, fake_neurons(model), fake_prompts(), settings)
    surface.save(folder / "surface.safetensors")
    return folder


@pytest.fixture(scope="module")
def surface(run: Path) -> ResponseSurface:
    return ResponseSurface.load(run / "surface.safetensors")


@pytest.mark.parametrize(
    ("charge", "is_zero"),
    [
        ({"letters_one": 1, "letters_two": -1}, True),
        ({"letters_one": 0.3, "letters_two": -0.3}, True),
        ({"letters_one": 1, "shortness": 1}, True),
        ({"letters_one": 2, "letters_two": -1, "shortness": 1}, True),
        ({"letters_one": 1, "letters_two": 1}, False),
        ({"letters_one": 1, "letters_two": -0.5}, False),
        ({"letters_one": 4e-39, "letters_two": 4e-39}, False),
        ({"letters_one": 3e38, "letters_two": 3e38}, False),
        ({"letters_one": 3e38, "letters_two": -3e38}, True),
    ],
)
def test_equal_columns_that_cancel_have_no_error(
    surface: ResponseSurface, charge: dict[str, float], is_zero: bool
) -> None:
    view = surface.sell("hits", loss=charge)
    assert view.error_is_exact
    for name in "AB":
        errors = view.charged_measurement(name).standard_error
        assert bool((errors == 0).all()) == is_zero
        assert torch.equal(
            view.replicate(name).standard_error(view.finite_range().allocations).user_loss == 0,
            errors_of(view, name) == 0,
        )
    if not is_zero:  # the same column, its weights added up
        alone, size = surface.sell("hits", loss="letters_one"), abs(sum(charge.values()))
        torch.testing.assert_close(errors_of(view, "B") / size, errors_of(alone, "B"))


def errors_of(view: ResponseSurface, name: str) -> torch.Tensor:
    return view.replicate(name).standard_error(view.finite_range().allocations).user_loss


def test_the_error_of_a_sum_is_that_of_the_summed_column(run: Path, surface: ResponseSurface) -> None:
    """The oracle: Σ w · value of each reply, averaged, relative to the untouched mean, as one column of its own."""
    charge = {"kl": 40.0, "letters_one": -0.7, "shortness": 0.2}
    stored = StoredReplies.load(run / REPLIES_FILE)
    second = SecondPass(run / "oracle", stored, tuple(charge), fake_neurons(fake_model()), fake_model())
    values = second.run()
    kept = [stored.kept.replies[number] for number in second.numbers()]
    sign = {"kl": 1.0, "letters_one": 1.0, "shortness": -1.0}
    total = np.sum([charge[name] * sign[name] * np.array(values[name], float) for name in charge], axis=0)
    view = surface.sell("hits", loss=charge)
    listed = view.finite_range().allocations
    for context in range(2):
        own: dict[int, list[float]] = {}
        for reply, value in zip(kept, total, strict=True):
            if reply.replicate == "B" and reply.context == context:
                own.setdefault(reply.intervention, []).append(value)
        variances = {k: np.var(v, ddof=1) / len(v) for k, v in own.items()}
        expected = [0.0] + [np.sqrt(variances[k] + variances[0]) for k in range(1, len(listed))]
        where = torch.full((len(listed),), context)
        got = view.replicate("B").standard_error(listed, where).user_loss
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-4, atol=1e-9)
    bound = sum(abs(w) * surface.replicates["B"].losses[name].standard_error for name, w in charge.items())
    exact = view.charged_measurement("B").standard_error
    assert bool((exact <= bound * (1 + 1e-12)).all())
    assert float(exact.sum()) < 0.95 * float(bound.sum())


def test_an_unknown_pair_counts_as_the_worst(surface: ResponseSurface) -> None:
    one = surface.replicates["A"]
    errors = {name: item.standard_error for name, item in one.losses.items()}
    charges = Offer(("hits",), {"kl": 2.0, "letters_one": 0.5, "letters_two": -0.5}).charges
    exact = sum_error(charges, errors, one.covariances)
    known = {("letters_one", "letters_two"): one.covariances["letters_one", "letters_two"]}
    part = sum_error(charges, errors, known)
    worst = (2 * errors["kl"]).square() + 2 * (2 * errors["kl"]) * (
        0.5 * (errors["letters_one"] + errors["letters_two"])
    )
    torch.testing.assert_close(part, worst.sqrt())  # the letters cancel by themselves, and kl may move with either
    bound = sum_error(charges, errors, {})
    assert torch.equal(bound, 2.0 * errors["kl"] + 0.5 * errors["letters_one"] + 0.5 * errors["letters_two"])
    assert bool((exact <= part).all())
    assert bool((part <= bound * (1 + 1e-12)).all())


def test_covariance_of_means_over_different_replies() -> None:
    """n_ab σ_ab / (n_a n_b), each by a slow loop; a pair that shares no reply has none."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(2, 3, 12, generator=generator, dtype=torch.float64)
    b = a + torch.randn(2, 3, 12, generator=generator, dtype=torch.float64)
    a[:, 1, :5], b[:, 1, 8:] = torch.nan, torch.nan
    a[:, 2, :6], b[:, 2, 6:] = torch.nan, torch.nan
    readings = [reading("letters_one"), reading("shortness")]
    found = loss_covariances(readings, {"letters_one": a, "shortness": b})["letters_one", "shortness"]
    for context in range(2):
        cells = []
        for cell in range(3):
            x, y = a[context, cell].numpy(), b[context, cell].numpy()
            both = ~(np.isnan(x) | np.isnan(y))
            n, own = both.sum(), 0.0
            if n > 1:
                own = np.cov(x[both], y[both])[0, 1] * n / ((~np.isnan(x)).sum() * (~np.isnan(y)).sum())
            cells.append(own)
        np.testing.assert_allclose(found[context], [0.0, *(-(own + cells[0]) for own in cells[1:])], atol=1e-12)
    item = relative(readings[0], summarise(a))
    same = loss_covariances([readings[0], reading("letters_two")], {"letters_one": a, "letters_two": a})
    torch.testing.assert_close(same["letters_one", "letters_two"], item.standard_error.square())


def test_losses_read_later_have_covariances_with_those_whose_values_lie_beside(run: Path, tmp_path: Path) -> None:
    """`kl` read again gives its covariances with the others, and its own column stays that of the measurement."""
    model = fake_model()
    bare = measure(tmp_path / "bare", model, fake_neurons(model), fake_prompts(), SMALL)
    path = tmp_path / "surface.safetensors"
    bare.save(path)
    assert read_stored(path, ResponseSurface.file_format, 2).record  # one loss: the version of before says it
    stored = StoredReplies.load(tmp_path / "bare" / REPLIES_FILE)

    def read(*names: str) -> ResponseSurface:
        second = SecondPass(tmp_path / "values", stored, names, fake_neurons(model), model)
        write_side_file(
            readings_beside(path), ResponseSurface.load(path), stored, gather_values(second, second.run()), {}
        )
        return ResponseSurface.load(path)

    later = read("letters_one")
    alone = later.sell("hits", loss="letters_one")
    assert later.measured_pairs == ()
    assert not later.sell("hits", loss={"kl": 1, "letters_one": 1}).error_is_exact
    later = read("letters_two", "longest_word")
    assert later.sell("hits", loss={"letters_two": 1, "letters_one": -1}).error_is_exact
    assert bool(
        (
            later.sell("hits", loss={"letters_two": 1, "letters_one": -1}).charged_measurement("A").standard_error == 0
        ).all()
    )
    assert later.sell("hits", loss={"longest_word": 1, "letters_one": -1}).error_is_exact
    assert later.sell("hits", loss="letters_one").digest == alone.digest  # mechanisms saved on it go on
    assert later.sell("hits", loss="letters_one") == alone != later.sell("hits", loss="letters_two")
    both = {"kl": 1, "letters_one": 1}
    assert not later.sell("hits", loss=both).error_is_exact
    later = read("kl")
    view = later.sell("hits", loss=both)
    assert view.error_is_exact
    assert later.digest == bare.digest != view.digest
    for part in range(3):
        assert torch.equal(later.replicates["A"].losses["kl"][part], bare.replicates["A"].losses["kl"][part])
    measured = ResponseSurface.load(run / "surface.safetensors").sell("hits", loss=both)  # the same replies
    for name in "AB":
        torch.testing.assert_close(
            view.charged_measurement(name).standard_error,
            measured.charged_measurement(name).standard_error,
            rtol=1e-4,
            atol=1e-9,
        )
    again = tmp_path / "again.safetensors"
    later.save(again)
    assert again.read_bytes() == path.read_bytes()


def test_a_file_of_covariances_is_read_as_it_was_written_and_a_bent_one_refused(run: Path, tmp_path: Path) -> None:
    path = run / "surface.safetensors"
    surface = ResponseSurface.load(path)
    stored = read_stored(path, ResponseSurface.file_format, 3)
    assert stored.record["covariances"][0] == ["kl", "letters_one"]
    assert stored.arrays["A/covariance"].shape == (2, 4, 6)
    again = tmp_path / "surface.safetensors"
    surface.save(again)
    assert again.read_bytes() == path.read_bytes()
    arrays = dict(stored.arrays)
    bent = {
        "no larger than the product": (stored.record, {**arrays, "A/covariance": arrays["A/covariance"] + 1e3}),
        "finite": (stored.record, {**arrays, "A/covariance": arrays["A/covariance"] * torch.nan}),
        "must have 6 pairs": (stored.record, {**arrays, "A/covariance": arrays["A/covariance"][..., 1:]}),
        "lacks the tensor": (stored.record, {k: v for k, v in arrays.items() if k != "B/covariance"}),
        "different pairs of losses": ({**stored.record, "covariances": [["kl", "kl"]] * 6}, arrays),
        "are of two of": ({**stored.record, "covariances": [["kl", f"no{k}"] for k in range(6)]}, arrays),
    }
    for message, contents in bent.items():
        write_stored(again, Stored(*contents), ResponseSurface.file_format, 3)
        with pytest.raises(ValueError, match=message):
            ResponseSurface.load(again)


def test_a_side_file_has_no_arrays_without_a_reading(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "surface.safetensors"
    surface = ResponseSurface.load(run / "surface.safetensors")
    surface.save(path)
    stored = StoredReplies.load(run / REPLIES_FILE)
    second = SecondPass(tmp_path / "values", stored, ("length", "longest_word"))
    write_side_file(readings_beside(path), surface, stored, gather_values(second, second.run()), {})
    contents = read_stored(readings_beside(path), FORMAT, VERSION)
    assert contents.record["covariances"] == [["length", "longest_word"]]
    arrays = {**contents.arrays, "A/losses/other/mean": contents.arrays["A/losses/length/mean"].clone()}
    write_stored(readings_beside(path), Stored(contents.record, arrays), FORMAT, VERSION)
    with pytest.raises(ValueError, match="has the tensor 'A/losses/other/mean', which none of its readings has"):
        ResponseSurface.load(path)

"""What learned bids are worth, written: a JSON file, or tables in a run folder."""

import json
from pathlib import Path
from typing import Any

from auctionsim.experiments.running.run import write_table
from auctionsim.experiments.tables.bidder_scores import Evaluation, Mean, as_json
from auctionsim.files import write_text


def write_evaluation(out: Path, evaluation: Evaluation) -> Path:
    """Write an evaluation to a JSON file, or into a folder as evaluation.json and a table each of bidders and plays.

    Args:
        out: A file that ends in .json; anything else is a folder, such as the run's own.
        evaluation: The evaluation.
    Returns:
        The JSON file.
    """
    if out.suffix == ".json":
        write_text(out, json.dumps(as_json(evaluation), indent=2))
        return out
    write_table(out / "evaluation_bidders.parquet", [_flat({"bidder": i}, s) for i, s in enumerate(evaluation.bidders)])
    write_table(out / "evaluation_plays.parquet", [_flat({}, play) for play in evaluation.plays])
    return write_evaluation(out / "evaluation.json", evaluation)


def _flat(row: dict[str, Any], score: Any) -> dict[str, Any]:
    """Return a record's numbers as one row, a mean and the ends of its interval in columns of their own."""
    for name, value in score._asdict().items():
        if isinstance(value, Mean):
            row |= {name: value.value, f"{name}_low": value.interval.low, f"{name}_high": value.interval.high}
        else:
            row[name] = value
    return row

"""Blind sheets: what they hide, with which probabilities they are drawn, and what is refused when they come back."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from gold_fakes import change_rows, fill, is_bad, opened, write_small_sheet

from auctionsim.errors import AuctionsimError, ExistingFileError, InputError
from auctionsim.gold.filled_sheets import checked_labeller, labelled_rows, read_sheet
from auctionsim.gold.sheet_keys import key_beside, read_key
from auctionsim.gold.sheets import draw_sheet, instructions_beside
from auctionsim.signed_json import signed_json

Rows = list[dict[str, str]]


@pytest.fixture
def sheet(run: Path, tmp_path: Path) -> Path:
    write_small_sheet(run, tmp_path / "sheet.csv")
    return tmp_path / "sheet.csv"


def test_a_sheet_shows_prompt_and_reply_and_nothing_else(sheet: Path, run: Path) -> None:
    key, (_, stored) = read_key(key_beside(sheet)), opened(run)
    lines = sheet.read_text().splitlines()
    assert lines[0] == '"id","prompt","reply","bad","labeller"'
    assert len(lines) == 73
    assert [row.number for row in key.rows] != sorted(row.number for row in key.rows)
    for line, row in zip(lines[1:], key.rows, strict=True):
        reply = stored.reply(row.number)
        assert line == f'"{row.id}","{reply.prompt}","{reply.text}","","rule: loops"'
    assert "bad" in instructions_beside(sheet).read_text()


def test_strata_are_drawn_alike_and_probabilities_are_known(sheet: Path, run: Path) -> None:
    key, (_, stored) = read_key(key_beside(sheet)), opened(run)
    assert [stratum.drawn for stratum in key.strata] == [6] * 12
    assert sum(stratum.replies for stratum in key.strata) == len(stored.kept.replies)
    total = sum(1 / key.probability(row) for row in key.rows)
    assert total == pytest.approx(len(stored.kept.replies))
    assert {key.probability(row) for row in key.rows if row.dose > 0.7} == {6 / 36}


def test_every_reply_of_a_stratum_is_drawn_as_often(run: Path) -> None:
    measured, stored = opened(run)
    counts: Counter[int] = Counter()
    strata = {}
    for seed in range(60):
        key = draw_sheet("small", measured, stored, 36, seed)
        counts.update(row.number for row in key.rows)
        strata |= {row.number: key.probability(row) for row in key.rows}
    assert len(counts) > 0.9 * len(stored.kept.replies)
    for number, probability in strata.items():
        assert abs(counts[number] / 60 - probability) < 5 * (probability / 60) ** 0.5


def test_a_seed_draws_the_same_sheet_and_another_seed_another(run: Path, tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        write_small_sheet(run, tmp_path / f"{name}.csv", seed=seed)
    one, same, other = ((tmp_path / f"{name}.csv").read_bytes() for name in ("one", "same", "other"))
    assert one == same != other


@pytest.mark.parametrize("number", [11, 433])
def test_too_few_or_too_many_replies_are_refused(run: Path, number: int) -> None:
    with pytest.raises(InputError, match=f"12 at least, got {number}"):
        draw_sheet("small", *opened(run), number, 0)


def test_a_filled_sheet_is_never_written_over(sheet: Path, run: Path) -> None:
    write_small_sheet(run, sheet)  # nobody has begun it
    fill(sheet)
    before = sheet.read_bytes()
    with pytest.raises(ExistingFileError, match="has 72 labels"):
        write_small_sheet(run, sheet)
    assert sheet.read_bytes() == before


def test_neither_are_another_sheets_key_and_what_is_no_sheet(sheet: Path, run: Path) -> None:
    with pytest.raises(ExistingFileError, match="key of another sheet"):
        write_small_sheet(run, sheet, seed=1)
    sheet.write_text("my notes\n")
    with pytest.raises(ExistingFileError, match="no sheet of labels"):
        write_small_sheet(run, sheet)
    assert sheet.read_text() == "my notes\n"


def test_labels_come_back_with_who_gave_them(sheet: Path) -> None:
    fill(sheet)
    change_rows(sheet, lambda rows: [{**row, "labeller": "person:Ann"} for row in rows[:10]] + rows[10:])
    change_rows(sheet, lambda rows: rows[::-1])
    found = read_sheet(sheet)
    assert found.by_labeller == {"person: Ann": 10, "rule: loops": 62}
    assert (
        found.labelled_by
        == "72 labels: 10 by person: Ann, 62 by rule: loops. A model's or a rule's labels are not people's."
    )
    texts = {row["id"]: row["reply"] for row in rows_of(sheet)}
    assert all(label.bad == is_bad(texts[label.row.id]) for label in found.labels)


def test_people_alone_get_no_warning_and_nobody_is_undeclared(sheet: Path) -> None:
    fill(sheet)
    for labeller, said in (("person: Ann", "72 labels: 72 by person: Ann."), ("", "72 by undeclared. A model's")):
        change_rows(sheet, lambda rows, who=labeller: [{**row, "labeller": who} for row in rows])  # type: ignore[misc]
        assert said in read_sheet(sheet).labelled_by


def rows_of(sheet: Path) -> Rows:
    found: Rows = []
    change_rows(sheet, lambda rows: found.extend(rows) or rows)  # type: ignore[func-returns-value]
    return found


def test_rows_that_are_left_empty_count_as_left_so_by_chance(sheet: Path) -> None:
    fill(sheet)
    key = read_key(key_beside(sheet))
    first = [row.id for row in key.rows if row.stratum == 0][:3]
    change_rows(sheet, lambda rows: [{**row, "bad": "" if row["id"] in first else row["bad"]} for row in rows])
    found = read_sheet(sheet)
    assert found.blank == 3
    chance = {label.row.stratum: label.probability for label in found.labels}
    assert chance[0] == 3 / key.strata[0].replies
    assert chance[1] == 6 / key.strata[1].replies


def test_spreadsheets_marks_do_no_harm(sheet: Path) -> None:
    fill(sheet)
    plain = read_sheet(sheet).labels
    sheet.write_bytes(b"\xef\xbb\xbf" + sheet.read_bytes())
    change = sheet.read_bytes().replace(b"\r\n", b"\n")
    sheet.write_bytes(change)
    assert read_sheet(sheet).labels == plain


def test_a_sheet_of_json_lines_is_one_too(run: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.jsonl"
    write_small_sheet(run, sheet)
    rows = [json.loads(line) for line in sheet.read_text().splitlines()]
    assert {row["bad"] for row in rows} == {None}
    sheet.write_text("".join(json.dumps({**row, "bad": is_bad(row["reply"])}) + "\n" for row in rows))
    found = read_sheet(sheet)
    assert sum(label.bad for label in found.labels) == sum(is_bad(row["reply"]) for row in rows) > 0


BROKEN: dict[str, Callable[[Rows], Rows]] = {
    "no row is filled in": lambda rows: [{**row, "bad": ""} for row in rows],
    "row 1: bad must be 1 .bad., 0 .good. or empty, got 'maybe'": lambda rows: [{**rows[0], "bad": "maybe"}, *rows[1:]],
    "row 2: the reply 'r0' is not one that was drawn": lambda rows: [rows[0], {**rows[1], "id": "r0"}, *rows[2:]],
    "row 73: the reply .* has two rows": lambda rows: [*rows, rows[0]],
    "row 1: .* shows another prompt or reply": lambda rows: [{**rows[0], "reply": rows[1]["reply"] + "!"}, *rows[1:]],
    "row 1: a labeller is one of 'person: NAME'": lambda rows: [{**rows[0], "labeller": "Ann"}, *rows[1:]],
    "lacks the column 'bad'": lambda rows: [{"id": row["id"]} for row in rows],
    "lacks the column 'prompt'": lambda rows: [{k: v for k, v in row.items() if k != "prompt"} for row in rows],
    "has no rows": lambda rows: [],
}


@pytest.mark.parametrize("message", BROKEN)
def test_what_is_wrong_with_a_sheet_is_said_in_one_sentence(sheet: Path, message: str) -> None:
    fill(sheet)
    change_rows(sheet, BROKEN[message])
    with pytest.raises(InputError, match=message) as refusal:
        read_sheet(sheet)
    assert str(sheet) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_key_that_is_missing_damaged_or_at_odds_is_refused(sheet: Path) -> None:
    fill(sheet)
    key = key_beside(sheet)
    whole = json.loads(key.read_text())
    del whole["sha256"]
    for change, message in (
        ({"rows": whole["rows"][1:]}, "strata count other rows"),
        ({"rows": [*whole["rows"][1:], whole["rows"][1]]}, "a reply of its own"),
        ({"format": "x"}, "no file of"),
        ({"seed": -1}, "seed"),
    ):
        key.write_text(signed_json({**whole, **change}))
        with pytest.raises(InputError, match=message):
            read_sheet(sheet)
    key.write_text(json.dumps({**whole, "sha256": "0"}))
    with pytest.raises(InputError, match="checksum"):
        read_sheet(sheet)
    key.unlink()
    with pytest.raises(AuctionsimError, match="the key of the sheet is missing"):
        read_sheet(sheet)


def test_a_sheet_has_one_of_two_endings(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in \.csv or \.jsonl"):
        write_small_sheet(run, tmp_path / "sheet.txt")


@pytest.mark.parametrize("text", ["Ann", "robot: x", "person:", "person: a\nb", "rule: " + "x" * 80])
def test_a_labeller_of_no_kind_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="a labeller is one of"):
        checked_labeller(text)


def test_rows_with_any_label_count_as_begun(sheet: Path) -> None:
    assert labelled_rows(sheet) == 0
    change_rows(sheet, lambda rows: [{**rows[0], "bad": "?"}, *rows[1:]])
    assert labelled_rows(sheet) == 1

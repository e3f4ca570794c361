"""The gate: what a score must show on gold labels before it may feed a loss.

1. At least 60 labels: the good replies and the bad ones of the kind of failure that the score is for.
2. The lower 95 % end of the AUC is above .6. Draws are prompts. Unscored replies count against the score: the bad ones
   as better than all, the good ones as worse.
3. A judge that compares two slots: its position bias is below its median margin. One that shows no log odds fails.
4. No attack moves a bad reply by half the distance between the good and the bad mean: for each attack, the upper 95 %
   end of the mean movement over bad replies is below half that distance. A reply that it makes unscored has moved the
   whole distance. Beside it stands the share of single replies that move so far.

A score is judged on the kind of failure that it is for. A share of words that finds loops need not find drift; what is
made of several scores must pass on all kinds together.
"""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from auctionsim.errors import InputError
from auctionsim.readings.protocol import HIGHER, LOWER, Reading, Unscored, Value
from auctionsim.trust.agreement import FEWEST, IntervalEstimate, auc
from auctionsim.trust.attacks import Attack
from auctionsim.trust.biases import PositionBias, mean_estimate
from auctionsim.trust.candidates import sample_of
from auctionsim.trust.labels import FAILURES, GOOD, GoldLabels
from auctionsim.trust.scores import LabelScores, ScoreStore, compares_slots, position_of, score_labels

FEWEST_LABELS, LOWEST_AUC, MOST_MOVEMENT = 60, 0.6, 0.5
"""The bounds of the rules."""
ALL = "all"
"""All kinds of failure together."""
GATE_KINDS = (*FAILURES, ALL)


_POSITION = "the position bias is below the median margin"


class GateRule(NamedTuple):
    """A rule of the gate and what was measured.

    Attributes:
        rule: What is wanted.
        value: What was measured; None where it could not be.
        bound: The end that may not be reached.
        passed: Whether it holds.
    """

    rule: str
    value: float | None
    bound: float
    passed: bool


class AttackEffect(NamedTuple):
    """Effect of an attack on the scores of bad replies.

    Attributes:
        attack: Its name.
        movement: Mean movement towards the good mean, as a share of the distance from the bad to the good mean.
        far_share: Share of single replies that move half the distance, or are no longer scored.
        num_replies: That it was tried on.
    """

    attack: str
    movement: IntervalEstimate
    far_share: float
    num_replies: int


@dataclass(frozen=True)
class GateReport:
    """Report of the gate: a score's numbers on gold labels, and whether it may feed a loss.

    Attributes:
        reading: Name.
        basis: What its values rest on beside its code; "" for nothing.
        better: Which way is good, `LOWER` or `HIGHER`.
        kind: Of the bad replies: a kind of failure, or "all".
        labels: SHA-256 of the file of labels.
        num_good: Good replies that were scored.
        num_bad: Bad ones of the kind.
        num_unscored: Replies among them without a score; they count against it in the rule on the AUC alone.
        good_mean: Mean score of the good.
        bad_mean: Mean score of the bad.
        auc: Of the replies that are scored; None where there are too few labels.
        position: None where the score has no slots.
        attacks: Effects of the battery.
        rules: All of them, in order.
    """

    reading: str
    basis: str
    better: str
    kind: str
    labels: str
    num_good: int
    num_bad: int
    num_unscored: int
    good_mean: float
    bad_mean: float
    auc: IntervalEstimate | None
    position: PositionBias | None
    attacks: tuple[AttackEffect, ...]
    rules: tuple[GateRule, ...]

    @property
    def passed(self) -> bool:
        """Whether every rule holds."""
        return all(rule.passed for rule in self.rules)

    @property
    def failure(self) -> str:
        """The rules that do not hold, with their numbers; "" where all do."""
        return "; ".join(
            f"{rule.rule} (measured {'nothing' if rule.value is None else f'{rule.value:.3g}'}, bound {rule.bound:.3g})"
            for rule in self.rules
            if not rule.passed
        )

    @property
    def worst_attack(self) -> AttackEffect | None:
        """The attack with the highest upper end of its movement."""
        return max(self.attacks, key=lambda effect: effect.movement.high, default=None)

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        plain = dataclasses.asdict(self)
        plain["rules"] = [rule._asdict() for rule in self.rules]
        plain["attacks"] = [{**one._asdict(), "movement": one.movement._asdict()} for one in self.attacks]
        plain["auc"] = self.auc and self.auc._asdict()
        plain["position"] = self.position and {**self.position._asdict(), "bias": self.position.bias._asdict()}
        text = json.dumps({**plain, "passed": self.passed})
        return dict(json.loads(text, parse_constant=lambda _: None))  # an end that is not finite excludes nothing

    @property
    def digest(self) -> str:
        """16 hex digits that name the report."""
        return hashlib.sha256(json.dumps(self.as_json(), sort_keys=True).encode()).hexdigest()[:16]


def gate(
    one: Reading,
    labels: GoldLabels,
    better: str,
    kind: str = ALL,
    store: ScoreStore | None = None,
    position: PositionBias | None = None,
    attacks: Sequence[Attack] | None = None,
) -> GateReport:
    """Hold a score against gold labels.

    Args:
        one: A reading of texts, or of texts beside references.
        labels: The labelled replies.
        better: `LOWER` or `HIGHER`: which way the score is good. It is not read off the labels.
        kind: Of failure that the score is for, or "all".
        store: Where scores are kept; None: nowhere.
        position: Of a judge that compares two slots, from its logits in both orders; None: as `judged_position` has it.
        attacks: None: the battery.
    Raises:
        ValueError: Another direction or kind, or no labels.
        NotImplementedError: A reading that cannot be taken of labelled texts.
    """
    scores = score_labels(one, labels.labels, store, attacks, sample_of(one.name))
    position = position or position_of(one, labels.labels, store, sample_of(one.name))
    return report_of(one, scores, labels.digest, better, kind, position)


def report_of(
    one: Reading,
    scores: LabelScores,
    labels_digest: str,
    better: str,
    kind: str = ALL,
    position: PositionBias | None = None,
) -> GateReport:
    """Return the gate's report of scores that are there already, see `gate`."""
    if better not in (LOWER, HIGHER) or kind not in GATE_KINDS:
        rule = f"{LOWER!r} or {HIGHER!r}, and a kind one of {', '.join(GATE_KINDS)}"
        raise InputError(f"a score is good one way, {rule}; got {better!r} and {kind!r}")
    sign = 1.0 if better == LOWER else -1.0
    wanted = [k for k, label in enumerate(scores.labels) if kind == ALL or label.kind in (GOOD, kind)]
    scored = {k: sign * _number(value) for k in wanted if not isinstance(value := scores.values[k], Unscored)}
    bad = np.array([scores.labels[k].bad for k in scored], dtype=bool)
    values = np.array(list(scored.values()), dtype=np.float64)
    num_bad = int(bad.sum())
    num_good = len(values) - num_bad
    good_mean = float(values[~bad].mean()) if num_good else float("nan")
    bad_mean = float(values[bad].mean()) if num_bad else float("nan")
    enough = min(num_good, num_bad) >= FEWEST
    prompts = [(scores.labels[k].category, scores.labels[k].prompt) for k in scored]
    found = auc(values, bad, prompts) if enough else None
    held = auc(*_counted_against(scores, wanted, scored)) if found and len(scored) < len(wanted) else found
    distance = bad_mean - good_mean
    effects = _effects(scores, scored, sign, distance) if enough and distance > 0 else ()
    basis = "" if one.basis is None else one.basis()
    return GateReport(
        reading=one.name,
        basis=basis,
        better=better,
        kind=kind,
        labels=labels_digest,
        num_good=num_good,
        num_bad=num_bad,
        num_unscored=len(wanted) - len(scored),
        good_mean=0.0 if not num_good else sign * good_mean,
        bad_mean=0.0 if not num_bad else sign * bad_mean,
        auc=found,
        position=position,
        attacks=effects,
        rules=_rules(len(values), held, len(scored) < len(wanted), position, effects, compares_slots(one)),
    )


def _counted_against(
    scores: LabelScores, wanted: Sequence[int], scored: dict[int, float]
) -> tuple[np.ndarray, np.ndarray, list[tuple[str, str]]]:
    """Return scores, labels and prompts of all replies: a bad one without a score as the best, a good one as the worst.

    Else a score would pass by its silence on what it cannot tell.
    """
    low, high = min(scored.values()) - 1, max(scored.values()) + 1
    labels = [scores.labels[k] for k in wanted]
    values = [scored.get(k, low if label.bad else high) for k, label in zip(wanted, labels, strict=True)]
    bad = np.array([label.bad for label in labels])
    return np.array(values), bad, [(label.category, label.prompt) for label in labels]


def _number(value: Value) -> float:
    if isinstance(value, float | int):
        return float(value)
    raise InputError(f"a score of a reply is one number, got {value!r}")


def _effects(scores: LabelScores, scored: dict[int, float], sign: float, distance: float) -> tuple[AttackEffect, ...]:
    """Return what each attack does to the bad replies that are scored as they are."""
    effects = []
    for attack, values in scores.attacked.items():
        there = {k: value for k, value in values.items() if k in scored}
        moved = {
            k: 1.0 if isinstance(value, Unscored) else (scored[k] - sign * _number(value)) / distance
            for k, value in there.items()
        }
        far = sum(share >= MOST_MOVEMENT for share in moved.values())
        prompts = [(scores.labels[k].category, scores.labels[k].prompt) for k in moved]
        if len(set(prompts)) > 1:
            mean = mean_estimate(np.array(list(moved.values())), prompts)
        else:  # too few prompts show no variance: nothing is excluded
            mean = IntervalEstimate(float(np.mean(list(moved.values()))) if moved else 1.0, -np.inf, np.inf)
        effects.append(AttackEffect(attack, mean, far / len(there) if there else 1.0, len(there)))
    return tuple(effects)


def _rules(
    count: int,
    found: IntervalEstimate | None,
    some_unscored: bool,
    position: PositionBias | None,
    effects: tuple[AttackEffect, ...],
    slots: bool,
) -> tuple[GateRule, ...]:
    low = None if found is None else found.low
    against = ", the unscored counted against it" if some_unscored else ""
    rules = [
        GateRule(f"at least {FEWEST_LABELS} labels are scored", count, FEWEST_LABELS, count >= FEWEST_LABELS),
        GateRule(
            f"the lower 95 % end of the AUC is above {LOWEST_AUC:g}{against}",
            low,
            LOWEST_AUC,
            low is not None and low > LOWEST_AUC,
        ),
    ]
    if position is not None:
        bias, margin = abs(position.bias.value), position.median_margin
        rules.append(GateRule(_POSITION, bias, margin, bias < margin))
    elif slots:
        rules.append(GateRule(_POSITION, None, 0.0, passed=False))
    worst = max((effect.movement.high for effect in effects), default=None)
    names = [effect.attack for effect in effects if effect.movement.high == worst]
    rules.append(
        GateRule(
            f"no attack moves a bad reply by half the distance to the good mean{f': {names[0]}' if names else ''}",
            worst if worst is None or np.isfinite(worst) else None,
            MOST_MOVEMENT,
            worst is not None and worst < MOST_MOVEMENT,
        )
    )
    return tuple(rules)

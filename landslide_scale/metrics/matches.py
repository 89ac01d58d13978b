"""What of the truth was found, and what of the prediction is right, counted apart.

Where truth and prediction are matched with tolerance, or object by object, there is no one number of true positives: a
prediction may find two landslides, or a landslide be found by two. So both sides are counted, each in its own units.
"""

from __future__ import annotations

from dataclasses import dataclass

from landslide_scale.metrics.confusion import Scores, ratio


@dataclass(frozen=True, kw_only=True)
class Matches:
    """Whole numbers of pixels, border pixels or objects.

    Attributes:
        truth: That are landslide.
        found: Of these, those that the prediction meets.
        predicted: That are predicted landslide.
        correct: Of these, those that meet the truth.
    """

    truth: int = 0
    found: int = 0
    predicted: int = 0
    correct: int = 0

    def __add__(self, other: Matches) -> Matches:
        return Matches(
            truth=self.truth + other.truth,
            found=self.found + other.found,
            predicted=self.predicted + other.predicted,
            correct=self.correct + other.correct,
        )

    @property
    def scores(self) -> Scores:
        """Recall is found / truth, precision correct / predicted, F1 their harmonic mean, IoU F1 / (2 - F1).

        The last is what IoU is for every confusion matrix, so without tolerance all four are those of
        :class:`Confusion`. As there, F1 and IoU are 0 where one side is empty and nothing is met, and ``nan`` where
        both are empty. They are ``nan``, too, where one side is empty and the other is met: a size class of which
        nothing was predicted, although objects of another class found its landslides.
        """
        # P = correct / predicted and R = found / truth, written so that whole numbers are divided once.
        both = self.correct * self.found
        either = self.correct * self.truth + self.found * self.predicted
        if not self.found and not self.correct:
            either = self.truth + self.predicted
        return Scores(
            precision=ratio(self.correct, self.predicted),
            recall=ratio(self.found, self.truth),
            f1=ratio(2 * both, either),
            iou=ratio(both, either - both),
        )

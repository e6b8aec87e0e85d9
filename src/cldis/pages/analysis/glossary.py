"""The words of the page that need an explanation."""

from __future__ import annotations

from cldis.pages.analysis.dependence import PERMUTATIONS
from cldis.pages.analysis.outliers import SAME_PIXELS
from cldis.training.health import ACTIVE

TERMS: dict[str, tuple[str, str]] = {
    "unit": ("unit", "One of the numbers that the encoder makes of a picture."),
    "pixel_share": (
        "share of the pixels' variation",
        "How much of the variance of all pixels goes along with this unit: photos are sorted by it "
        "into ten equal groups, and the spread between the groups' mean pictures is compared with "
        "the spread of all photos (correlation ratio, corrected for chance by Kelley's formula). "
        "Units that go together share what they explain: shares may sum to more than 100 %.",
    ),
    "code_share": (
        "share of the code",
        "The variance of this unit over the photos, divided by the sum of all units' variances.",
    ),
    "active": (
        "active",
        f"The unit's variance over photos is above {ACTIVE:g} (Burda et al. 2016).",
    ),
    "nats": (
        "nats",
        "Information: how far, on average, what the unit says of a photo lies from what it says "
        "before seeing any (KL divergence from N(0, 1)). 0.69 nats are one yes-or-no answer.",
    ),
    "strip": (
        "moved by the model",
        "The decoder draws one photo of the collection again and again with only this unit moved, "
        "by standard deviations of this collection.",
    ),
    "averages": (
        "mean photo of each tenth",
        "The real photos, sorted by the unit into ten groups, averaged. What stays sharp is what "
        "the photos of a group have in common.",
    ),
    "balanced": (
        "balanced accuracy",
        "How many of the photos of a class are recognised, averaged over classes, so that rare "
        "classes count as much as frequent ones.",
    ),
    "r2": (
        "R²",
        "How much of the variance of a number is predicted on test photos: 1 is perfect, 0 is as "
        "good as always guessing the mean, below 0 is worse.",
    ),
    "linear": (
        "linear probe",
        "The simplest reader of a code: a weighted sum of its numbers per class (ridge "
        "regression). It shows what lies open in the code.",
    ),
    "knn": (
        "nearest neighbours",
        "A photo gets the label of the labelled photos whose codes are nearest. It shows whether "
        "like is near like.",
    ),
    "interval": (
        "95 % interval",
        "Up to 100 labels: over ten draws of the labelled photos, the same for all codes. All "
        "labels: over bootstrap samples of the test photos. It does not cover another training of "
        "the model.",
    ),
    "information": (
        "share of the label's information",
        "Mutual information of unit and label, from what shuffled labels give (0 %) to all there "
        "is to know of the label (100 %). Any kind of relation counts, not only straight ones.",
    ),
    "floor": (
        "floor",
        f"The labels were shuffled {PERMUTATIONS} times. In 95 % of the shuffles, no unit at all "
        "reached this share. What lies below may be chance.",
    ),
    "cramer": (
        "Cramér's V",
        "How far two labels go together, 0 to 1, corrected for chance (Bergsma 2013).",
    ),
    "mahalanobis": (
        "distance",
        "Mahalanobis distance of the code from the middle of the collection: in standard "
        "deviations, with regard to how the units go together (covariance after Ledoit & Wolf).",
    ),
    "duplicate": (
        "near-duplicate",
        "The codes lie closer than those of usual nearest neighbours, and the pixels differ by at "
        f"most {SAME_PIXELS:g} grey levels of 255 (root mean square).",
    ),
    "cohen": (
        "Cohen's d",
        "The difference of the two means in pooled standard deviations. 0.2 is called small, 0.5 "
        "medium, 0.8 large.",
    ),
    "cliff": (
        "Cliff's δ",
        "Take one photo of each collection at random: how much more often the second one's value "
        "is the higher, −1 to +1. It needs no assumption on the shape of the distributions.",
    ),
    "holm": (
        "p",
        "How surprising such a shift would be between two samples of one collection (Mann-Whitney "
        "test), corrected for looking at all units at once (Holm's method).",
    ),
}

"""What the numbers of an analysis say, in sentences."""

from __future__ import annotations

from typing import Any

from cldis.text import number, percent

LARGE, MEDIUM, SMALL = 0.8, 0.5, 0.2  # Cohen's d


def findings(numbers: dict[str, Any]) -> list[str]:
    """What a reader should know first, each in a sentence or two."""
    return [
        sentence
        for sentence in (
            variation(numbers),
            discrimination(numbers),
            carriers(numbers),
            oddities(numbers),
            drift(numbers),
        )
        if sentence
    ]


def variation(numbers: dict[str, Any]) -> str:
    rows = [numbers["units"][unit] for unit in numbers["looked_at"]]
    if not rows:
        return "No unit of the code varies over these photos: the code is dead."
    active = sum(row["active"] for row in numbers["units"])
    first = max(rows, key=lambda row: row["change"])
    return (
        f"{active} of {len(numbers['units'])} units vary over these photos; unit {first['unit']} "
        f"moves the picture most, by {number(first['change'], 2)} of 255 grey levels on average at "
        f"±2 standard deviations."
    )


def discrimination(numbers: dict[str, Any]) -> str:
    """The first label: this run's code beside the best other one, with all labels."""
    probed = numbers["probes"]
    if not probed["columns"]:
        return ""
    name, column = next(iter(probed["columns"].items()))
    scores = [curve["linear"][-1]["score"] for curve in column["curves"]]
    codes = probed["codes"]
    others = [k for k in range(1, len(codes)) if not codes[k]["name"].startswith("this run")]
    best = max(others, key=lambda k: scores[k])
    kind = next(item["kind"] for item in numbers["labels"]["columns"] if item["name"] == name)
    return (
        f"From the {codes[0]['dimensions']} numbers of {codes[0]['name']}, a linear probe reads "
        f"{name} with {score_words(scores[0], kind)} (guessing: "
        f"{score_words(column['chance'], kind)}); the best other code, {codes[best]['name']} with "
        f"{number(codes[best]['dimensions'])} numbers, gives {score_words(scores[best], kind)}."
    )


def carriers(numbers: dict[str, Any]) -> str:
    """The unit that says most of any label."""
    shares = [
        (share, unit, name)
        for name, item in numbers["information"].items()
        for unit, share in zip(numbers["looked_at"], item["share"], strict=True)
        if share > item["floor"]
    ]
    if not numbers["information"]:
        return ""
    if not shares:
        return "No single unit says more of a label than chance would."
    share, unit, name = max(shares)
    return (
        f"Of all units, unit {unit} says most of a label: {percent(share)} of the information of "
        f"{name}."
    )


def oddities(numbers: dict[str, Any]) -> str:
    if numbers["outliers"] is None:
        return ""
    beyond, pairs = numbers["outliers"]["beyond"], numbers["duplicates"]["pairs"]
    by_chance = number(round(numbers["outliers"]["expected"]))
    return (
        f"{number(beyond)} {'photo lies' if beyond == 1 else 'photos lie'} far from the others "
        f"(about {by_chance} would by chance), and {number(pairs)} "
        f"{'pair is' if pairs == 1 else 'pairs are'} nearly the same."
    )


def drift(numbers: dict[str, Any]) -> str:
    if "compare" not in numbers or not numbers["compare"]["units"]:
        return ""
    rows = numbers["compare"]["units"]
    shifted = [row for row in rows if row["shifted"]]
    name = numbers["compare"]["data"]["name"]
    if not shifted:
        return f"No unit shifts surely between the two collections ({name} is the second)."
    first = shifted[0]
    return (
        f"{len(shifted)} of {len(rows)} units shift surely in {name}, most of all unit "
        f"{first['unit']} by {number(abs(first['d']), 2)} standard deviations "
        f"({'higher' if first['d'] > 0 else 'lower'}, {size_words(first['d'])})."
    )


def size_words(d: float) -> str:
    """Cohen's own words for a d."""
    size = abs(d)
    if size >= LARGE:
        return "large"
    return "medium" if size >= MEDIUM else "small" if size >= SMALL else "tiny"


def score_words(value: float, kind: str) -> str:
    """71 % for classes, R² .34 for numbers."""
    return percent(value) if kind == "category" else f"R² {value:.2f}".replace("-", "−")

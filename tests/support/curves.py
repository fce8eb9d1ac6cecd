"""Rows of curves over training steps."""


def curve_rows(*names: str) -> list[dict[str, str]]:
    """Rows of two labels and two training seeds, which were measured at the steps 1, 2 and 3 or 4, as read from CSV."""
    return [
        {"model": label, "label": label, "seed": str(seed), "step": str(step)}
        | dict.fromkeys(names, str(1 + seed + 1 / step))
        for label in ("hrssm", "rssm")
        for seed in (0, 1)
        for step in (1, 2, 3 + seed)
    ]

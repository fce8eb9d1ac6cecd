"""The numbers of Zakharov et al. 2022, *Long-horizon video prediction using a dynamic latent hierarchy*.

VTA goes by our name, hrssm. Standard deviations are as the paper writes them; a star in its Table 1 means "<5%".
"""

from __future__ import annotations

from typing import NamedTuple


class Published(NamedTuple):
    """A number in the paper."""

    value: float
    deviation: str | None = None


STAR = "<5%"


def _levels(*kl: float) -> dict[str, Published]:
    """The divergence of each level, from level 1 up."""
    return {f"kl_{level}": Published(value) for level, value in enumerate(kl, 1)}


PREDICTION: dict[str, dict[str, dict[str, Published]]] = {
    "moving-mnist": {
        "dlh": {"ssim": Published(0.78, STAR), "psnr": Published(15.7, STAR)},
        "cwvae": {"ssim": Published(0.68, STAR), "psnr": Published(13.11, STAR)},
        "hrssm": {"ssim": Published(0.58), "psnr": Published(12.18)},
        "lmc-memory": {"ssim": Published(0.75, STAR), "psnr": Published(13.73, STAR)},
    },
    "kth": {
        "dlh": {"ssim": Published(0.84, STAR), "psnr": Published(24.7)},
        "cwvae": {"ssim": Published(0.80), "psnr": Published(22.0)},
        "hrssm": {"ssim": Published(0.77), "psnr": Published(22.41)},
        "lmc-memory": {"ssim": Published(0.83, STAR), "psnr": Published(23.44)},
    },
    "dml-mazes": {
        "dlh": {"ssim": Published(0.59), "psnr": Published(14.3)},
        "cwvae": {"ssim": Published(0.44), "psnr": Published(13.71, STAR)},
        "hrssm": {"ssim": Published(0.55), "psnr": Published(13.51, STAR)},
    },
}
"""Table 1, by data set, model and metric"""

PARAMETERS = {"dlh": 7e6, "cwvae": 12e6, "hrssm": 3e6, "lmc-memory": 34e6}
"""given below Table 1"""

LEVELS: dict[int, dict[str, Published]] = {
    2: {"levels_used": Published(1.22, "0.05"), "kl": Published(41.9, "0.3"), **_levels(35.1, 6.8)},
    3: {"levels_used": Published(1.24, "0.05"), "kl": Published(42.8, "1.1"), **_levels(34.7, 7.8, 0.3)},
    4: {"levels_used": Published(1.32, "0.12"), "kl": Published(41.1, "1.0"), **_levels(34.3, 6.5, 0.2, 0.1)},
    5: {"levels_used": Published(1.38, "0.07"), "kl": Published(43.1, "2.1"), **_levels(36.1, 6.6, 0.1, 0.1, 0.2)},
}
"""Tables 2 and 5, by the model's number of levels"""

CHANCES: dict[float, dict[str, Published]] = {
    0.0: {"p_change": Published(0.97, "0.01"), "p_static": Published(0.007, "0.003")},
    0.1: {"p_change": Published(0.82, "0.02"), "p_static": Published(0.074, "0.007")},
    0.3: {"p_change": Published(0.73, "0.02"), "p_static": Published(0.167, "0.011")},
}
"""Table 3, by lambda"""

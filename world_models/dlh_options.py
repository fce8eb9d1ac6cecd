"""What a DLH can be told: sizes (Table 4 and smaller ones), options with the paper's values, and ours (LOG, 15)."""

from dataclasses import dataclass

from world_models.blocks.networks import FrameSizes
from world_models.interface import ACTIONS
from world_models.options import check_context


@dataclass(frozen=True)
class DLHSizes(FrameSizes):
    """Sizes of a DLH's networks: what `--preset` chooses. The embedding is |x|, of every level."""

    belief: int
    """|d| = |c|: temporal and top-down variables, units of the networks that make them"""
    state: int
    """|s|: a level's state"""
    hidden: int
    """units of the three layers of posterior and prior"""


QUICK = DLHSizes(images="patch", channels=32, embedding=128, belief=128, state=12, hidden=40)
# Table 4. The paper tells no channels: with 192 a three-level DLH for 64 x 64 frames has its 7 million parameters.
PAPER = DLHSizes(images="convolution", channels=192, embedding=200, belief=200, state=20, hidden=40)
SIZES = {"quick": QUICK, "paper": PAPER}


@dataclass(frozen=True)
class DLHOptions:
    """What `--variant` chooses. The defaults are the paper's."""

    levels: int = 3
    """N: levels of the hierarchy, 2 or more; the paper has 2 for Moving Ball and 3 elsewhere"""
    window: int = 100
    """T: frames of the evidence lower bound"""
    context: int = 30
    """frames that are shown before an open-loop prediction, fewer than `window`; training does not look at it"""
    sigma: float = 1.0
    """deviation of the Gaussian likelihood in [-1, 1]; chosen for each data set, the paper tells none"""
    kl_steps: int = 10_000
    """steps over which the weight of both divergences rises to 1"""
    hold: float = 0.0
    """share of the frames, drawn anew in every step, in which a level above 1 is held at first: e = 0 is given there;
    falls linearly to 0. A level that follows what moves pays for it where it is held, one that says what persists does
    not. The paper holds none"""
    hold_steps: int = 2000
    """training steps over which it falls"""
    factor_sees_below: bool = False
    """the prior factor of e^n also reads d^{n-1}, which knows where things are; the paper: d^n alone"""
    vade: bool = False
    """q(e) is Eq. 34 (VaDE), from which the change is drawn, instead of the likelier component (Eq. 4)"""
    dequantise: bool = False
    """add uniform noise within the 5-bit steps of the images while training"""
    temporal_sees_actions: bool = True
    """change priors and prior factors read the action before the frame; a video has none"""
    jump_level: int = 2
    """the level whose change is one imagined transition, counted from 1: what goals are compared with"""

    def __post_init__(self) -> None:
        """Refuse what makes no hierarchy."""
        if self.levels < 2:
            raise ValueError(f"option levels must be 2 or more, got {self.levels}: one level is a rssm")
        if self.jump_level > self.levels:
            raise ValueError(f"option jump_level must be one of the {self.levels} levels, got {self.jump_level}")
        if not 0 <= self.hold <= 1:
            raise ValueError(f"option hold must be from 0 to 1, got {self.hold:g}")
        if self.vade and self.factor_sees_below:
            raise ValueError(
                "options vade and factor_sees_below exclude each other: levels are chosen before level 1 is known"
            )
        check_context(self.context, self.window)


OURS = DLHOptions(kl_steps=500, hold=0.6, factor_sees_below=True)
VARIANTS = {"paper": DLHOptions(), "ours": OURS}


@dataclass(frozen=True)
class DLHConfig:
    """Everything that defines a DLH."""

    sizes: DLHSizes
    options: DLHOptions
    frame_size: int = 32
    actions: int = ACTIONS
    """0 for videos, which have neither actions nor goals"""

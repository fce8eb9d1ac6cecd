"""Sizes of the DLH (Table 4 and smaller ones), options with the paper's values, and ours, for mazes.

For videos `ours` is the same recipe: what needs actions does nothing there, and the command line gives what depends on
the data, `levels`, `window`, `sigma`, and `hold_steps`, half of the training steps (experiments/LOG.md, 15 and 30).
"""

from dataclasses import dataclass
from typing import Annotated

from world_models.blocks.networks import FrameSizes
from world_models.options import Domain, MayBeZero, Options, Positive, Share, check_context


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
# Table 4. The paper does not give channels: with 192, three levels and 64 x 64 frames make its 7 million parameters.
PAPER = DLHSizes(images="convolution", channels=192, embedding=200, belief=200, state=20, hidden=40)
SIZES = {"quick": QUICK, "paper": PAPER, "million": QUICK}


@dataclass(frozen=True)
class DLHOptions(Options):
    """What `--variant` chooses. The defaults are the paper's."""

    levels: Annotated[int, Domain(2, 16)] = 3
    """N: levels of the hierarchy; the paper has 2 for Moving Ball and 3 elsewhere"""
    window: int = 100
    """T: frames of the evidence lower bound"""
    context: int = 30
    """frames shown before an open-loop prediction, fewer than `window`; not used in training"""
    sigma: Positive = 1.0
    """standard deviation of the Gaussian likelihood; chosen for each data set, the paper gives none"""
    kl_steps: int = 10_000
    """steps over which the weight of both divergences rises to 1"""
    hold: Share = 0.0
    """initial share of the frames, resampled in every step, in which a level above 1 is held: e = 0 is given there. A
    level that encodes what moves pays for it where it is held, one that encodes what persists does not. 0: the paper"""
    hold_steps: int = 2000
    """training steps over which `hold` falls linearly to 0; half of a training has done well everywhere"""
    factor_sees_below: bool = False
    """the prior factor of e^n also reads d^{n-1}, which knows where things are; the paper: d^n alone"""
    dequantise: bool = False
    """add uniform noise within the 5-bit steps of the images while training"""
    temporal_sees_actions: bool = True
    """change priors and prior factors read the action before the frame"""
    jump_level: int = 2
    """the level whose change is one imagined transition, counted from 1: what goals are compared with"""
    features_remember: bool = False
    """the features of the levels above 1 are those of a GRU over the frames so far and the actions between them, so
    that a level that changes where something is chosen knows what there is to choose from; the paper: of one frame.
    This and all options below need actions: with videos they do nothing"""
    fresh_belief: bool = False
    """d^n of the levels above 1 is read from their features where a sequence begins (the paper leaves it open: 0), and
    a belief's levels from `jump_level` up begin anew at its last frame, so that plans start from all that was seen"""
    action_weight: float | None = None
    """weight of the negative log-likelihood of actions given the frames before them, x^2; None: they are not predicted.
    An action that surprises was a choice"""
    foreseen_nats: float = 0.3
    """surprise of an action, in nats, that makes it a choice: less than that of one of two, more than that of an action
    that the frames foretell (with `action_weight`)"""
    surprise_weight: float = 0.0
    """weight of what a surprise exceeds `foreseen_nats` by in the log-odds of Eq. 4 of level `jump_level`, so that it
    changes after choices (with `action_weight`); 0: the paper"""
    imagination_weight: float | None = None
    """weight of InfoNCE on imagined chains of changes, one at each choice (so it needs `action_weight`); None: the
    cosine loss of Kim et al. 2019 on posterior states"""
    lookahead: MayBeZero = 8
    """frames after a context within which a chain's first choice is looked for (with `imagination_weight`)"""
    horizon: int = 36
    """frames of an imagined chain (with `imagination_weight`)"""
    contrast_temperature: Positive = 0.1
    """temperature of InfoNCE"""
    contrast_frames: int = 12
    """frames of each chain that InfoNCE compares"""
    legal_weight: float | None = None
    """weight of predicting the legal actions at a change's end (with `imagination_weight`); None: planners try all"""

    def __post_init__(self) -> None:
        """Check that the jump level exists and the context leaves frames to predict."""
        super().__post_init__()
        if self.jump_level > self.levels:
            raise ValueError(f"option jump_level must be one of the {self.levels} levels, got {self.jump_level}")
        check_context(self.context, self.window)
        if self.imagination_weight is not None and self.action_weight is None:
            raise ValueError(
                "option imagination_weight needs action_weight, which finds the choices, got none: give, for example, "
                "action_weight=10"
            )


OURS = DLHOptions(
    levels=2,
    window=20,
    context=5,
    kl_steps=500,
    hold=0.8,
    hold_steps=800,
    factor_sees_below=True,
    features_remember=True,
    fresh_belief=True,
    action_weight=10.0,
    surprise_weight=80.0,
    imagination_weight=10.0,
    legal_weight=10.0,
)
VARIANTS = {"paper": DLHOptions(), "ours": OURS}

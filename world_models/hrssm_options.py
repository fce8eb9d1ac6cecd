"""What a HRSSM can be told: its options, the paper's values (`vta`) and ours, which experiments/LOG.md explains."""

from dataclasses import dataclass

from world_models.blocks.networks import Sizes
from world_models.interface import ACTIONS


@dataclass(frozen=True)
class HRSSMOptions:
    """What `--variant` chooses. The defaults are the paper's."""

    context: int = 5
    """frames before the window"""
    window: int = 20
    """T: frames of the evidence lower bound"""
    lookahead: int = 5
    """frames after the window, read by q(m) only"""
    horizon: int = 20
    """frames of an imagined rollout while training (with `imagination_weight`)"""
    dequantise: bool = True
    """add uniform noise within the 5-bit steps of the images while training"""
    n_max: int = 5
    """N_max: most subsequences of a window"""
    l_max: int = 8
    """longest subsequence, in frames"""
    sigma: float = 1.0
    """deviation of the Gaussian likelihood"""
    temperature_decay: float = 0.999
    """temperature of q(m)'s samples is 0.1 + 0.9 * decay ** (step / temperature_steps)"""
    temperature_steps: float = 100.0
    """steps of one decay"""
    l_min: int = 1
    """shortest subsequence, in frames (with `short_weight`); 1 is the paper, which knows none"""
    boundary_sees_actions: bool = False
    """q(m_t) reads the actions before t beside the frames; never a_t, so that a boundary cannot tell what follows it"""
    boundary_causal: bool = False
    """q(m_t) reads frames and actions up to t only, so that a boundary's place cannot tell what comes after it"""
    boundary_rate: float = 1 / 6
    """share of frames that end a subsequence: on average over a batch (with `rate_weight`), and where boundaries are
    drawn at random (with `explore_steps`)"""
    rate_weight: float = 0.0
    """weight of the KL between the batch's mean boundary probability and `boundary_rate`"""
    short_weight: float = 0.0
    """weight of the expected number of subsequences shorter than `l_min`, a frame"""
    explore_steps: int = 0
    """steps after which every window has boundaries of q(m); before, some have random ones: all at first, then fewer,
    so that z learns to carry on from one subsequence to the next before q(m) is judged by it; 0 is the paper"""
    imagination_weight: float | None = None
    """weight of the contrastive loss on imagined jumps; None: the paper's cosine loss on posterior states"""
    init_sees_belief: bool = False
    """INIT reads c_t beside z_t, so that a jump's first frame shows all that the jump knows"""
    contrast_temperature: float = 0.1
    """temperature of the contrastive loss"""
    contrast_frames: int = 12
    """frames of each sequence that the contrastive loss compares"""
    action_weight: float | None = None
    """weight of the surprise of actions within imagined subsequences: boundaries go where actions cannot be foreseen;
    None: no such term"""
    frame_weight: float | None = None
    """weight of drawing the first frame of imagined subsequences, a readout without a gradient into what is imagined;
    None: frames are learnt from posterior states alone"""
    legal_weight: float | None = None
    """weight of predicting the legal actions at a jump's end; None: not predicted, planners try all"""

    def __post_init__(self) -> None:
        """Refuse random subsequences that cannot be drawn."""
        if self.explore_steps and not 0 < self.boundary_rate * self.l_min <= 1:
            raise ValueError(
                f"option boundary_rate must be above 0 and at most 1 / l_min = {1 / self.l_min:g} with explore_steps, "
                f"got {self.boundary_rate:g}"
            )


VTA = HRSSMOptions()
OURS = HRSSMOptions(
    horizon=36,
    dequantise=False,
    boundary_sees_actions=True,
    boundary_causal=True,
    rate_weight=100.0,
    l_min=4,
    short_weight=60.0,
    imagination_weight=10.0,
    init_sees_belief=True,
    action_weight=10.0,
    frame_weight=0.2,
    legal_weight=10.0,
)
VARIANTS = {"vta": VTA, "ours": OURS}


@dataclass(frozen=True)
class HRSSMConfig:
    """Everything that defines a HRSSM."""

    sizes: Sizes
    options: HRSSMOptions
    frame_size: int = 32
    actions: int = ACTIONS
    """0 for videos, which have neither actions nor goals"""

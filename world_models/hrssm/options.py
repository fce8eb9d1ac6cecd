"""Options of the HRSSM: the paper's values (`vta`) and ours, which experiments/LOG.md explains."""

from dataclasses import dataclass

from world_models.options import MayBeZero, Options, Positive, Share


@dataclass(frozen=True)
class HRSSMOptions(Options):
    """What `--variant` chooses. The defaults are the paper's."""

    context: int = 5
    """frames before the window"""
    window: int = 20
    """T: frames of the evidence lower bound"""
    lookahead: MayBeZero = 5
    """frames after the window, read by q(m) only"""
    horizon: int = 20
    """frames of an imagined rollout while training (with `imagination_weight`)"""
    dequantise: bool = True
    """add uniform noise within the 5-bit steps of the images while training"""
    n_max: int = 5
    """N_max: most subsequences of a window"""
    l_max: int = 8
    """longest subsequence, in frames"""
    sigma: Positive = 1.0
    """standard deviation of the Gaussian likelihood"""
    temperature_decay: Share = 0.999
    """the temperature of q(m)'s samples is 0.1 + 0.9 * decay ** (step / temperature_steps)"""
    temperature_steps: Positive = 100.0
    l_min: int = 1
    """shortest subsequence, in frames (with `short_weight`); 1: the paper, which has none"""
    boundary_sees_actions: bool = False
    """q(m_t) also reads the actions before t; never a_t, so that a boundary cannot reveal what follows it"""
    boundary_causal: bool = False
    """q(m_t) reads nothing after t, so that a boundary's place cannot reveal what comes later"""
    boundary_rate: Share = 1 / 6
    """share of frames that end a subsequence: on average over a batch (with `rate_weight`), and in random boundaries
    (with `explore_steps`)"""
    rate_weight: float = 0.0
    """weight of the KL between the batch's mean boundary probability and `boundary_rate`"""
    short_weight: float = 0.0
    """weight of the expected number of subsequences shorter than `l_min`, per frame"""
    explore_steps: MayBeZero = 0
    """steps after which all boundaries come from q(m); before that, some windows have random ones, all at first, then
    fewer, so that z learns to link subsequences before q(m) is judged by it; 0: the paper"""
    imagination_weight: float | None = None
    """weight of InfoNCE on imagined jumps; None: the paper's cosine loss on posterior states"""
    init_sees_belief: bool = False
    """INIT also reads c_t, so that a jump's first frame shows its whole belief"""
    contrast_temperature: Positive = 0.1
    """temperature of InfoNCE"""
    contrast_frames: int = 12
    """frames of each sequence that InfoNCE compares"""
    action_weight: float | None = None
    """weight of the surprise of actions within imagined subsequences (`ForeseenActions`); None: no such term"""
    frame_weight: float | None = None
    """weight of decoding the first frames of imagined subsequences, with no gradient into what is imagined; None:
    frames are learned from posterior states alone"""
    legal_weight: float | None = None
    """weight of predicting the legal actions at a jump's end; None: not predicted, planners try all"""

    def __post_init__(self) -> None:
        """Check that random subsequences can be sampled."""
        super().__post_init__()
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

"""Options of the HRSSM: the paper's text (`vta`), what its authors ran (`vta-code`), and ours, with each one's reason.

`vta` follows the text, `vta-code` what its authors ran where the two differ, as far as numbers tell, compared from
outside with the same weights and noise. Each row is an option, with the reason why there is a choice:

| option                    | text: `vta`         | run: `vta-code`   | reason                                         |
|---------------------------|---------------------|-------------------|------------------------------------------------|
| `weight_moves_boundaries` | yes, as in the bound| no                | KL(z) prices starts: q(m) can lose all of them |
| `relaxed_kl_m`            | no, m_t is discrete | yes, at the sample| 2 to 60 times the KL: the prior presses harder |
| `forced`                  | 0 and 1; here 1e-3  | 1e-6              | how hard N_max and l_max press                 |
| `frames_see_belief`       | no, s_t             | yes, (h_t, s_t)   | what h_t knows, s_t need not say once more     |
| `init_`, `below_sees_b…`  | no, z_t             | yes, (z_t, c_t)   | what c_t knows, z_t need not say once more     |
| `boundary_batch_norm`     | no                  | yes               | q(m) begins at 0.5 wherever embeddings lie     |
| `prior_m_is_mlp`          | yes                 | yes               | one linear layer in older checkpoints          |
| `jump_action`             | left open: a_{t-1}  | a_{t-1}           | a boundary may fall before the choice          |

Differs from the paper, in the variant `ours` only (experiments/LOG.md says why): jumps are trained the way planning
uses them, and so are the subsequences drawn of them, as they are sampled (`imagination`); boundaries go where actions
cannot be predicted (`ForeseenActions`); q(m_t) reads the frames up to t and the actions before t; the structure prior
also includes an expected rate of boundaries and a shortest subsequence; INIT reads c_t, p(m) reads h_t, and so do
frames when boundaries have settled; the legal actions at a jump's end are predicted. Training can begin with random
boundaries (`explore_steps`).
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from world_models.options import Domain, MayBeZero, Options, Positive, Share


@dataclass(frozen=True)
class HRSSMOptions(Options):
    """What `--variant` chooses. The defaults are the paper's, or what checkpoints did before there was a choice."""

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
    weight_moves_boundaries: bool = True
    """the weight m_{t-1} of KL[q(z_t) || p(z_t)] passes a gradient into q(m)"""
    jump_action: Literal["before", "first", "decision"] = "before"
    """the action that a subsequence's jump is conditioned on: that before its first frame, that of its first frame, or
    its first one where several were legal (none if there is no such frame)"""
    forced: Annotated[float, Domain(1e-6, 0.1)] = 1e-3
    """distance from 0 or 1 of a forced boundary probability, so that its KL stays finite"""
    prior_m_is_mlp: bool = False
    """p(m_t = 1 | s_t) is a perceptron of s_t as in section 2.3, otherwise one linear layer"""
    relaxed_kl_m: bool = False
    """KL[q(m_t) || p(m_t)] is that of the relaxed boundaries, at the sample, otherwise that of m_t itself"""
    frames_see_belief: bool = False
    """x_t and m_t are decoded from (h_t, s_t), otherwise from s_t"""
    belief_from: MayBeZero = 0
    """training step from which x_t is decoded from h_t, too (with `frames_see_belief`); before it zeros stand for h_t,
    so that boundaries fall where choices are, before frames can be told apart without them"""
    below_sees_belief: bool = False
    """q(s_t) and f_s-rnn read (z_t, c_t), otherwise z_t; for f_s-mlp see `init_sees_belief`"""
    boundary_batch_norm: bool = False
    """q(m) normalises its features over the batch, and is about 0.5 everywhere at first"""
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
    subsequence_weight: float | None = None
    """weight of decoding all that follows in some imagined subsequences, and their ends, in the same way (with
    `frame_weight`); None: these are learned from posterior states alone"""
    subsequences: int = 32
    """how many subsequences of a batch that is"""
    samples_from: Annotated[int | None, Domain(0, 10**9)] = None
    """training step from which imagined z and s are sampled; before it, and always with None, they are at their prior
    means, by which jumps are learned sooner"""
    legal_weight: float | None = None
    """weight of predicting the legal actions at a jump's end; None: not predicted, planners try all"""

    def __post_init__(self) -> None:
        """Check that random subsequences can be sampled, and that imagined jumps are those that are planned with."""
        super().__post_init__()
        if self.explore_steps and not 0 < self.boundary_rate * self.l_min <= 1:
            raise ValueError(
                f"option boundary_rate must be above 0 and at most 1 / l_min = {1 / self.l_min:g} with explore_steps, "
                f"got {self.boundary_rate:g}"
            )
        if self.imagination_weight is not None and self.jump_action != "before":
            raise ValueError(
                f"option jump_action must be before with imagination_weight, got {self.jump_action}: leave one of them"
            )


VTA = HRSSMOptions(prior_m_is_mlp=True)
CODE = HRSSMOptions(
    weight_moves_boundaries=False,
    forced=1e-6,
    prior_m_is_mlp=True,
    relaxed_kl_m=True,
    frames_see_belief=True,
    below_sees_belief=True,
    boundary_batch_norm=True,
    init_sees_belief=True,
)
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
    prior_m_is_mlp=True,
    frames_see_belief=True,
    belief_from=1000,
    frame_weight=0.2,
    subsequence_weight=0.5,
    samples_from=1000,
    legal_weight=10.0,
)
VARIANTS = {"vta": VTA, "vta-code": CODE, "ours": OURS}

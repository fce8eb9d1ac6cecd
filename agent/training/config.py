"""The configuration of `jumpy train`: one dataclass is the command line."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from agent.training.evaluate import EvaluationConfig
from world_models.options import override
from world_models.registry import MODELS, choose, recipe_of, spec_of
from world_models.spec import Recipe

LARGEST = 10**12  # of all numbers


@dataclass(frozen=True)
class TrainConfig:
    """Train a world model on collected data."""

    data: Path
    """folder that `jumpy collect` or `jumpy videos` wrote"""
    out: Path
    """run folder: checkpoint, TensorBoard files"""
    model: Annotated[str, tyro.conf.arg(metavar=f"{{{','.join(MODELS)}}}")] = "hrssm"
    """the world model; cwvae and lmc-memory are for videos"""
    preset: str = "quick"
    """sizes: quick, paper, or million: that many parameters in every model of videos"""
    variant: str | None = None
    """options: vta (hrssm, rssm) or paper (the others) follows the paper; ours (all but cwvae) adds what an ablation
    showed to help and is the default where it exists"""
    options: tuple[str, ...] = ()
    """changes to the variant's options, such as n_max=20 l_max=20; results add them to the variant's name"""
    steps: int | None = None
    """training steps in all, which the learning rate's decay follows; default: the preset's"""
    pause_after: int | None = None
    """save and stop after this many steps of this call, to resume later"""
    pause_after_minutes: float | None = None
    """the same after so many minutes of training, of processor time on a CPU"""
    batch_size: int | None = None
    """sequences per step; default: the preset's"""
    learning_rate: float | None = None
    """peak learning rate of Adam; default: the preset's"""
    decay: float | None = None
    """last share of the steps over which the learning rate falls to zero; default: the preset's"""
    seed: int = 0
    """of the weights and of everything random in training"""
    device: str = "auto"
    """auto (CUDA if available), cpu or cuda"""
    precision: Literal["auto", "fp32", "bf16"] = "fp32"
    """precision of encoder, decoder and boundary network in training; auto: bf16 on a CPU that multiplies it (AMX,
    AVX512-BF16), else fp32"""
    cuda_graph: bool = True
    """on one GPU, replay the step from a CUDA graph, if the model's step is always the same and the graph gives the
    gradients of the plain step"""
    log_every: int = 50
    """steps between scalars"""
    evaluate_every: int = 500
    """steps between evaluations on the test split, with images"""
    checkpoint_every: int = 500
    """steps between checkpoints"""
    resume: bool = False
    """continue the run in `out`"""
    overwrite: bool = False
    """replace the run in `out`"""
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    """evaluation during training"""

    def __post_init__(self) -> None:
        """Check names and counts."""
        override(choose("variant", self.chosen_variant, spec_of(self.model).variants, self.model), self.options)
        recipe_of(self.model, self.preset, self.chosen_variant)
        counts = ("steps", "pause_after", "pause_after_minutes", "batch_size", "learning_rate")
        for name in (*counts, "log_every", "evaluate_every", "checkpoint_every"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= LARGEST:
                wanted = f"at most {LARGEST:g}" if value > LARGEST else "more than 0"
                raise ValueError(f"--{name.replace('_', '-')} must be {wanted}, got {value}")
        if self.resume and self.overwrite:
            raise ValueError("--resume continues the run, --overwrite replaces it, got both: give one of them")
        if self.decay is not None and not 0 <= self.decay <= 1:
            raise ValueError(f"--decay must lie in 0 to 1, got {self.decay}")
        if self.seed < 0:
            raise ValueError(f"--seed must be 0 or more, got {self.seed}")

    @property
    def chosen_variant(self) -> str:
        """The variant, or the model's standard one."""
        return self.variant or spec_of(self.model).standard_variant

    @property
    def recipe(self) -> Recipe:
        """The preset's recipe with the command line's choices."""
        base = recipe_of(self.model, self.preset, self.chosen_variant)
        chosen = {name: getattr(self, name) for name in ("steps", "batch_size", "learning_rate", "decay")}
        return replace(base, **{name: value for name, value in chosen.items() if value is not None})

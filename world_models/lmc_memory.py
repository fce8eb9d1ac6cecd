"""LMC-Memory of Lee, Kim, Choi, Kim and Ro, *Video Prediction Recalling Long-term Motion Context …* (CVPR 2021).

arXiv:2104.00924, videos only, deterministic: a recurrent predictor draws the next frames, and a memory of motions tells
it how such videos go on. In training, a long sequence shows a motion to its end, and the slots of the memory learn it;
then the first frames alone learn to find these slots again.

| symbol | code       | shape              | meaning                                                     |
|--------|------------|--------------------|-------------------------------------------------------------|
| x_t    | `x`        | (B, T, K, H, W)    | frame in [0, 1], K = 1: grey                                |
| d_t    | –          | (B, K, T-1, H, W)  | difference x_{t+1} - x_t                                    |
| q      | `query`    | (B, D, H/16, W/16) | motion of a sequence: each place queries the memory alone   |
| M      | `slots`    | (S, D)             | memory                                                      |
| m      | `recalled` | (B, C, H/4, W/4)   | motion context that is read from it                         |
| h, c   | `h`, `c`   | (B, C, H/4, W/4)   | hidden and cell state of a layer of the predictor           |
| g      | –          | (B, C, 1, 1)       | gate of the memory's channels                               |

    q = mean_t conv3d(d), a = softmax_s cos(q, M_s), m = deconv(sum_s a_s M_s)
    (h^l_t, c^l_t) = convlstm^l(h^{l-1}_t, h^l_{t-1}, c^l_{t-1}), h^0_t = conv2d(x_t), h^l_0 = c^l_0 = 0
    g = sigmoid(W_2 relu(W_1 mean_hw [c^L_t, m])), x_{t+1} = deconv([h^L_t, g m])

After the context the predictor reads its own frames. Every batch makes two steps of Adam (`phases`): with the query of
a long sequence, from which slots and `long_motion` learn; then with that of the context, from which `motion` learns and
the slots do not. Both minimise mean |x - x'| + mean (x - x')². Only the second exists at test. All kernels are 3 wide,
all layers have biases, and the LSTM has no peepholes: then the paper's sizes have 33.9 million parameters in training
and 20.4 million at test, as the published model does.

Our reading, where the paper leaves it open: the long sequence is the beginning of the training window, context and
first predicted frames; both steps see the same batch; one Adam has the moments of both.

Differs from the paper: frames have this software's 5 bits; a context is cut to its last `context` frames, as many as in
training. With `channels=3` the model reads and draws colours, which the published one does not. `ours` begins with true
frames in place of the predicted ones (scheduled sampling, Bengio et al. 2015): otherwise it learns to draw the mean of
all frames in thousands of steps, which are all that we have instead of hundreds of thousands.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from world_models.blocks.global_batch import uniform
from world_models.blocks.images import to_float
from world_models.blocks.networks import LargeNetwork
from world_models.interface import Batch, Losses, ModelConfig
from world_models.options import Domain, MayBeZero, Options
from world_models.shapes import Between, Frames, Lengths, NewFrames, Planned
from world_models.spec import ModelSpec, Recipe, for_all

FEWEST = 9
"""frames whose eight differences survive three poolings of time"""
Images = Float[Tensor, "b t k h w"]
"""in [0, 1]; k is 1 or 3"""
NewImages = Float[Tensor, "b n k h w"]
Map = Float[Tensor, "b c y x"]


@dataclass(frozen=True)
class LMCMemorySizes:
    """Sizes of an LMC-Memory's networks: what `--preset` chooses."""

    channels: int
    """C: of a frame's code, of the predictor's layers and of what is recalled"""
    layers: int
    """L: layers of the predictor"""
    memory: int
    """D: length of a slot"""
    slots: int
    """S: slots of the memory"""
    gate: int
    """hidden units of the gate"""


QUICK = LMCMemorySizes(channels=32, layers=2, memory=128, slots=100, gate=16)
PAPER = LMCMemorySizes(channels=128, layers=4, memory=512, slots=100, gate=16)
MILLION = replace(QUICK, memory=84)
SIZES = {"quick": QUICK, "paper": PAPER, "million": MILLION}


@dataclass(frozen=True)
class LMCMemoryOptions(Options):
    """What `--variant` chooses. The defaults are the paper's for Moving MNIST."""

    context: Annotated[int, Domain(FEWEST, 10**9)] = 10
    """frames shown before a prediction"""
    predicted: int = 30
    """frames predicted in training; the paper has 40 for KTH"""
    long: Annotated[int, Domain(FEWEST, 10**9)] = 30
    """frames of the long sequence, from the beginning of the context; the paper has 40 for KTH"""
    first_steps: MayBeZero = 5000
    """steps in which fewer frames are predicted"""
    first_predicted: int = 10
    """how many that are"""
    scheduled_sampling: MayBeZero = 0
    """steps in which the predictor reads true frames instead of its own with a probability that falls from 1 to 0"""
    channels: Annotated[int, Domain(1, 3)] = 1
    """of a frame: 1 is grey, as in the paper, 3 are colours"""
    sigmoid: bool = False
    """end the decoder with a sigmoid; the paper does for KTH"""

    def __post_init__(self) -> None:
        """Check that the window holds what is read and predicted, and that frames are grey or coloured."""
        super().__post_init__()
        window = self.context + self.predicted
        if self.long > window:
            raise ValueError(f"option long must be at most context + predicted, {window} frames, got {self.long}")
        if self.first_predicted > self.predicted:
            raise ValueError(f"option first_predicted must be at most {self.predicted}, got {self.first_predicted}")
        if self.channels == 2:
            raise ValueError("option channels must be 1 (grey) or 3 (colours), got 2")


OURS = LMCMemoryOptions(first_steps=1000, scheduled_sampling=1000)
VARIANTS = {"paper": LMCMemoryOptions(), "ours": OURS}


class ConvLSTM(nn.Module):
    """A convolutional LSTM cell (Shi et al. 2015) without peepholes."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(inputs + hidden, 4 * hidden, 3, padding=1)

    def forward(self, x: Map, h: Map, c: Map) -> tuple[Map, Map]:
        """One step: the new h and c."""
        write, keep, show, new = self.gates(torch.cat([x, h], 1)).float().chunk(4, 1)
        c = torch.sigmoid(keep) * c + torch.sigmoid(write) * torch.tanh(new)
        return torch.sigmoid(show) * torch.tanh(c), c


class Convolution(nn.Conv3d):
    """A 3D convolution, in float32 where it sees two steps of time.

    In bfloat16 the gradient of its weights there is uninitialised memory on a CPU with AVX512-BF16 (oneDNN 3.12).
    """

    def forward(self, x: Tensor) -> Tensor:
        """As a convolution does."""
        if x.shape[2] != 2:
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


class Motion(nn.Module):
    """Encodes a sequence's motion: differences of frames through 3D convolutions, and their mean over time."""

    def __init__(self, channels: int, memory: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = channels
        for share, convolutions, pool in ((8, 1, (1, 2, 2)), (4, 1, 2), (2, 2, 2), (1, 2, 2)):
            for _ in range(convolutions):
                layers += [Convolution(inputs, memory // share, 3, padding=1), nn.ReLU()]
                inputs = memory // share
            layers.append(nn.MaxPool3d(pool))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Images) -> Map:
        """Return q of at least nine frames."""
        if x.shape[1] < FEWEST:
            raise ValueError(f"LMC-Memory needs a context of at least {FEWEST} frames, got {x.shape[1]}: show it more")
        return self.layers(x.diff(dim=1).transpose(1, 2)).mean(2)


class Gate(nn.Module):
    """Gates the memory's channels by what predictor and memory hold."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(2 * channels, hidden), nn.Linear(hidden, channels)

    def forward(self, c: Map, recalled: Map) -> Map:
        """Return g m."""
        mean = torch.cat([c, recalled], 1).mean((2, 3))
        return torch.sigmoid(self.last(F.relu(self.first(mean))))[..., None, None] * recalled


def recall(query: Map, slots: Float[Tensor, "s c"]) -> Map:
    """Read the memory at every place: slots, weighted by the softmax of their cosines with the query."""
    address = torch.einsum("bcyx,sc->bsyx", F.normalize(query, dim=1), F.normalize(slots, dim=1)).softmax(1)
    return torch.einsum("bsyx,sc->bcyx", address, slots)


class LMCMemory(LargeNetwork):
    """A predictor that recalls long-term motion context."""

    generation_modes: tuple[str, ...] = ("full",)
    config: ModelConfig[LMCMemorySizes, LMCMemoryOptions]

    def __init__(self, config: ModelConfig[LMCMemorySizes, LMCMemoryOptions]) -> None:
        """Build the networks.

        Raises:
            ValueError: the frame size is not a multiple of 16.
        """
        super().__init__()
        if config.frame_size % 16:
            raise ValueError(f"LMC-Memory's frames need a size that is a multiple of 16, got {config.frame_size}")
        self.config, self.channels = config, config.options.channels
        sizes, image = config.sizes, self.channels
        c, half, d = sizes.channels, sizes.channels // 2, sizes.memory
        steps = ((image, half, 2), (half, half, 1), (half, c, 2), (c, c, 1))  # channels in and out, stride
        convolutions = [nn.Conv2d(inputs, outputs, 3, stride, 1) for inputs, outputs, stride in steps]
        self.encoder = nn.Sequential(*(layer for each in convolutions for layer in (each, nn.ELU())))
        self.predictor = nn.ModuleList(ConvLSTM(c, c) for _ in range(sizes.layers))
        self.slots = nn.Parameter(torch.randn(sizes.slots, d))
        self.motion = Motion(image, d)
        self.long_motion = copy.deepcopy(self.motion)
        self.embed = nn.Sequential(_enlarge(d, d // 2), nn.ReLU(), _enlarge(d // 2, c), nn.ReLU())
        self.gate = Gate(c, sizes.gate)
        layers = [nn.Conv2d(2 * c, c, 3, 1, 1), nn.ELU(), _enlarge(c, half), nn.ELU(), nn.Conv2d(half, half, 3, 1, 1)]
        last = [nn.Sigmoid()] if config.options.sigmoid else []
        self.decoder = nn.Sequential(*layers, nn.ELU(), _enlarge(half, image), *last)
        for part in (self.encoder, self.predictor, self.embed, self.decoder):  # a third faster on a CPU
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for motion in (self.motion, self.long_motion):
            motion.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    @property
    def window_length(self) -> int:
        """Frames of a training window."""
        return self.config.options.context + self.config.options.predicted

    @property
    def context(self) -> int:
        """See `Generative.context`."""
        return self.config.options.context

    # ---------------------------------------------------------------- prediction

    def predict(
        self, x: Images, recalled: Map, frames: int, truth: NewImages | None = None, share: float = 0.0
    ) -> NewImages:
        """Predict the next frames after a context, each from the one before: its own, or by `share` the true one."""
        state = [(recalled.new_zeros(recalled.shape),) * 2 for _ in self.predictor]
        predicted: list[Tensor] = []
        for step in range(x.shape[1] + frames - 1):
            now = x[:, step] if step < x.shape[1] else predicted[-1]
            if truth is not None and share and step >= x.shape[1]:
                known = uniform((len(x), 1, 1, 1), x.device) < share
                now = torch.where(known, truth[:, step - x.shape[1]], now)
            h = self.encoder(now)
            for number, layer in enumerate(self.predictor):
                state[number] = layer(h, *state[number])
                h = state[number][0]
            if step >= x.shape[1] - 1:
                gated = self.gate(state[-1][1], recalled)
                predicted.append(self.decoder(torch.cat([h, gated], 1)).float())
        return torch.stack(predicted, 1)

    def generate(
        self, x: Frames, a: Between, length: Lengths, actions: Planned, mode: str = "full"
    ) -> tuple[NewFrames, None]:
        """As in `Generative`; all samples are equal, and there are no boundaries.

        Raises:
            ValueError: a context has fewer than nine frames.
        """
        assert mode in self.generation_modes, mode
        shown = length.clamp(max=self.context)
        frames = x.new_empty(len(x), actions.shape[1], *x.shape[2:])
        for number in shown.unique().tolist():
            rows = shown == number
            context = self._images(x[rows, -number:])
            predicted = self.predict(context, self.embed(recall(self.motion(context), self.slots)), actions.shape[1])
            frames[rows] = (2 * predicted - 1).clamp(-1, 1).expand(-1, -1, 3, -1, -1)
        return frames, None

    def _images(self, x: Frames) -> Images:
        """Frames as this model reads them: in [0, 1], grey or with three channels."""
        return (x.mean(2, keepdim=True) if self.channels == 1 else x) / 2 + 0.5

    # ---------------------------------------------------------------- training

    def phases(self, batch: Batch, step: int) -> Iterator[Losses]:
        """See `Phased`: the long sequence, from which the slots learn; then the context, from which they do not."""
        x, long = self._images(to_float(batch.observation)), self.config.options.long
        terms = self._errors(x, self.long_motion, long, self.slots, step)
        yield Losses(terms, dict.fromkeys(terms, 1.0))
        losses = self._short(x, step)
        losses.metrics = {f"{name}_long": term.detach() for name, term in terms.items()}
        yield losses

    def loss(self, batch: Batch, step: int) -> Losses:
        """Mean absolute and squared error of a pixel, predicted as at test; in evaluation of all frames."""
        return self._short(self._images(to_float(batch.observation)), step)

    def _short(self, x: Images, step: int) -> Losses:
        terms = self._errors(x, self.motion, self.context, self.slots.detach(), step)
        return Losses(terms, dict.fromkeys(terms, 1.0))

    def _errors(self, x: Images, motion: Motion, seen: int, slots: Tensor, step: int) -> dict[str, Tensor]:
        """Errors of the predicted frames where `motion` sees the first `seen` frames of a window."""
        o = self.config.options
        frames = o.first_predicted if self.training and step < o.first_steps else o.predicted
        share = 1 - step / o.scheduled_sampling if self.training and step < o.scheduled_sampling else 0.0
        truth = x[:, o.context : o.context + frames]
        # without a cache each frame's gradient of a weight is added in float32
        with torch.autocast(x.device.type, torch.bfloat16, self.bf16 and self.training, cache_enabled=False):
            recalled = self.embed(recall(motion(x[:, :seen]).float(), slots)).float()
            predicted = self.predict(x[:, : o.context], recalled, frames, truth, share)
        error = predicted - truth
        return {"l1": error.abs().mean(), "l2": error.square().mean()}


def _enlarge(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    """A transposed convolution that doubles height and width."""
    return nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, output_padding=1)


RECIPES = {
    "quick": Recipe(6_000, 8, 1e-3, clip=1e4, warmup=100, decay=0.5, amsgrad=False),
    "paper": Recipe(300_000, 128, 2e-4, clip=1e4, amsgrad=False),
}
SPEC = ModelSpec(
    LMCMemory,
    SIZES,
    VARIANTS,
    for_all(VARIANTS, RECIPES),
    "LMC-Memory",
    colour="#e69f00",
    acts=False,
    fewest=FEWEST,
    deterministic=True,
)

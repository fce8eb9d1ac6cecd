"""Losses of tiny HRSSM and RSSM models, computed without the package: `golden.json` holds what this script finds.

Only numpy is used, in float64, one sequence and one frame after the other, straight from the equations of Kim, Ahn and
Bengio 2019: sections 2.2 to 2.4 and 3 for HRSSM, section 5.2 for RSSM and for the loss of the goal's feature. Weights,
frames, actions and noise come from an integer hash (`hashed`), so that neither a file of weights nor a version of a
random generator is needed. The names and shapes of the weights are those of the models' state dictionaries.

`python -m tests.world_models.golden.make_golden` writes `golden.json` anew. That is needed only when the models change
what they compute on purpose. test_golden.py gives the same weights and noise to the models and compares every term.
"""

import json
import zlib
from pathlib import Path

import numpy as np

PATH = Path(__file__).with_name("golden.json")
ROWS, CONTEXT, WINDOW, LOOKAHEAD = 3, 3, 9, 2
LENGTH = (1, 3, 2)  # context frames that count, of each row
N_MAX, L_MAX, SIGMA, EPSILON = 4, 3, 0.5, 1e-3  # EPSILON: what a forced boundary probability stays off 0 and 1
CHANNELS, D, H, S, Z, ACTIONS = 8, 10, 12, 4, 3, 3

Weights = dict[str, np.ndarray]
Shapes = dict[str, tuple[int, ...]]


def hashed(name: str, *shape: int) -> np.ndarray:
    """Numbers in (-1, 1) that look random: splitmix64 of the name's checksum and the place."""
    z = np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z += np.uint64(zlib.crc32(name.encode()) << 20)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (((z >> np.uint64(11)).astype(np.float64) + 0.5) / 2**52 - 1).reshape(shape)


# ------------------------------------------------------------------------ inputs


def normals(name: str, *shape: int) -> np.ndarray:
    """Numbers with the spread of standard normals; which ones does not matter to the equations."""
    return 1.7 * hashed(name, *shape)


def inputs(frames: int) -> dict[str, np.ndarray]:
    """Frames (uint8), actions, crops of the map (uint8) and noise of a batch."""
    shade = hashed("shade", ROWS, frames, 4, 4, 3).repeat(8, 2).repeat(8, 3)  # squares of one colour
    pixel = 127.5 + 90 * shade + 37 * hashed("pixel", ROWS, frames, 32, 32, 3)
    return {
        "x": pixel.astype(np.uint8),
        "a": (1.5 * (1 + hashed("action", ROWS, frames))).astype(np.int64),
        "crop": (127.5 * (1 + hashed("crop", ROWS, frames, 3, 3, 3))).astype(np.uint8),
        "uniform": 0.5 * (1 + hashed("u", ROWS, frames)),
        "eps_z": normals("eps_z", ROWS, WINDOW, Z),
        "eps_s": normals("eps_s", ROWS, WINDOW, S),
    }


def linear(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def mlp(name: str, inputs: int, outputs: int) -> Shapes:
    return linear(f"{name}.0", inputs, H) | linear(f"{name}.2", H, outputs)


def gru(name: str, inputs: int) -> Shapes:
    return linear(f"{name}.project", inputs, 3 * H) | linear(f"{name}.recur", H, 3 * H)


def frames_and_goals(code: int, belief: int) -> Shapes:
    """Encoder and decoder of patches, and the goal's network."""
    c = CHANNELS
    shapes = linear("encoder.module.1", 48, c // 2) | linear("encoder.module.5", 2 * c, c)
    shapes |= linear("encoder.module.9", 4 * c, 2 * c) | linear("encoder.module.12", 8 * c, D)
    shapes |= linear("decoder.module.0", code, 8 * c) | linear("decoder.module.3", 2 * c, 4 * c)
    shapes |= linear("decoder.module.7", c, 2 * c) | linear("decoder.module.11", c // 2, 48)
    return shapes | linear("goals.goal.1", 27, H) | mlp("goals.goal.3", H, belief)


def hrssm_shapes() -> Shapes:
    """Every parameter of the HRSSM."""
    shapes = frames_and_goals(S, Z + H) | linear("boundary_net.out", H, 1) | linear("prior_m", S, 1)
    for layer, width in enumerate((D, H, H)):
        shapes |= {f"boundary_net.layers.{layer}.weight": (H, width, 3), f"boundary_net.layers.{layer}.bias": (H,)}
    for name, width in (("context_rnn", D), ("psi_forward", D), ("psi_backward", D), ("phi_forward", D)):
        shapes |= gru(name, width)
    shapes |= gru("z_rnn", Z + ACTIONS) | gru("s_rnn", S + Z) | mlp("s_init.0", Z, H)
    shapes |= mlp("prior_z.net", H, 2 * Z) | mlp("prior_s.net", H, 2 * S)
    return shapes | mlp("post_z.net", 2 * H, 2 * Z) | mlp("post_s.net", H + Z, 2 * S)


def rssm_shapes() -> Shapes:
    """Every parameter of the RSSM."""
    shapes = frames_and_goals(S, S + H) | gru("context_rnn", D) | gru("phi_forward", D) | gru("s_rnn", S + ACTIONS)
    return shapes | mlp("prior_s.net", H, 2 * S) | mlp("post_s.net", H, 2 * S)


def weights(shapes: Shapes) -> Weights:
    """Weights as large as their inputs' number asks for, biases smaller."""
    found = {}
    for name, shape in shapes.items():
        inputs = int(np.prod(shape[1:]))
        found[name] = hashed(name, *shape) * ((3 / inputs) ** 0.5 if len(shape) > 1 else 0.3)
    return found


# ------------------------------------------------------------------------ networks


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def elu(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def apply(w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def perceptron(w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    return apply(w, f"{name}.2", elu(apply(w, f"{name}.0", x)))


def gaussian(w: Weights, name: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation."""
    mean, raw = np.split(perceptron(w, f"{name}.net", x), 2)
    return mean, sigmoid(raw) + 1e-4


def rnn(w: Weights, name: str, x: np.ndarray, h: np.ndarray) -> np.ndarray:
    """One step of a GRU (Cho et al. 2014)."""
    reset_x, update_x, new_x = np.split(apply(w, f"{name}.project", x), 3)
    reset_h, update_h, new_h = np.split(apply(w, f"{name}.recur", h), 3)
    update = sigmoid(update_x + update_h)
    return update * h + (1 - update) * np.tanh(new_x + sigmoid(reset_x + reset_h) * new_h)


def patches(image: np.ndarray, size: int = 16) -> list[np.ndarray]:
    """Patches of 4 x 4 pixels: squares of 16 in reading order; in each its four squares of 8; in these those of 4."""
    height, width, _ = image.shape
    squares = [image[y : y + size, x : x + size] for y in range(0, height, size) for x in range(0, width, size)]
    return [s.ravel() for s in squares] if size == 4 else [p for s in squares for p in patches(s, size // 2)]


def encode(w: Weights, patch: np.ndarray) -> np.ndarray:
    """e_t of the patches (64, 48): three layers, four neighbours merged between them, and one over all."""
    small = elu(apply(w, "encoder.module.1", patch)).reshape(16, -1)
    middle = elu(apply(w, "encoder.module.5", small)).reshape(4, -1)
    large = elu(apply(w, "encoder.module.9", middle)).reshape(-1)
    return elu(apply(w, "encoder.module.12", large))


def decode(w: Weights, s: np.ndarray) -> np.ndarray:
    """Mean of p(x_t | s_t), as patches (64, 48)."""
    large = elu(apply(w, "decoder.module.0", s)).reshape(4, -1)
    middle = elu(apply(w, "decoder.module.3", large)).reshape(16, -1)
    small = elu(apply(w, "decoder.module.7", middle)).reshape(64, -1)
    return np.tanh(apply(w, "decoder.module.11", small))


def boundary_logits(w: Weights, e: np.ndarray) -> np.ndarray:
    """Logits of q(m_t | X): three convolutions over time, zeros beyond both ends (section 3)."""
    for layer in range(3):
        kernel, bias = w[f"boundary_net.layers.{layer}.weight"], w[f"boundary_net.layers.{layer}.bias"]
        padded = np.pad(e, ((1, 1), (0, 0)))
        e = elu(np.stack([sum(kernel[..., k] @ padded[t + k] for k in range(3)) + bias for t in range(len(e))]))
    return apply(w, "boundary_net.out", e)[:, 0]


def in_five_bits(pixel: np.ndarray) -> np.ndarray:
    """Stored pixels at the middle of their level of 32, in [-1, 1]."""
    return (pixel // 8 + 0.5) / 16 - 1


def kl(q: tuple[np.ndarray, np.ndarray], p: tuple[np.ndarray, np.ndarray]) -> float:
    """KL[q || p] of diagonal Gaussians."""
    (a, s), (b, r) = q, p
    return float((np.log(r / s) + (s**2 + (a - b) ** 2) / (2 * r**2) - 0.5).sum())


def goal_loss(w: Weights, crop: np.ndarray, belief: np.ndarray) -> float:
    """Negative cosine of a state and the goal feature of the crop seen there (footnote 2)."""
    hidden = elu(apply(w, "goals.goal.1", in_five_bits(crop).transpose(2, 0, 1).ravel()))
    goal = perceptron(w, "goals.goal.3", hidden)
    return float(-goal @ belief / np.linalg.norm(goal) / np.linalg.norm(belief))


# ------------------------------------------------------------------------ the models


def hrssm(w: Weights, seen: dict[str, np.ndarray], length: int) -> dict[str, float]:
    """Terms of one sequence, averaged over the window's frames."""
    x = np.array([patches(in_five_bits(frame)) for frame in seen["x"]])
    e, one_hot = np.array([encode(w, frame) for frame in x]), np.eye(ACTIONS)[seen["a"]]
    logit, u = boundary_logits(w, e), seen["uniform"]
    m = logit + np.log(u / (1 - u)) > 0  # a sample of q(M | X), the limit of Gumbel-softmax
    c = psi_forward = phi = h = psi_backward = np.zeros(H)
    for t in range(CONTEXT - length, CONTEXT):
        c, psi_forward = rnn(w, "context_rnn", e[t], c), rnn(w, "psi_forward", e[t], psi_forward)
    behind = {}
    for t in reversed(range(CONTEXT, CONTEXT + WINDOW)):  # a subsequence's last frame forgets those after it
        behind[t] = psi_backward = rnn(w, "psi_backward", e[t], np.zeros(H) if m[t] else psi_backward)
    z, s, n, frames = np.zeros(Z), np.zeros(S), 0, 0
    terms = dict.fromkeys(("image", "kl_s", "kl_z", "kl_m", "goal", "boundaries"), 0.0)
    for k, t in enumerate(range(CONTEXT, CONTEXT + WINDOW)):
        if k == 0 or m[t - 1]:  # UPDATE z, INIT h (section 2.4)
            c = rnn(w, "z_rnn", np.concatenate([z, one_hot[t - 1]]), c)
            q_z = gaussian(w, "post_z", np.concatenate([psi_forward, behind[t]]))
            z = q_z[0] + q_z[1] * seen["eps_z"][k]
            terms["kl_z"] += kl(q_z, gaussian(w, "prior_z", c))
            h, phi, n, frames = np.tanh(perceptron(w, "s_init.0", z)), np.zeros(H), n + 1, 0
        else:  # COPY z, UPDATE h
            h = rnn(w, "s_rnn", np.concatenate([s, z]), h)
        frames += 1
        phi = rnn(w, "phi_forward", e[t], phi)
        q_s = gaussian(w, "post_s", np.concatenate([phi, z]))
        s = q_s[0] + q_s[1] * seen["eps_s"][k]
        terms["kl_s"] += kl(q_s, gaussian(w, "prior_s", h))
        p = np.clip(sigmoid(apply(w, "prior_m", s)[0]), EPSILON, 1 - EPSILON)  # section 2.3
        p = EPSILON if n >= N_MAX else 1 - EPSILON if frames >= L_MAX else p
        q = sigmoid(logit[t])
        terms["kl_m"] += q * np.log(q / p) + (1 - q) * np.log((1 - q) / (1 - p))
        terms["image"] += ((x[t] - decode(w, s)) ** 2).sum() / (2 * SIGMA**2)
        terms["goal"] += goal_loss(w, seen["crop"][t], np.concatenate([z, c]))
        terms["boundaries"] += m[t]
        psi_forward = rnn(w, "psi_forward", e[t], psi_forward)
    return {name: float(total) / WINDOW for name, total in terms.items()}


def rssm(w: Weights, seen: dict[str, np.ndarray], length: int) -> dict[str, float]:
    """Terms of one sequence, averaged over the window's frames."""
    x = np.array([patches(in_five_bits(frame)) for frame in seen["x"]])
    e, one_hot = np.array([encode(w, frame) for frame in x]), np.eye(ACTIONS)[seen["a"]]
    h = phi = np.zeros(H)
    for t in range(CONTEXT - length, CONTEXT):
        h, phi = rnn(w, "context_rnn", e[t], h), rnn(w, "phi_forward", e[t], phi)
    s, terms = np.zeros(S), dict.fromkeys(("image", "kl_s", "goal"), 0.0)
    for k, t in enumerate(range(CONTEXT, CONTEXT + WINDOW)):
        h = rnn(w, "s_rnn", np.concatenate([s, one_hot[t - 1]]), h)
        phi = rnn(w, "phi_forward", e[t], phi)
        q = gaussian(w, "post_s", phi)
        s = q[0] + q[1] * seen["eps_s"][k]
        terms["kl_s"] += kl(q, gaussian(w, "prior_s", h))
        terms["image"] += ((x[t] - decode(w, s)) ** 2).sum() / (2 * SIGMA**2)
        terms["goal"] += goal_loss(w, seen["crop"][t], np.concatenate([s, h]))
    return {name: float(total) / WINDOW for name, total in terms.items()}


MODELS = {
    "hrssm": (hrssm, hrssm_shapes(), CONTEXT + WINDOW + LOOKAHEAD),
    "rssm": (rssm, rssm_shapes(), CONTEXT + WINDOW),
}
"""of each model: its equations, its parameters, the frames of a training window"""


def losses() -> dict[str, dict[str, float]]:
    """Every term of both models, averaged over the batch."""
    found = {}
    for model, (equations, shapes, frames) in MODELS.items():
        w, batch = weights(shapes), inputs(frames)
        rows = [equations(w, {key: value[b] for key, value in batch.items()}, LENGTH[b]) for b in range(ROWS)]
        found[model] = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    return found


if __name__ == "__main__":
    PATH.write_text(json.dumps(losses(), indent=2) + "\n")

"""Tensors of the contract in `interface`. Axes: B batch, T time, N new frames, K actions to take, H W pixels."""

from jaxtyping import Float, Int64
from torch import Tensor

Frames = Float[Tensor, "b t 3 h w"]
"""in [-1, 1]"""
Actions = Int64[Tensor, "b t"]
"""each taken after its frame"""
Between = Int64[Tensor, "b t_1"]
"""the T - 1 actions between T frames"""
Lengths = Int64[Tensor, " b"]
"""how many of a context's frames count, from 1 to T"""
Action = Int64[Tensor, " b"] | Float[Tensor, "b actions"]
"""one each, or probabilities of all of them, through which gradients flow"""
Planned = Int64[Tensor, "b k"]
NewFrames = Float[Tensor, "b n 3 h w"]
Starts = Float[Tensor, "b n"]
"""1 where a subsequence starts"""

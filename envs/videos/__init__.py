"""Videos with their true change points, frames without actions or goals; one class, one module a kind.

*Bouncing Balls* is the data set of Kim et al. 2019, section 5.1, *Moving Ball* that of Zakharov et al. 2022, sections
4.3 and 4.4, *Moving MNIST* that of Srivastava et al. 2015. What the papers leave open is chosen at `DATASETS`. *Mazes*
stand in for the DeepMind Lab mazes of Zakharov et al., which cannot be drawn again.

**Change points.** Frame t is a change point (`change` = 1) if it is the first of something new: a ball's colour, a
digit's direction, a stretch of maze. It starts a new subsequence. In VTA's words, a subsequence ends at t - 1:
m_{t-1} = 1. A sequence's first frame is none.
"""

from envs.videos.balls import PALETTE, Balls
from envs.videos.mazes import Mazes
from envs.videos.moving_mnist import MovingMNIST
from envs.videos.video import Fields, Video

__all__ = ["DATASETS", "PALETTE", "Balls", "Fields", "Mazes", "MovingMNIST", "Video"]

DATASETS: dict[str, Video] = {
    # Open in the paper: speed, radius, noise, colours. At this speed a ball is reflected in 8 % of the frames, so that
    # 20 frames hold about 3 changes of either ball and fit the paper's N_max = 5 and l_max = 10.
    "bouncing-balls": Balls(balls=2, slow=1.0, fast=2.0, noise=0.1),
    # Open in the paper: speed, radius, size, colours, and that another colour is always drawn. Its Table 2 uses 1.22
    # levels on average, so about 21 % of the frames are changes: 4 pixels a frame. Sequences have 100 frames.
    "moving-ball": Balls(balls=1, slow=4.0, fast=4.0),
    # Zakharov et al. use sequences of 300 frames and say no more. Open in Srivastava et al.: the range of speeds; usual
    # is a tenth of a digit's room a frame, 3.6 pixels. Here a digit has 3 to 4.2 and keeps it, so that nothing but the
    # start is left to chance. It is drawn at whole pixels, unchanged, and is reflected where its picture, not its ink,
    # meets the frame's edge: in 12 % of the frames.
    "moving-mnist": MovingMNIST(slow=3.0, fast=4.2),
    # Zakharov et al. use sequences of 200 frames. Chosen: one maze a sequence; one cell or one turn a frame; the camera
    # of our environment with its jitter.
    "mazes": Mazes(),
}

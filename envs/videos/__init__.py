"""Videos with true change points: frames without actions or goals. A data set is one dataclass and one entry here.

*Bouncing Balls* is from Kim et al. 2019, section 5.1, *Moving Ball* from Zakharov et al. 2022, sections 4.3 and 4.4,
*Moving MNIST* from Srivastava et al. 2015. Each class states the choices that its paper leaves open. *Mazes* replace
the DeepMind Lab mazes of Zakharov et al., which cannot be regenerated.

**Change points.** Frame t is a change point (`change` = 1) if it is the first with a new colour of a ball, direction of
a digit, or part of a maze: it starts a new subsequence. In VTA's terms, a subsequence ends at t - 1: m_{t-1} = 1. The
first frame of a sequence is never a change point.
"""

from envs.videos.balls import PALETTE, Balls, BouncingBalls, MovingBall
from envs.videos.mazes import Mazes
from envs.videos.moving_mnist import MovingMNIST
from envs.videos.video import Fields, Video

__all__ = ["DATASETS", "PALETTE", "Balls", "BouncingBalls", "Fields", "Mazes", "MovingBall", "MovingMNIST", "Video"]

DATASETS: dict[str, Video] = {video.name: video for video in (BouncingBalls(), MovingBall(), MovingMNIST(), Mazes())}
"""every data set with its default settings, by name"""

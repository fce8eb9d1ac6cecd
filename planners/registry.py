"""The planners by name in results and on the command line. A new planner is one file and one entry here."""

from planners.cem import CEM
from planners.interface import Planner
from planners.mcts import MCTS
from planners.merging import Merging
from planners.shooting import Shooting
from planners.tree import TreeSearch

PLANNERS: dict[str, type[Planner]] = {planner.kind: planner for planner in (TreeSearch, Shooting, MCTS, CEM, Merging)}

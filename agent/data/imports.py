"""`jumpy import`: data sets of others, by name."""

import inspect
from typing import Any

from agent.data.exchange.minari import ImportMinariConfig, import_minari
from agent.data.import_videos import IMPORTS as VIDEOS
from agent.data.import_videos import import_videos
from agent.data.replay import Replay

IMPORTS: dict[str, Any] = {**VIDEOS, "minari": (ImportMinariConfig, str(inspect.getdoc(ImportMinariConfig)))}
"""configuration and help of `jumpy import NAME`"""


def import_data(config: Any) -> Replay:
    """Read what a configuration in `IMPORTS` names into a data set, and open it."""
    return import_minari(config) if isinstance(config, ImportMinariConfig) else import_videos(config)

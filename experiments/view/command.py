"""`jumpy view`: a page on this machine on which one sees agents imagine."""

from __future__ import annotations

import socket
import sys
import threading
import webbrowser
from dataclasses import dataclass, field

from agent.system.device import choose_device
from agent.system.threads import threads
from envs.camera import Camera
from envs.extras import import_extra
from experiments.view.agents import show_agents
from experiments.view.moment import Scene

ADDRESS = "127.0.0.1"
WHAT = "jumpy view"


@dataclass(frozen=True)
class ViewConfig:
    """See agents imagine, on a page that only this machine can open: click a goal, step, compare, walk yourself."""

    agents: tuple[str, ...] = ("hrssm=pretrained", "rssm=pretrained", "dlh=pretrained")
    """Trained runs as in 'jumpy benchmark': LABEL=RUN. The random agent and the shortest path are always there."""
    layout: str | None = None
    """The maze; default: that in which the first run was trained."""
    port: int = 0
    """Port of the page; 0 takes a free one."""
    browser: bool = True
    """Open the page in the browser."""
    camera: Camera = field(default_factory=Camera)
    """Camera of the agents."""
    device: str = "cpu"
    """cpu, cuda or auto; single decisions are faster on the CPU."""

    def __post_init__(self) -> None:
        """Validate the port."""
        if not 0 <= self.port < 2**16:
            raise ValueError(f"--port must be from 0 (a free one) to 65535, got {self.port}")


def view(config: ViewConfig) -> None:
    """Serve the page until the command is interrupted.

    Raises:
        ValueError: if an agent or the layout cannot be used, or a package of the extra `view` is missing.
        OSError: if no port can be opened.
    """
    uvicorn = import_extra("uvicorn", "view", WHAT)
    import_extra("starlette", "view", WHAT)
    from experiments.view.server import application

    device = choose_device(config.device)
    layout, agents = show_agents(config.agents, config.layout, config.camera, device)
    scene = Scene(layout, agents, config.camera, device)
    with _listening(config.port) as listener, threads(1):
        port = listener.getsockname()[1]
        address = f"http://{ADDRESS}:{port}/"
        print(f"{address} shows {', '.join(scene.agents)} in the maze {layout.name}; Ctrl-C ends it", flush=True)
        if config.browser:
            threading.Thread(target=_open, args=(address,), daemon=True).start()
        settings = uvicorn.Config(
            application(scene, port), log_level="warning", lifespan="off", timeout_graceful_shutdown=1
        )
        uvicorn.Server(settings).run(sockets=[listener])


def _listening(port: int) -> socket.socket:
    """A socket at this port, or at a free one where it is taken."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((ADDRESS, port))
    except OSError as error:
        if not port:
            raise
        print(f"port {port} cannot be used ({error.strerror}): a free one is taken", file=sys.stderr)
        listener.bind((ADDRESS, 0))
    listener.listen()
    return listener


def _open(address: str) -> None:
    """Open the page; where there is no browser, its address was printed."""
    try:
        opened = webbrowser.open(address)
    except webbrowser.Error:
        opened = False
    if not opened:
        print(f"no browser was found: open {address} in one, or use --no-browser", file=sys.stderr)

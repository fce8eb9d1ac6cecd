"""The page's server: Starlette, for this machine only.

A page of another site may send requests to this machine, too. It is refused: the Host must be this server's own address
(so that no other name can be bound to it), and an Origin, where a browser names one, this server's own page.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from experiments.view.agents import Gone
from experiments.view.moment import Scene

LONGEST = 64 * 1024
"""bytes of a request's body"""
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
Answer = Callable[[dict[str, Any]], dict[str, Any]]


def application(scene: Scene, port: int) -> Starlette:
    """The page of a scene, served at a port of 127.0.0.1."""
    page = {file.name: file.read_bytes() for file in (files("experiments.view") / "page").iterdir() if file.is_file()}

    async def static(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in page:
            return _refused(404, f"there is no {name}")
        return Response(page[name], media_type=TYPES[name.rsplit(".", 1)[-1]])

    async def setup(request: Request) -> Response:
        return JSONResponse(scene.setup())

    routes = [Route("/", static), Route("/page/{name}", static), Route("/api/setup", setup)]
    routes += [
        Route(f"/api/{answer.__name__}", _post(answer), methods=["POST"]) for answer in (scene.episode, scene.moment)
    ]
    return Starlette(routes=routes, middleware=[Middleware(_Guard, port=port)])


def _post(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that answers a JSON object; a ValueError of the answer is the sender's fault."""

    async def endpoint(request: Request) -> Response:
        if request.headers.get("content-type", "").split(";")[0] != "application/json":
            return _refused(400, "a request must be of the type application/json")
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > LONGEST:
                return _refused(400, f"a request has at most {LONGEST} bytes")
        try:
            asked = json.loads(body)
            if not isinstance(asked, dict):
                raise ValueError(f"a request must be a JSON object, got {asked!r:.100}")
            return JSONResponse(await run_in_threadpool(answer, asked))
        except Gone as error:
            return _refused(410, str(error))
        except (ValueError, RecursionError) as error:
            return _refused(400, str(error))

    return endpoint


class _Guard(BaseHTTPMiddleware):
    """Refuses what does not come from this server's own page, and sets the headers of every response."""

    def __init__(self, app: Any, port: int) -> None:
        super().__init__(app)
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    async def dispatch(self, request: Request, call_next: Any) -> Response:
        """See `BaseHTTPMiddleware`."""
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        site = request.headers.get("sec-fetch-site", "none")
        ours = host in self._hosts and origin in (None, f"http://{host}") and site in ("none", "same-origin")
        response = await call_next(request) if ours else _refused(403, "only this server's own page is answered")
        response.headers.update(HEADERS)
        return response


def _refused(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status_code=status)

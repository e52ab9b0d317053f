"""A real server of the engine on this machine, for as long as a test needs it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from app.cli.engine.server import KEEP_ALIVE_SECONDS, ServerOptions, create_app
from inference_backend import ChatModel


@contextmanager
def serving(model: ChatModel, options: ServerOptions | None = None) -> Iterator[str]:
    """The base URL of a server that runs in a thread; the model ends with it."""
    app = create_app(model, options)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = uvicorn.Config(app, port=port, log_level="error", timeout_keep_alive=KEEP_ALIVE_SECONDS)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()

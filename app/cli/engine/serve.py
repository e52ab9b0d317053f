"""`engine serve`: load the model, then listen."""

from __future__ import annotations

from dataclasses import dataclass

import typer

from app.cli.engine.server import KEEP_ALIVE_SECONDS, ServerOptions, create_app
from app.cli.engine.settings import EngineOptions, engine_settings, spare_collector
from app.cli.progress import progress
from inference_backend import ChatModel, open_model


@dataclass(frozen=True, slots=True)
class Serving:
    """Where to listen, under which name, and for whom."""

    host: str
    port: int
    name: str | None
    api_key: str | None
    adapter_routes: bool


def run_server(options: EngineOptions, serving: Serving) -> None:
    """Serve until interrupted; answers under way are finished first.

    Raises:
        EngineError: the model cannot be loaded.
    """
    import uvicorn

    settings = engine_settings(options)
    with progress(f"Loading {options.model} ..."):
        model = ChatModel(open_model(settings, serving.name))
    spare_collector()
    app = create_app(model, ServerOptions(api_key=serving.api_key, adapter_routes=serving.adapter_routes))
    typer.echo(f"Serving {model.name} on http://{serving.host}:{serving.port}/v1")
    uvicorn.run(
        app,
        host=serving.host,
        port=serving.port,
        log_level="warning",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=30,
    )

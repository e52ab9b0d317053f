"""`nemoguardrails intents report`: how well a configuration tells its intents apart, on a labelled file."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from app.bundled import find_config
from app.cli.progress import progress
from app.errors import UsageError

if TYPE_CHECKING:
    from rails_engine.retrieval.intents import IntentReport


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """The configuration, the labelled file, how many confusions to show, and whether to print JSON."""

    config: str
    labels: Path
    confusions: int = 10
    as_json: bool = False


def run_intents_report(options: ReportOptions) -> None:
    """Print the report.

    Raises:
        UsageError: no such configuration, no intents in it, or a file that holds no labelled utterances.
    """
    from rails_engine.retrieval.intents import render

    report = asyncio.run(_report(options))
    if options.as_json:
        typer.echo(json.dumps(_plain(asdict(report)), indent=1, allow_nan=False))
    else:
        typer.echo(render(report, options.confusions))


def _plain(value: Any) -> Any:
    """JSON has no NaN: a share of nothing is null."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


async def _report(options: ReportOptions) -> IntentReport:
    from rails_engine.config import RailsConfig
    from rails_engine.retrieval import DocumentError, RetrievalSetup
    from rails_engine.retrieval.intents import Rule, make_report, read_labelled

    config = RailsConfig.from_path(find_config(options.config))
    try:
        examples = read_labelled(options.labels)
    except DocumentError as error:
        raise UsageError(str(error)) from error
    if not any(config.user_messages.values()):
        raise UsageError(f"{options.config}: there are no user intents with examples (`define user ...`)")
    if not examples:
        raise UsageError(f"{options.labels}: there are no utterances in it")
    setup = RetrievalSetup(config)
    intents = setup.intents()
    with progress("Learning the intents ..."):
        await intents.build()
    said = config.rails.dialog.user_messages
    threshold = said.embeddings_only_similarity_threshold if said.embeddings_only else None
    rule = Rule(
        setup.threshold(threshold) if threshold else None,
        said.embeddings_only_fallback_intent if said.embeddings_only else None,
    )
    with progress(f"Matching {len(examples)} utterances ..."):
        report = await make_report(intents, examples, rule)
    await setup.aclose()
    return report

"""The commands and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.engine import engine
from app.cli.faults import explained
from app.errors import UsageError

app = typer.Typer(
    name="nemoguardrails",
    help="Programmable guardrails for conversational applications.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


app.add_typer(engine)


def main(version: str) -> None:
    """Read the command line and run it; `version` is what `--version` says."""
    command(version)(prog_name="nemoguardrails")


def command(version: str) -> typer.Typer:
    """The command line as an object, to be called; `version` is what `--version` says."""
    app.info.context_settings = {**(app.info.context_settings or {}), "obj": version}
    return app


def _show_version(context: typer.Context, wanted: bool) -> None:
    if wanted:
        typer.echo(context.obj)
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", "-v", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Programmable guardrails for conversational applications."""


@app.command()
def chat(  # noqa: PLR0913, PLR0917 -- its parameters are the options of the command
    config: Annotated[
        list[str], typer.Option(help="Folder or file of the configuration, or the name of a bundled one.")
    ] = ["config"],  # noqa: B006 -- typer copies it
    verbose: Annotated[
        bool, typer.Option(help="Show what happens inside, prompts and completions included.")
    ] = False,
    verbose_no_llm: Annotated[
        bool, typer.Option(help="As --verbose, without prompts and completions.")
    ] = False,
    verbose_simplify: Annotated[
        bool, typer.Option(help="As --verbose, each thing on one short line.")
    ] = False,
    debug_level: Annotated[
        list[str] | None,
        typer.Option(
            help="Log messages to show: WARNING, INFO or DEBUG. The latter two show what --verbose does, too.",
            show_default=False,
        ),
    ] = None,
    streaming: Annotated[bool, typer.Option(help="Show answers of a model while they are written.")] = False,
    server_url: Annotated[
        str | None, typer.Option(help="Talk to the guardrails server at this address; needs --config-id.")
    ] = None,
    config_id: Annotated[str | None, typer.Option(help="The configuration of that server to use.")] = None,
) -> None:
    """Start a conversation: in a terminal, or over a pipe (one line a turn)."""
    with explained():
        from app.cli.chat import ChatOptions, Remote, run_chat
        from app.cli.logs import Verbosity

        if len(config) > 1:
            raise UsageError(f"One configuration at a time, please; --config was given {len(config)} times.")
        verbosity = Verbosity.of(
            verbose=verbose, no_llm=verbose_no_llm, simplify=verbose_simplify, levels=debug_level or []
        )
        run_chat(ChatOptions(config[0], streaming, verbosity, Remote.of(server_url, config_id)))


@app.command()
def check(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", help="Folders or files of configurations.")
    ],
    strict: Annotated[bool, typer.Option("--strict", help="Count warnings as errors.")] = False,
) -> None:
    """Report every problem of a configuration at once: exit 0 when clean, 1 with errors, 2 on wrong usage."""
    with explained():
        from app.cli.check import run_check

        raise typer.Exit(run_check(paths, strict=strict))


intents = typer.Typer(help="Look at how user intents are told apart.", no_args_is_help=True)
app.add_typer(intents, name="intents")


@intents.command()
def report(
    labels: Annotated[
        Path,
        typer.Option(help="Labelled utterances: CSV or TSV with the columns text and intent, or JSON lines."),
    ],
    config: Annotated[
        str, typer.Option(help="Folder or file of the configuration, or the name of a bundled one.")
    ] = "config",
    confusions: Annotated[int, typer.Option(min=0, help="How many confusions to show.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print every figure as JSON.")] = False,
) -> None:
    """Print how often intents are confused, and how well utterances without one are recognised."""
    with explained():
        from app.cli.intents import ReportOptions, run_intents_report

        run_intents_report(ReportOptions(config, labels, confusions, as_json))

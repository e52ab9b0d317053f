"""The commands of `nemoguardrails engine` and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.faults import explained

engine = typer.Typer(
    name="engine", help="The LLM engine: serve, measure, plan and build models.", no_args_is_help=True
)

ModelFolder = Annotated[
    Path, typer.Argument(metavar="MODEL", help="Folder of a checkpoint or of a built engine.")
]
Quantization = Annotated[
    str | None, typer.Option(help="fp8, int8-weights, smoothquant or int4; left out: as the folder has it.")
]
KVType = Annotated[str, typer.Option("--kv-dtype", help="auto, fp8 or int8.")]
DeviceName = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


@engine.command()
def serve(  # noqa: PLR0913, PLR0917 -- the options of a command line
    model: ModelFolder,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    name: Annotated[
        str | None, typer.Option("--served-model-name", help="Left out: the folder's name.")
    ] = None,
    device: DeviceName = "auto",
    quantization: Quantization = None,
    kv_dtype: KVType = "auto",
    max_sequences: Annotated[int, typer.Option(help="Sequences in one step at most.")] = 256,
    max_step_tokens: Annotated[int, typer.Option(help="Tokens in one step at most.")] = 2048,
    max_positions: Annotated[int | None, typer.Option(help="Longest sequence, in tokens.")] = None,
    max_waiting: Annotated[int, typer.Option(help="Sequences that may wait; beyond, 503.")] = 4096,
    dtype: Annotated[str, typer.Option(help="auto, float32, float16 or bfloat16.")] = "auto",
    kv_memory: Annotated[
        float | None, typer.Option("--kv-memory-gib", help="Memory of the KV cache; left out: what is free.")
    ] = None,
    tensor_parallel: Annotated[int, typer.Option(help="GPUs that share each layer.")] = 1,
    pipeline_parallel: Annotated[int, typer.Option(help="Stages that the layers are cut into.")] = 1,
    speculation: Annotated[str, typer.Option(help="off, ngram or draft.")] = "off",
    draft_model: Annotated[str | None, typer.Option(help="Folder of the draft model.")] = None,
    adapters: Annotated[int, typer.Option("--max-adapters", help="LoRA adapters held at once.")] = 0,
    prefix_tokens: Annotated[
        int, typer.Option("--max-prefix-tokens", help="Virtual tokens of prompt-tuned prefixes held at once.")
    ] = 0,
    api_key: Annotated[
        str | None, typer.Option(envvar="NEMOGUARDRAILS_ENGINE_API_KEY", help="Key that callers must send.")
    ] = None,
    allow_adapter_loading: Annotated[
        bool, typer.Option(help="Let callers load adapters and prefixes from this machine's disk.")
    ] = False,
) -> None:
    """Serve a model over OpenAI's HTTP API."""
    with explained():
        from app.cli.engine.serve import Serving, run_server
        from app.cli.engine.settings import EngineOptions

        options = EngineOptions(
            model=model,
            device=device,
            quantization=quantization,
            kv_dtype=kv_dtype,
            max_sequences=max_sequences,
            max_step_tokens=max_step_tokens,
            max_positions=max_positions,
            max_waiting=max_waiting,
            dtype=dtype,
            kv_memory_gib=kv_memory,
            tensor_parallel=tensor_parallel,
            pipeline_parallel=pipeline_parallel,
            speculation=speculation,
            draft_model=draft_model,
            max_adapters=adapters,
            max_prefix_tokens=prefix_tokens,
        )
        run_server(options, Serving(host, port, name, api_key, allow_adapter_loading))


@engine.command()
def bench(  # noqa: PLR0913, PLR0917 -- the options of a command line
    model: ModelFolder,
    requests: Annotated[int, typer.Option(help="Requests, all sent at once.")] = 32,
    prompt_tokens: Annotated[int, typer.Option(help="Tokens of each prompt.")] = 128,
    output_tokens: Annotated[int, typer.Option(help="Tokens of each answer; its end is ignored.")] = 128,
    device: DeviceName = "auto",
    quantization: Quantization = None,
    kv_dtype: KVType = "auto",
    random_weights: Annotated[bool, typer.Option(help="Draw weights: config.json is enough.")] = False,
    gpu: Annotated[
        str | None, typer.Option(help="Card to compare with the roofline of (see `plan`).")
    ] = None,
) -> None:
    """Measure output tokens a second, first-token and inter-token time."""
    with explained():
        from app.cli.engine.bench import Workload, run_bench
        from app.cli.engine.settings import EngineOptions

        options = EngineOptions(
            model=model,
            device=device,
            quantization=quantization,
            kv_dtype=kv_dtype,
            random_weights=random_weights,
        )
        run_bench(options, Workload(requests, prompt_tokens, output_tokens, gpu))


@engine.command()
def plan(  # noqa: PLR0913, PLR0917 -- the options of a command line
    model: ModelFolder,
    gpu: Annotated[str, typer.Option(help="h200, h100, a100, l40s, l4, a10 or b200.")] = "h200",
    quantization: Quantization = None,
    kv_dtype: KVType = "auto",
    prompt_tokens: Annotated[int, typer.Option(help="Tokens of a prompt.")] = 1024,
    output_tokens: Annotated[int, typer.Option(help="Tokens of an answer.")] = 256,
    batch: Annotated[
        int | None, typer.Option(help="Sequences at once; left out: as many as fit, to 512.")
    ] = None,
    tensor_parallel: Annotated[int, typer.Option(min=1, help="Cards that share each layer.")] = 1,
) -> None:
    """Predict memory, batch and tokens a second from config.json, before anything is loaded."""
    with explained():
        from app.cli.engine.plan import run_plan
        from app.cli.engine.settings import EngineOptions
        from inference_backend import Load

        options = EngineOptions(model=model, quantization=quantization, kv_dtype=kv_dtype)
        run_plan(options, gpu, Load(prompt_tokens, output_tokens, batch, tensor_parallel))


@engine.command()
def build(
    model: ModelFolder,
    out: Annotated[Path, typer.Option(help="Folder to write; continued if a build was stopped there.")],
    quantization: Annotated[str, typer.Option(help="fp8, int8-weights, smoothquant or int4.")] = "fp8",
) -> None:
    """Write an engine folder: quantised, loadable without the original."""
    with explained():
        from app.cli.engine.build import run_build

        run_build(model, out, quantization)

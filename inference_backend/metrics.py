"""What an engine measures, under the names that vLLM's dashboards and routers read."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from inference_backend.executor import Capacity
from inference_backend.scheduler import Scheduler
from inference_backend.sequence import Sequence
from inference_backend.values import FinishReason, SamplingParameters, Usage

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_TOKENS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000)
_STEP_TOKENS = (1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384)
_CHOICES = (1, 2, 5, 10, 20)
_LABELS = ("model_name",)
_REASONS: dict[FinishReason, str] = {
    "stop": "stop",
    "length": "length",
    "cancelled": "abort",
    "error": "error",
}


class _TokenTimes(Collector):
    """Inter-token times under their present and their former name.

    A step gives hundreds of sequences a token after the same time; the library's own histogram takes one call for each.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._counts = [0] * (len(_SECONDS) + 1)
        self._sum = 0.0

    def add(self, seconds: float, count: int) -> None:
        """Count the same time between two tokens for several sequences."""
        self._counts[bisect_left(_SECONDS, seconds)] += count
        self._sum += seconds * count

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """See `Collector.collect`."""
        bounds = [*(str(bound) for bound in _SECONDS), "+Inf"]
        buckets = list(zip(bounds, accumulate(self._counts), strict=True))
        for name in ("inter_token_latency_seconds", "time_per_output_token_seconds"):
            family = HistogramMetricFamily(f"vllm:{name}", "Between two tokens of a request", labels=_LABELS)
            family.add_metric([self._model], buckets, self._sum)
            yield family


class _AdaptersInUse(Collector):
    """Which LoRA adapters running and waiting requests name: routers send a request where its adapter is at work."""

    def __init__(self) -> None:
        self.limit = 0
        self._running = self._waiting = ""
        self._since = 0.0

    def set(self, running: Iterable[str], waiting: Iterable[str]) -> None:
        """The adapters that running and waiting requests name, from now on."""
        self._running, self._waiting = ",".join(sorted(running)), ",".join(sorted(waiting))
        self._since = time.time()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """See `Collector.collect`."""
        labels = ("max_lora", "running_lora_adapters", "waiting_lora_adapters")
        family = GaugeMetricFamily(
            "vllm:lora_requests_info", "Adapters in use, and since when", labels=labels
        )
        if self.limit:
            family.add_metric([str(self.limit), self._running, self._waiting], self._since)
        yield family


@dataclass(frozen=True, slots=True)
class Ended:
    """One choice's end; times are of the engine's clock in seconds, None for what it never came to."""

    sampling: SamplingParameters
    usage: Usage
    finish: FinishReason
    arrived: float
    started: float | None
    first_token: float | None
    at: float


class EngineMetrics:
    """Counters, gauges and histograms in a registry of their own."""

    def __init__(self, model: str = "") -> None:
        self.registry = CollectorRegistry()
        self._model = model
        self._running = self._gauge("num_requests_running", "Sequences in the running batch")
        self._waiting = self._gauge("num_requests_waiting", "Sequences in the waiting line")
        # The share of KV blocks in use goes under its present and its former name: routers read either.
        self._usage = [
            self._gauge(name, "Share of KV cache blocks in use, 0 to 1")
            for name in ("kv_cache_usage_perc", "gpu_cache_usage_perc")
        ]
        self._hit_rate = self._gauge("gpu_prefix_cache_hit_rate", "Prefix cache hits over queries, in tokens")
        self._totals = {
            name: self._counter(name, text)
            for name, text in (
                ("prefix_cache_queries", "Prompt tokens looked up in the prefix cache"),
                ("prefix_cache_hits", "Prompt tokens found in the prefix cache"),
                ("gpu_prefix_cache_queries", "Prompt tokens looked up in the prefix cache"),
                ("gpu_prefix_cache_hits", "Prompt tokens found in the prefix cache"),
                ("num_preemptions", "Sequences that had to give their blocks back"),
                ("spec_decode_num_drafts", "Drafts that were verified"),
                ("spec_decode_num_draft_tokens", "Tokens of these drafts"),
                ("spec_decode_num_accepted_tokens", "Draft tokens that held"),
            )
        }
        self._seen = dict.fromkeys(self._totals, 0)
        self._prompt = self._counter("prompt_tokens", "Prompt tokens of requests that have started")
        self._generated = self._counter("generation_tokens", "Generated tokens")
        self._ended = Counter(
            "vllm:request_success", "Ended sequences", (*_LABELS, "finished_reason"), registry=self.registry
        )
        self._first = self._histogram("time_to_first_token_seconds", "From arrival to the first token")
        self._between = _TokenTimes(model)
        self.registry.register(self._between)
        self._queue = self._histogram("request_queue_time_seconds", "From arrival to the first step")
        self._whole = self._histogram("e2e_request_latency_seconds", "From arrival to the end")
        self._inference = self._histogram("request_inference_time_seconds", "From the first step to the end")
        self._prefill = self._histogram(
            "request_prefill_time_seconds", "From the first step to the first token"
        )
        self._decode = self._histogram("request_decode_time_seconds", "From the first token to the end")
        self._each = self._histogram(
            "request_time_per_output_token_seconds", "A request's time per token after the first"
        )
        self._step = self._histogram("iteration_tokens_total", "Tokens computed in a step", _STEP_TOKENS)
        self._request_prompt = self._histogram("request_prompt_tokens", "Prompt tokens of a request", _TOKENS)
        self._request_generated = self._histogram(
            "request_generation_tokens", "Generated tokens of a request", _TOKENS
        )
        self._request_limit = self._histogram("request_params_max_tokens", "max_tokens of a request", _TOKENS)
        self._request_longest = self._histogram(
            "request_max_num_generation_tokens", "Tokens that a request may generate", _TOKENS
        )
        self._request_choices = self._histogram("request_params_n", "Choices of a request", _CHOICES)
        self._adapters = _AdaptersInUse()
        self.registry.register(self._adapters)

    def describe(self, capacity: Capacity, max_adapters: int, *, prefix_caching: bool) -> None:
        """What never changes, once at the start."""
        labels = {
            "block_size": str(capacity.block_size),
            "num_gpu_blocks": str(capacity.blocks),
            "enable_prefix_caching": str(prefix_caching),
        }
        info = Gauge("vllm:cache_config_info", "The KV cache", (*_LABELS, *labels), registry=self.registry)
        info.labels(self._model, *labels.values()).set(1)
        self._adapters.limit = max_adapters

    def observe_load(self, scheduler: Scheduler) -> None:
        """Once per step."""
        self._running.set(len(scheduler.running))
        self._waiting.set(len(scheduler.waiting))
        for gauge in self._usage:
            gauge.set(scheduler.usage)
        counters = scheduler.counters
        self._hit_rate.set(counters.prefix_hits / counters.prefix_queries if counters.prefix_queries else 0.0)
        queries, hits = counters.prefix_queries, counters.prefix_hits
        self._raise_to("prefix_cache_queries", queries)
        self._raise_to("gpu_prefix_cache_queries", queries)
        self._raise_to("prefix_cache_hits", hits)
        self._raise_to("gpu_prefix_cache_hits", hits)
        self._raise_to("num_preemptions", counters.preemptions)
        self._raise_to("spec_decode_num_drafts", counters.drafts)
        self._raise_to("spec_decode_num_draft_tokens", counters.drafted)
        self._raise_to("spec_decode_num_accepted_tokens", counters.accepted)
        if self._adapters.limit:
            self._adapters.set(_adapters_of(scheduler.running), _adapters_of(scheduler.waiting))

    def observe_step(self, computed: int) -> None:
        """Tokens of a step that is launched."""
        self._step.observe(computed)

    def observe_start(self, prompt_tokens: int, seconds: float) -> None:
        """A request's first step."""
        self._prompt.inc(prompt_tokens)
        self._queue.observe(seconds)

    def observe_generated(self, tokens: int) -> None:
        """Once per step."""
        self._generated.inc(tokens)

    def observe_first_token(self, seconds: float) -> None:
        """Seconds from a request's arrival to its first token."""
        self._first.observe(seconds)

    def observe_tokens(self, gaps: Mapping[float, int]) -> None:
        """Once per step: seconds since each sequence's token before, and how many sequences had that gap."""
        for seconds, count in gaps.items():
            self._between.add(seconds, count)

    def observe_end(self, ended: Ended) -> None:
        """Once per choice, however it ended."""
        self._ended.labels(self._model, _REASONS[ended.finish]).inc()
        self._whole.observe(ended.at - ended.arrived)
        self._request_prompt.observe(ended.usage.prompt_tokens)
        self._request_generated.observe(ended.usage.completion_tokens)
        self._request_choices.observe(ended.sampling.n)
        if ended.sampling.max_tokens is not None:
            self._request_limit.observe(ended.sampling.max_tokens)
            self._request_longest.observe(ended.sampling.max_tokens)
        if ended.started is not None:
            self._inference.observe(ended.at - ended.started)
        if ended.started is not None and ended.first_token is not None:
            self._prefill.observe(ended.first_token - ended.started)
            self._decode.observe(ended.at - ended.first_token)
            if ended.usage.completion_tokens > 1:
                self._each.observe((ended.at - ended.first_token) / (ended.usage.completion_tokens - 1))

    def text(self) -> bytes:
        """The exposition format that Prometheus scrapes."""
        return generate_latest(self.registry)

    def _raise_to(self, name: str, total: int) -> None:
        self._totals[name].inc(total - self._seen[name])
        self._seen[name] = total

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"vllm:{name}", text, _LABELS, registry=self.registry).labels(self._model)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(f"vllm:{name}", text, _LABELS, registry=self.registry).labels(self._model)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...] = _SECONDS) -> Histogram:
        made = Histogram(f"vllm:{name}", text, _LABELS, registry=self.registry, buckets=buckets)
        return made.labels(self._model)


def _adapters_of(sequences: Iterable[Sequence]) -> set[str]:
    return {sequence.request.adapter for sequence in sequences if sequence.request.adapter}

"""What an engine measures, under the names that vLLM's dashboards and routers read."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from inference_backend.scheduler import Scheduler
from inference_backend.values import FinishReason, Usage

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_LABELS = ("model_name",)


class _TokenTimes(Collector):
    """Inter-token times under their present and their former name.

    A step gives hundreds of sequences a token after the same time; the library's own histogram takes one call for each.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._counts = [0] * (len(_SECONDS) + 1)
        self._sum = 0.0

    def add(self, seconds: float, count: int) -> None:
        self._counts[bisect_left(_SECONDS, seconds)] += count
        self._sum += seconds * count

    def collect(self) -> Iterable[HistogramMetricFamily]:
        bounds = [*(str(bound) for bound in _SECONDS), "+Inf"]
        buckets = list(zip(bounds, accumulate(self._counts), strict=True))
        for name in ("inter_token_latency_seconds", "time_per_output_token_seconds"):
            family = HistogramMetricFamily(f"vllm:{name}", "Between two tokens of a request", labels=_LABELS)
            family.add_metric([self._model], buckets, self._sum)
            yield family


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
            )
        }
        self._seen = dict.fromkeys(self._totals, 0)
        self._prompt = self._counter("prompt_tokens", "Prompt tokens of ended sequences")
        self._generated = self._counter("generation_tokens", "Generated tokens of ended sequences")
        self._ended = Counter(
            "vllm:request_success", "Ended sequences", (*_LABELS, "finished_reason"), registry=self.registry
        )
        self._first = self._histogram("time_to_first_token_seconds", "From arrival to the first token")
        self._between = _TokenTimes(model)
        self.registry.register(self._between)
        self._queue = self._histogram("request_queue_time_seconds", "From arrival to the first step")
        self._whole = self._histogram("e2e_request_latency_seconds", "From arrival to the end")

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

    def observe_queue(self, seconds: float) -> None:
        self._queue.observe(seconds)

    def observe_first_token(self, seconds: float) -> None:
        self._first.observe(seconds)

    def observe_tokens(self, gaps: Mapping[float, int]) -> None:
        """Once per step: seconds since each sequence's token before, and how many sequences had that gap."""
        for seconds, count in gaps.items():
            self._between.add(seconds, count)

    def observe_end(self, usage: Usage, finish: FinishReason, seconds: float) -> None:
        self._prompt.inc(usage.prompt_tokens)
        self._generated.inc(usage.completion_tokens)
        self._ended.labels(self._model, finish).inc()
        self._whole.observe(seconds)

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

    def _histogram(self, name: str, text: str) -> Histogram:
        made = Histogram(f"vllm:{name}", text, _LABELS, registry=self.registry, buckets=_SECONDS)
        return made.labels(self._model)

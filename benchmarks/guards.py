"""How well the rails judge that need no model: injections, padded texts, personal data.

    python benchmarks/guards.py [--data ../shared/data] [--limit 400]

Everything goes through `LLMRails.check`. `caught` is the share of a set that is blocked; of harmless sets it is the share
of false alarms. The sets: garak's payloads of SQL, HTML and Python; paragraphs of XQuAD and prompts of XSTest, which are
harmless here; sentences of presidio-research with the spans of personal data, of which those with an entity that is found
by a pattern should be blocked, and those without any personal data should not.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from nemoguardrails import LLMRails, RailsConfig  # noqa: E402  # the path comes first
from nemoguardrails.rails.llm.options import RailStatus  # noqa: E402

INJECTION = "output: {flows: [injection detection]}, config: {injection_detection: {injections: [code, sqli, template, xss]}}"
BLOAT = "input: {flows: [context bloat detection on input]}"
ENTITIES = ("CREDIT_CARD", "EMAIL_ADDRESS", "IBAN_CODE", "IP_ADDRESS", "PHONE_NUMBER", "US_SSN")
PERSONAL = (
    "input: {flows: [detect sensitive data on input]}, config: {sensitive_data_detection: {language_model: none, "
    f"input: {{entities: [{', '.join(ENTITIES)}]}}}}}}"
)


def opened(rails: str) -> LLMRails:
    return LLMRails(RailsConfig.from_content(None, f"models: []\nrails: {{{rails}}}\n"))


async def measure(title: str, rails: str, role: str, texts: Sequence[str]) -> None:
    app = opened(rails)
    blocked = 0
    begun = time.process_time()
    for text in texts:
        result = await app.check_async([{"role": role, "content": text}])
        blocked += result.status is RailStatus.BLOCKED
    each = (time.process_time() - begun) / max(1, len(texts)) * 1000
    share = blocked / max(1, len(texts))
    print(f"{title:<44} {len(texts):>5}  caught {share:6.3f}  {each:7.2f} ms")


def payloads(data: Path, name: str) -> list[str]:
    found = json.loads((data / "garak_jailbreaks" / "payloads" / f"{name}.json").read_text(encoding="utf-8"))
    return [text for text in found["payloads"] if text.strip()]


def paragraphs(data: Path) -> Iterator[str]:
    for article in json.loads((data / "xquad" / "xquad.en.json").read_text(encoding="utf-8"))["data"]:
        yield from (paragraph["context"] for paragraph in article["paragraphs"])


def prompts(data: Path) -> list[str]:
    with (data / "xstest" / "xstest_prompts.csv").open(encoding="utf-8", newline="") as file:
        return [row["prompt"] for row in csv.DictReader(file)]


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--limit", type=int, default=400)
    given = parser.parse_args()
    data, limit = given.data, given.limit
    for name in ("sql_injection", "web_html_js", "python_code_execution"):
        await measure(
            f"injection detection, garak {name}", INJECTION, "assistant", payloads(data, name)[:limit]
        )
    harmless = list(paragraphs(data))[:limit]
    await measure("injection detection, XQuAD (harmless)", INJECTION, "assistant", harmless)
    await measure("injection detection, XSTest (harmless)", INJECTION, "assistant", prompts(data)[:limit])
    await measure(
        "context bloat, padded XQuAD", BLOAT, "user", [text + " pad pad" * 200 for text in harmless]
    )
    await measure("context bloat, XQuAD (harmless)", BLOAT, "user", harmless)
    await measure("context bloat, XSTest (harmless)", BLOAT, "user", prompts(data)[:limit])
    rows = json.loads((data / "presidio_pii" / "synth_dataset_v2.json").read_text(encoding="utf-8"))
    for entity in ENTITIES:
        found = [row["full_text"] for row in rows if any(s["entity_type"] == entity for s in row["spans"])]
        await measure(f"sensitive data, {entity}", PERSONAL, "user", found[:limit])
    clean = [row["full_text"] for row in rows if not row["spans"]]
    await measure("sensitive data, sentences without any", PERSONAL, "user", clean[:limit])


if __name__ == "__main__":
    asyncio.run(main())

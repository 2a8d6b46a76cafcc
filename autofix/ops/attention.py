"""Sequences: attention, transformers, recurrent layers, and the embedding of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import nn

from autofix.condition import divides, equal
from autofix.fault import Code
from autofix.ops.base import Call, Refused, Tensor, Unmodelled, numel, register, same_features, same_number
from autofix.ops.index import Integers, in_reach
from autofix.ops.join import broadcast, broadcast_into
from autofix.size import Dim


def _same(call: Call, left: Dim, right: Dim, what: str) -> None:
    same_number(call, left, right, Code.JOIN, what)


def scaled_dot_product_attention(
    call: Call,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """torch.nn.functional.scaled_dot_product_attention: L, E with S, E and S, V -> L, V."""
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise Refused("attention over tensors with fewer than 2 dimensions")
    _same(call, key.shape[-1], query.shape[-1], "query and key have the same width")
    _same(call, value.shape[-2], key.shape[-2], "key and value have the same length")
    grouped = (_grouped_heads(call, query, key, value),) if enable_gqa else ()
    end = -2 - len(grouped)
    lead = (*broadcast(call, query.shape[:end], key.shape[:end], value.shape[:end]), *grouped)
    if isinstance(attn_mask, Tensor):
        broadcast_into(call, (*lead, query.shape[-2], key.shape[-2]), attn_mask.shape)
    return Tensor((*lead, query.shape[-2], value.shape[-1]))


def _grouped_heads(call: Call, query: Tensor, key: Tensor, value: Tensor) -> Dim:
    """With enable_gqa, the heads of the query are a multiple of those of key and value."""
    heads = query.shape[-3]
    for other in (key, value):
        what = "heads of the query are a multiple of the key's"
        call.require(divides(other.shape[-3], heads), Code.DIVISIBLE, what)
    return heads


def multi_head_attention(
    call: Call,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_padding_mask: Any = None,
    need_weights: bool = True,
    attn_mask: Any = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
    *,
    embed_dim: int,
    kdim: int,
    vdim: int,
    num_heads: int,
    batch_first: bool,
) -> tuple[Tensor, Tensor | None]:
    """The forward of torch.nn.MultiheadAttention: the output and the weights."""
    if query.ndim not in (2, 3) or key.ndim != query.ndim or value.ndim != query.ndim:
        raise Refused(f"attention over tensors with {query.ndim}, {key.ndim} and {value.ndim} dimensions")
    for tensor, features in ((query, embed_dim), (key, kdim), (value, vdim)):
        same_features(call, tensor.shape[-1], features)
    length, other = (1, 0) if batch_first and query.ndim == 3 else (0, 1)
    _same(call, value.shape[length], key.shape[length], "key and value have the same length")
    batch: tuple[Dim, ...] = (query.shape[other],) if query.ndim == 3 else ()
    for tensor in (key, value) if batch else ():
        _same(call, tensor.shape[other], query.shape[other], "query and key have the same batch")
    rows, columns = query.shape[length], key.shape[length]
    weights = (rows, columns), (numel(batch) * num_heads, rows, columns)
    _check_mask(call, key_padding_mask, ((*batch, columns),), "key_padding_mask has the shape of the keys")
    _check_mask(call, attn_mask, weights, "attn_mask has the shape of the weights")
    heads = () if average_attn_weights else (num_heads,)
    return Tensor(query.shape), Tensor((*batch, *heads, rows, columns)) if need_weights else None


def _check_mask(call: Call, mask: Any, allowed: Sequence[tuple[Dim, ...]], what: str) -> None:
    """Require a mask to have the one of the allowed shapes that has its rank."""
    if not isinstance(mask, Tensor):
        return
    wanted = next((shape for shape in allowed if len(shape) == mask.ndim), None)
    if wanted is None:
        raise Refused(f"a mask with {mask.ndim} dimensions")
    for left, right in zip(mask.shape, wanted, strict=True):
        _same(call, left, right, what)


def encoder_layer(call: Call, src: Tensor, *masks: Any, d_model: int, **named: Any) -> Tensor:
    """The forward of torch.nn.TransformerEncoderLayer and TransformerEncoder."""
    if src.ndim not in (2, 3):
        raise Refused(f"a tensor with {src.ndim} dimensions where 2 or 3 are needed")
    if any(isinstance(mask, Tensor) for mask in (*masks, *named.values())):
        raise Unmodelled("masks of a transformer layer")
    same_features(call, src.shape[-1], d_model)
    return Tensor(src.shape)


def embedding(call: Call, input: Tensor, weight: Tensor, *args: Any, **options: Any) -> Tensor:
    """torch.nn.functional.embedding: a new last dimension; positions that are counted have to have a row."""
    if isinstance(input, Integers) and input.below is not None:
        in_reach(call, weight.shape[0], input)
    return Tensor((*input.shape, weight.shape[1]))


def one_hot(call: Call, tensor: Tensor, num_classes: int = -1) -> Tensor:
    """torch.nn.functional.one_hot."""
    if num_classes == -1:
        raise Unmodelled("one_hot without num_classes: its size depends on the values")
    return Tensor((*tensor.shape, num_classes))


def recurrent(
    call: Call,
    input: Tensor,
    hx: Any = None,
    *,
    input_size: int,
    hidden_size: int,
    proj_size: int,
    num_layers: int,
    bidirectional: bool,
    batch_first: bool,
    cells: bool,
) -> tuple[Tensor, Any]:
    """The forward of torch.nn.RNN, GRU and LSTM: the output, and the last states (LSTM: with its cells)."""
    if not isinstance(input, Tensor) or input.ndim not in (2, 3):
        raise Refused("a sequence with 2 or 3 dimensions is needed")
    same_features(call, input.shape[-1], input_size)
    batch = () if input.ndim == 2 else (input.shape[0 if batch_first else 1],)
    directions = 2 if bidirectional else 1
    width, layers = proj_size or hidden_size, num_layers * directions
    length = input.shape[1 if batch_first and batch else 0]
    call.require(~equal(length, 0), Code.EMPTY, "sequence is not empty", needs=1, gets=length)
    hidden, cell = Tensor((layers, *batch, width)), Tensor((layers, *batch, hidden_size))
    _check_states(call, hx, (hidden, cell) if cells else (hidden,))
    output = Tensor((*input.shape[:-1], directions * width))
    return output, (hidden, cell) if cells else hidden


def _check_states(call: Call, given: Any, states: tuple[Tensor, ...]) -> None:
    if given is None:
        return
    for mine, wanted in zip(given if isinstance(given, tuple | list) else (given,), states, strict=True):
        if mine.ndim != wanted.ndim:
            raise Refused(f"states with {mine.ndim} dimensions where {wanted.ndim} are needed")
        for left, right in zip(mine.shape, wanted.shape, strict=True):
            _same(call, left, right, "states have the batch of the sequence")


def recurrent_cell(
    call: Call, input: Tensor, hx: Any = None, *, input_size: int, hidden_size: int, cells: bool
) -> Any:
    """The forward of torch.nn.RNNCell, GRUCell and LSTMCell."""
    if input.ndim not in (1, 2):
        raise Refused(f"a tensor with {input.ndim} dimensions where 1 or 2 are needed")
    same_features(call, input.shape[-1], input_size)
    state = Tensor((*input.shape[:-1], hidden_size))
    _check_states(call, hx, (state, state) if cells else (state,))
    return (state, state) if cells else state


def _read_transformer(module: Any) -> dict[str, Any]:
    layer, *_ = module.layers if isinstance(module, nn.TransformerEncoder) else (module,)
    return {"d_model": layer.self_attn.embed_dim}


register(
    "attention",
    scaled_dot_product_attention,
    (F.scaled_dot_product_attention,),
    samples=(
        "F.scaled_dot_product_attention(x, x, x) @ 2,3,H,W",
        "F.scaled_dot_product_attention(x, torch.ones(2, 3, 5, 4), torch.ones(2, 3, 5, 6)) @ 2,3,H,W",
        "F.scaled_dot_product_attention(torch.ones(2, 3, 5, 4), x, torch.ones(2, 3, 7, 6)) @ 2,3,H,W",
        "F.scaled_dot_product_attention(torch.ones(2, 3, 5, 4), x, x, torch.ones(5, 7)) @ 2,3,H,W",
        "F.scaled_dot_product_attention(torch.ones(2, 6, 5, 4), x, x, enable_gqa=True) @ N,C,3,4",
        "F.scaled_dot_product_attention(x, x, x) @ H,W",
        "F.scaled_dot_product_attention(x, x, x) @ H",
    ),
)
register(
    "multi-head attention",
    multi_head_attention,
    (nn.MultiheadAttention,),
    reads=("embed_dim", "kdim", "vdim", "num_heads", "batch_first"),
    samples=(
        "nn.MultiheadAttention(6, 2, batch_first=True)(x, x, x)[0] @ 2,H,W",
        "nn.MultiheadAttention(6, 2)(x, x, x)[1] @ H,2,6",
        "nn.MultiheadAttention(6, 3)(x, torch.ones(5, 2, 6), torch.ones(5, 2, 6))[1] @ H,N,6",
        "nn.MultiheadAttention(6, 2, kdim=4, vdim=5)(torch.ones(3, 6), x, torch.ones(7, 5))[0] @ H,W",
        "nn.MultiheadAttention(6, 2)(x, x, x, average_attn_weights=False)[1] @ H,6",
        "nn.MultiheadAttention(6, 2, batch_first=True)(x, y, y)[1] @ N,4,6 ; 2,W,6",
        "nn.MultiheadAttention(6, 2, batch_first=True)(x, torch.ones(5, 6), torch.ones(5, 6))[1] @ H,6",
        "nn.MultiheadAttention(6, 2)(x, y, y, attn_mask=torch.ones(4, 5))[0] @ H,6 ; W,6",
        "nn.MultiheadAttention(6, 2)(x, x, x, y > 0)[0] @ H,2,6 ; 2,W",
        "nn.MultiheadAttention(6, 3)(x, y, y, attn_mask=torch.ones(6, 4, 5))[0] @ 4,N,6 ; 5,N,6",
        "nn.MultiheadAttention(6, 3)(x, x, x, attn_mask=torch.ones(4))[0] @ H,6",
        "nn.MultiheadAttention(6, 3)(x, x, x, torch.ones(4))[0] @ H,2,6",
    ),
)
register(
    "transformer encoder",
    encoder_layer,
    (nn.TransformerEncoderLayer, nn.TransformerEncoder),
    reads=_read_transformer,
    samples=(
        "nn.TransformerEncoderLayer(6, 2, 8, batch_first=True) @ 2,H,W",
        "nn.TransformerEncoder(nn.TransformerEncoderLayer(6, 2, 8), 1) @ H,W",
        "nn.TransformerEncoderLayer(6, 2, 8) @ H",
    ),
)
register(
    "embedding",
    embedding,
    (F.embedding, nn.Embedding),
    reads=lambda m: {"weight": Tensor((m.num_embeddings, m.embedding_dim))},
    samples=(
        "nn.Embedding(7, 4)(x.long()) @ 2,H",
        "F.embedding(x.long(), torch.ones(5, 3)) @ 2,H,W",
        "nn.Embedding(7, 4)(torch.arange(x.shape[1])) @ 2,H",
        "nn.Embedding(7, 4)(torch.arange(1, x.shape[1], 2).clone()) @ 2,H",
    ),
)
register("one hot", one_hot, (F.one_hot,), samples=("F.one_hot(x.long(), 5) @ 2,H,W",))
register(
    "recurrent layer",
    recurrent,
    {nn.RNN: {"cells": False}, nn.GRU: {"cells": False}, nn.LSTM: {"cells": True}},
    reads=("input_size", "hidden_size", "proj_size", "num_layers", "bidirectional", "batch_first"),
    samples=(
        "nn.LSTM(4, 3, num_layers=2, batch_first=True, bidirectional=True)(x)[0] @ 2,H,W",
        "nn.LSTM(4, 5, batch_first=True, proj_size=2)(x)[1][1] @ N,H,4",
        "nn.GRU(4, 3)(x)[1] @ H,N,4",
        "nn.GRU(4, 3, batch_first=True)(x, torch.ones(1, 2, 3))[0] @ N,H,4",
        "nn.RNN(4, 3)(x)[1] @ H,W",
        "nn.GRU(4, 3, batch_first=True)(x[:, 3:])[0] @ 2,H,4",
        "nn.GRU(4, 3)(x[3:])[0] @ H,N,4",
        "nn.LSTM(4, 3, batch_first=True)(x[3:])[1][1] @ H,4",
    ),
)
register(
    "recurrent cell",
    recurrent_cell,
    {nn.RNNCell: {"cells": False}, nn.GRUCell: {"cells": False}, nn.LSTMCell: {"cells": True}},
    reads=("input_size", "hidden_size"),
    samples=(
        "nn.GRUCell(4, 3) @ N,W",
        "nn.LSTMCell(4, 3)(x)[1] @ N,W",
        "nn.GRUCell(4, 3)(x, torch.ones(2, 3)) @ N,4",
        "nn.RNNCell(4, 3) @ W",
    ),
)

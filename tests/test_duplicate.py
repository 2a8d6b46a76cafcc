"""A duplicate is what copy.deepcopy makes: the same structure, sharing what was shared, and nothing else."""

from __future__ import annotations

import copy
import gc
from collections import OrderedDict
from typing import Any

import pytest
import torch
from torch import nn

from autofix import check_model
from autofix.duplicate import duplicate


class Own(nn.Module):
    """Says itself how it is copied."""

    def __init__(self) -> None:
        super().__init__()
        self.copies = 0

    def __deepcopy__(self, memo: Any) -> Own:
        result = Own()
        result.copies = self.copies + 1
        return result


class Slotted(nn.Module):
    """Whose state is not a dict."""

    __slots__ = ("kept",)

    def __init__(self) -> None:
        super().__init__()
        self.kept = [1]

    def __getstate__(self) -> Any:
        return vars(self), self.kept

    def __setstate__(self, state: Any) -> None:
        vars(self).update(state[0])
        self.kept = state[1]


class Stateful(nn.Module):
    """Leaves something out when it is pickled, and makes it anew."""

    def __init__(self) -> None:
        super().__init__()
        self.cache = [1, 2]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "cache"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.cache = []


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, (3, 5))
        self.again = self.conv
        self.tied = nn.Conv2d(1, 2, (3, 5))
        self.tied.weight = self.conv.weight
        self.rnn = nn.LSTM(2, 3)
        self.own, self.slotted, self.stateful = Own(), Slotted(), Stateful()
        self.empty: dict[str, int] = {}
        self.same = self.empty
        self.ordered = OrderedDict(first=[self.conv], parent=self)
        self.register_buffer("scale", torch.ones(2), persistent=False)
        self.conv.register_forward_hook(self.hook)

    def hook(self, *_: Any) -> None:
        self.empty["called"] = 1


def test_a_duplicate_is_a_deep_copy() -> None:
    model = Network().eval()
    result, plain = duplicate(model, {}), copy.deepcopy(model)
    assert isinstance(result, Network)
    assert vars(result).keys() == vars(plain).keys()
    assert [name for name, _ in result.named_modules()] == [name for name, _ in plain.named_modules()]
    for name, value in plain.state_dict().items():
        assert torch.equal(result.state_dict()[name], value)
        assert result.state_dict()[name].data_ptr() != model.state_dict()[name].data_ptr()
    for mine, theirs in zip(result.modules(), plain.modules(), strict=True):
        assert type(mine) is type(theirs)
        assert mine.training == theirs.training
        assert vars(mine).keys() == vars(theirs).keys()
    assert not {id(m) for m in result.modules()} & {id(m) for m in model.modules()}


def test_what_is_shared_stays_shared() -> None:
    model = Network()
    result = duplicate(model, {})
    assert result.again is result.conv
    assert result.tied.weight is result.conv.weight
    assert result.same is result.empty
    assert result.empty is not model.empty
    assert result.ordered["first"][0] is result.conv
    assert result.ordered["parent"] is result
    assert result.rnn._flat_weights[0] is result.rnn.weight_ih_l0
    (hook,) = result.conv._forward_hooks.values()
    assert hook.__self__ is result
    assert not result._backward_hooks
    assert result._backward_hooks is not model._backward_hooks


def test_a_class_may_say_how_it_is_copied() -> None:
    model = Network()
    model.slotted.kept.append(2)
    result = duplicate(model, {})
    assert result.own.copies == 1
    assert result.stateful.cache == []
    assert result.slotted.kept == [1, 2]
    assert result.slotted.kept is not model.slotted.kept


def test_what_is_copied_already_is_taken() -> None:
    model = Network()
    other = nn.Conv2d(1, 2, (3, 5))
    result = duplicate(model, {id(model.conv): other})
    assert result.conv is other
    assert result.again is other


@pytest.mark.parametrize("frozen", [False, True])
def test_the_collector_is_left_as_it_was(frozen: bool) -> None:
    if frozen:
        gc.freeze()
    try:
        assert check_model(nn.Conv2d(1, 1, 3)).minimum_input == (3, 3)
        assert bool(gc.get_freeze_count()) is frozen
        assert gc.isenabled()
    finally:
        gc.unfreeze()

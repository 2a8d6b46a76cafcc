"""Networks that mend their sizes with an `if`, as people write them."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class UNet(nn.Module):
    """Down and up again; subclasses say how an upsampled map is made to fit its skip."""

    def __init__(self, levels: int = 3, nd: int = 2) -> None:
        super().__init__()
        convolution: Any = getattr(nn, f"Conv{nd}d")
        transposed: Any = getattr(nn, f"ConvTranspose{nd}d")
        self.first = convolution(1, 2, 3, padding=1)
        self.pool: Any = getattr(nn, f"MaxPool{nd}d")(2)
        self.downs = nn.ModuleList(convolution(2, 2, 3, padding=1) for _ in range(levels))
        self.ups = nn.ModuleList(transposed(2, 2, 2, 2) for _ in range(levels))
        self.convs = nn.ModuleList(convolution(4, 2, 3, padding=1) for _ in range(levels))

    def forward(self, x: Tensor) -> Tensor:
        skips = [self.first(x)]
        for down in self.downs:
            skips.append(down(self.pool(skips[-1])))
        x = skips.pop()
        for up, conv in zip(self.ups, self.convs, strict=True):
            skip, x = skips.pop(), up(x)
            x = conv(torch.cat(self.fitted(skip, x), 1))
        return x

    def fitted(self, skip: Tensor, x: Tensor) -> list[Tensor]:
        raise NotImplementedError


class Whole(UNet):
    def fitted(self, skip: Tensor, x: Tensor) -> list[Tensor]:
        if x.shape != skip.shape:
            x = F.interpolate(x, size=skip.shape[2:], mode="nearest")
        return [skip, x]


class Returned(UNet):
    def fitted(self, skip: Tensor, x: Tensor) -> list[Tensor]:
        if x.size()[2:] == skip.size()[2:]:
            return [skip, x]
        return [skip, F.interpolate(x, skip.shape[2:])]


class Ternary(UNet):
    def fitted(self, skip: Tensor, x: Tensor) -> list[Tensor]:
        rows, columns = skip.shape[-2:]
        x = F.pad(x, (0, 0, 0, 1)) if x.shape[-2] < rows else x
        return [skip, x if not x.shape[-1] < columns else F.pad(x, (1, 0))]


class EachAxis(UNet):
    """MONAI's BasicUNet: amounts in a list, axis by axis."""

    def fitted(self, skip: Tensor, x: Tensor) -> list[Tensor]:
        axes = x.dim() - 2
        pads = [0] * (2 * axes)
        for axis in range(axes):
            if skip.shape[-axis - 1] != x.shape[-axis - 1]:
                pads[2 * axis + 1] = 1
        return [skip, F.pad(x, pads, "replicate")]


class Difference(UNet):
    def fitted(self, skip: Tensor, x: Tensor) -> list[Tensor]:
        rows, columns = skip.size(2) - x.size(2), skip.size(3) - x.size(3)
        if rows > 0 or columns > 0:
            x = F.pad(x, [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2])
        return [skip, x]


class Truth(UNet):
    """A difference that is true where it is not 0."""

    def fitted(self, skip: Tensor, x: Tensor) -> list[Tensor]:
        short = skip.shape[2] - x.shape[2]
        if short:
            x = F.pad(x, (0, 0, short, 0))
        return [skip[..., : x.shape[3]], x]


class Cropped(UNet):
    """The skip gives way; `elif`, and `all` over the axes."""

    def fitted(self, skip: Tensor, x: Tensor) -> list[Tensor]:
        if all(a == b for a, b in zip(x.shape[2:], skip.shape[2:], strict=True)):
            pass
        elif any(a > b for a, b in zip(skip.shape[2:], x.shape[2:], strict=True)):
            skip = skip[:, :, : x.shape[2], : x.shape[3]]
        return [skip, x]


class Same(nn.Module):
    """'Same' padding as TensorFlow does it, of a strided chain."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(1, 1, (3, 5), (2, 3)) for _ in range(4))
        self.last = nn.Conv2d(1, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            rows, columns = x.size()[-2:]
            more = max((-(-rows // 2) - 1) * 2 + 3 - rows, 0)
            wide = max((-(-columns // 3) - 1) * 3 + 5 - columns, 0)
            if more > 0 or wide > 0:
                x = F.pad(x, [wide // 2, wide - wide // 2, more // 2, more - more // 2])
            x = conv(x)
        return self.last(x)


class Even(nn.Module):
    """Padded one way or another, with a counter."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 2, 3, 2)
        self.up = nn.ConvTranspose1d(2, 1, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        extra = 0
        if x.shape[2] % 2 == 0:
            extra += 1
            x = F.pad(x, (0, 1))
        else:
            x = F.pad(x, (1, 1))
        return self.up(self.conv(x)) + x[..., : x.shape[2] + extra * 0]


class Aliased(nn.Module):
    """Two names of one list, and a list within a list."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 1, 5)

    def forward(self, x: Tensor) -> Tensor:
        pads, nested = [0, 0], [[0, 0]]
        other, (row,) = pads, nested
        if x.shape[2] < 9:
            pads[1] = 4
            row[0] = 1
        elif x.shape[2] > 20:
            other[0] += 2
        return self.conv(F.pad(F.pad(x, other), nested[0]))


MERGED = [
    (Aliased(), (1, 1, "L")),
    (Whole(), (1, 1, "H", "W")),
    (Whole(2, 3), (1, 1, "D", "H", "W")),
    (Returned(), (1, 1, "H", "W")),
    (Ternary(), (1, 1, "H", "W")),
    (EachAxis(), (1, 1, "H", "W")),
    (EachAxis(2, 3), (1, 1, "D", "H", "W")),
    (EachAxis(5, 1), (1, 1, "L")),
    (Difference(), (1, 1, "H", "W")),
    (Truth(), (1, 1, "H", "W")),
    (Cropped(), (1, 1, "H", "W")),
    (Same(), (1, 1, "H", "W")),
    (Even(), (1, 1, "L")),
]


class Apart(nn.Module):
    """An `if` whose sides cannot both be recorded, for the reason that the method is named after."""

    def __init__(self, why: str) -> None:
        super().__init__()
        self.why = why
        self.conv, self.norm = nn.Conv1d(1, 1, 3), nn.BatchNorm1d(1)
        self.drop, self.seen = nn.Dropout(0.5), 0

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv(getattr(self, self.why)(x, x.shape[2] > 12))
        return result

    def a_layer_with_weights(self, x: Tensor, long: bool) -> Any:
        return self.norm(x) if long else x

    def a_random_layer(self, x: Tensor, long: bool) -> Any:
        if long:
            x = self.drop(x)
        return x

    def one_side_may_be_refused(self, x: Tensor, long: bool) -> Any:
        return F.max_pool1d(x, 9) if long else x

    def a_list_that_grows(self, x: Tensor, long: bool) -> Any:
        found = [x]
        if long:
            found.append(x)
        return torch.cat(found)

    def in_place(self, x: Tensor, long: bool) -> Any:
        x = x * 2
        if long:
            x += 1.0
        return x

    def another_number_of_dimensions(self, x: Tensor, long: bool) -> Any:
        return x if long else x[0]

    def no_common_formula(self, x: Tensor, long: bool) -> Any:
        return x[..., ::2] if x.shape[2] % 3 == 0 else x

    def a_name_without_a_value(self, x: Tensor, long: bool) -> Any:
        if long:
            late = x
        return late if long else x

    def an_attribute(self, x: Tensor, long: bool) -> Any:
        self.seen = 0
        if long:
            self.seen = 1
        return x[..., 3:] if self.seen else x

    def a_number_that_is_divided_by(self, x: Tensor, long: bool) -> Any:
        return F.pad(x, (0, 1)) if 20 // (x.shape[2] - 7) > 3 else x

    def an_attribute_by_a_method(self, x: Tensor, long: bool) -> Any:
        self._mark(0)
        if long:
            _ = self._mark(3)
        return F.pad(x, (0, self.seen))

    def _mark(self, value: int) -> None:
        self.seen = value

    def a_global(self, x: Tensor, long: bool) -> Any:
        STATE[0] = 0
        if long:
            STATE[0] = 2
        return F.pad(x, (0, STATE[0]))

    def a_list_of_the_model(self, x: Tensor, long: bool) -> Any:
        log: list[int] = self.__dict__.setdefault("log", [])
        log.clear()
        count = len(log) if long else self.__dict__["log"].append(4)
        return F.pad(x, (0, len(log))) if count is None else x

    def an_iterator(self, x: Tensor, long: bool) -> Any:
        numbers = iter((1, 2, 3))
        first = next(numbers) if long else 0
        return F.pad(x, (first, next(numbers)))

    def a_set(self, x: Tensor, long: bool) -> Any:
        seen = {1}
        if long:
            seen.update((2, 3))
        return F.pad(x, (0, len(seen)))

    def two_names_of_a_new_list(self, x: Tensor, long: bool) -> Any:
        first = [0, 0]
        second = first
        if long:
            second = [1, 1]
        second[0] = 3
        return F.pad(x, first)

    def an_index_that_is_a_number(self, x: Tensor, long: bool) -> Any:
        x = F.pad(x, (0, 1)) if long else x
        return F.pad(x, (0, (0, 2)[x.shape[2] % 3]))

    def a_number_of_a_truth(self, x: Tensor, long: bool) -> Any:
        odd = not x.shape[2] % 2
        return F.pad(x, (0, 2 * odd)) if long else x

    def the_first_that_is_not_zero(self, x: Tensor, long: bool) -> Any:
        more = (x.shape[2] % 4) or (x.shape[2] % 3)
        return F.pad(x, (0, more)) if long else x

    def a_second_operand(self, x: Tensor, long: bool) -> Any:
        more = [1, 2, 3]
        if long and more.pop() > 1:
            x = F.pad(x, (1, 0))
        return F.pad(x, (0, more[-1]))

    def a_conditional_expression(self, x: Tensor, long: bool) -> Any:
        more = [0]
        more[0] = (more.append(1) or 1) if long else 0  # type: ignore[func-returns-value]
        return F.pad(x, (0, len(more) + more[0]))

    def the_very_same_tensor(self, x: Tensor, long: bool) -> Any:
        y = x
        if long:
            y = F.pad(x, (0, 2))
        return y if y is not x else F.pad(x, (0, 4))

    def how_it_lies_in_memory(self, x: Tensor, long: bool) -> Any:
        x = torch.cat([x, x], 1)
        if x.shape[2] % 2:
            x = x[..., :-1]
        return x.view(x.shape[0], 1, 2 * x.shape[2])

    def the_mode_on_one_side(self, x: Tensor, long: bool) -> Any:
        if not long:
            x = x.relu()
            if self.training:
                x = F.pad(x, (0, 3))
        return x

    def truths_of_sizes(self, x: Tensor, long: bool) -> Any:
        return self.norm(x) if any(n % 3 for n in x.shape[2:]) else x

    def a_step_of_a_slice(self, x: Tensor, long: bool) -> Any:
        step = 1
        if long:
            step = 2
        return x[..., ::step]

    def a_number_of_copies(self, x: Tensor, long: bool) -> Any:
        count = 2 if long else 4
        return F.pad(x, tuple([0, 1] * (count // 2)))

    def its_own_names(self, x: Tensor, long: bool) -> Any:
        if long:
            x = F.pad(x, (0, 1))
        return F.pad(x, (0, len([name for name in locals() if name.startswith("_")])))


STATE = [0]
APART = tuple(name for name in vars(Apart) if not name.startswith("_") and name != "forward")

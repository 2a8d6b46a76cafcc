"""Blocks of random networks that branch, join or leave the grid; each takes the map `x` and leaves a map."""

from __future__ import annotations

from network_builder import Builder, code
from network_layers import conv, conv_code, norm, pointwise, pool, resize, transposed


def joined(b: Builder, other: str, other_channels: int) -> None:
    """Join `x` with another branch: cat, or arithmetic after a 1x1 convolution where channels differ."""
    how = b.pick(["cat", "add", "mul", "iadd", "stack"])
    if how == "cat":
        b.emit(f"x = torch.cat([x, {other}], {b.pick(['1', 'dim=-' + str(b.rank + 1)])})")
        b.channels += other_channels
        return
    if b.channels != other_channels:
        b.apply(f"nn.Conv{b.rank}d({b.channels}, {other_channels}, 1)", "conv")
        b.channels = other_channels
    b.emit(
        {
            "add": f"x = {b.pick(['x + ' + other, f'torch.add(x, {other})', f'x.add({other}, alpha=2)'])}",
            "mul": f"x = x * {other}",
            "iadd": f"x += {other}",
            "stack": f"x = torch.stack([x, {other}], 0).{b.pick(['sum(0)', 'mean(dim=0)', 'amax(0)'])}",
        }[how]
    )


def residual(b: Builder) -> None:
    """x + f(x), where f keeps the size, mostly."""
    skip, channels, down = b.let("x", "skip"), b.channels, b.down
    for _ in range(b.pick([1, 2])):
        b.apply(conv_code(b, keep=b.chance(90)), "conv")
        if b.chance(30):
            norm(b)
    b.down = down
    joined(b, skip, channels)


def strided_residual(b: Builder) -> None:
    """A downsampling residual: a strided convolution beside a strided projection or a pool."""
    r, c, out = b.rank, b.channels, b.pick([4, 8])
    stride = code(b.strides())
    shape = b.pick(["3, padding=1", "2", "5, padding=2", "3"])
    project = f"nn.Conv{r}d({c}, {out}, 1)"
    side = b.pick(
        [
            f"nn.Conv{r}d({c}, {out}, 1, stride={stride})",
            f"nn.Sequential(nn.AvgPool{r}d({stride}, {stride}, ceil_mode=True), {project})",
            f"nn.Sequential(nn.MaxPool{r}d({stride}), {project})",
        ]
    )
    other = b.let(f"{b.module(side, 'proj')}(x)", "side")
    b.apply(f"nn.Conv{r}d({c}, {out}, {shape}, stride={stride})", "conv")
    b.channels = out
    joined(b, other, out)


def unet_level(b: Builder) -> None:
    """Down, something, up, and a join with the skip; aligned by one of the usual idioms, or not at all."""
    skip, channels, down, rank = b.let("x", "skip"), b.channels, b.down, b.rank
    shrink = b.pick([f"F.max_pool{rank}d(x, 2)", f"F.avg_pool{rank}d(x, 2, ceil_mode=True)", "conv"])
    if shrink == "conv":
        b.apply(f"nn.Conv{rank}d({channels}, {channels}, {b.pick(['3, 2, 1', '2, 2', '4, 2, 1'])})", "conv")
    else:
        b.emit(f"x = {shrink}")
    b.down *= 2
    if b.down < 16 and b.chance(45):
        unet_level(b)
    else:
        b.apply(conv_code(b, keep=True), "conv")
    up = b.pick(["transposed", "factor", "skip size", "output_size"])
    c = b.channels
    if up == "transposed":
        how = b.pick(["2, 2", "4, 2, 1", "3, 2, 1, 1", "3, 2, 1"])
        b.apply(f"nn.ConvTranspose{rank}d({c}, {c}, {how})", "up")
    elif up == "factor":
        b.emit("x = F.interpolate(x, scale_factor=2)")
    elif up == "skip size":
        b.emit(f"x = F.interpolate(x, size={skip}.{b.pick(['shape[2:]', 'size()[2:]'])})")
    else:
        made = b.module(f"nn.ConvTranspose{rank}d({c}, {c}, 3, stride=2, padding=1)", "up")
        b.emit(f"x = {made}(x, output_size={skip}.{b.pick(['shape', 'size()[2:]'])})")
    if up != "skip size" and b.chance(40):
        align(b, skip)
    b.down = down
    joined(b, skip, channels)


def align(b: Builder, skip: str) -> None:
    """Make `x` as large as the skip, or the skip as small as `x`, with arithmetic on the shapes."""
    kind = b.pick(["pad", "crop x", "crop skip", "resize"])
    last = b.rank + 1
    if kind == "pad":
        amounts = []
        for axis in range(last, 1, -1):
            d = b.let(f"{skip}.shape[{axis}] - x.{b.pick([f'shape[{axis}]', f'size({axis})'])}", "d")
            amounts += b.pick([[f"{d} // 2", f"{d} - {d} // 2"], ["0", d]])
        b.emit(f"x = F.pad(x, [{', '.join(amounts)}])")
    elif kind == "resize":
        b.emit(f"x = F.interpolate(x, {skip}.shape[2:], mode='nearest')")
    else:
        big, small = ("x", skip) if kind == "crop x" else (skip, "x")
        ends = ", ".join(f": {small}.shape[{axis}]" for axis in range(2, last + 1))
        b.emit(f"{big} = {big}[:, :, {ends}]")


def dense(b: Builder) -> None:
    """Every layer sees all before it, as in DenseNet."""
    for _ in range(b.pick([1, 2, 3])):
        made = f"nn.Conv{b.rank}d({b.channels}, 2, 3, padding={b.pick([1, 'same'])!r})"
        b.emit(f"x = torch.cat([x, {b.module(made, 'conv')}(x)], 1)")
        b.channels += 2


def pyramid(b: Builder) -> None:
    """Several dilations beside each other, joined n-way, sometimes with a pooled branch (ASPP)."""
    parts = []
    for d in range(1, b.pick([2, 3]) + 1):
        pad = b.pick([d, d, d, 0])
        made = f"nn.Conv{b.rank}d({b.channels}, 4, 3, padding={pad}, dilation={d})"
        parts.append(b.let(f"{b.module(made, 'conv')}(x)"))
    if b.chance(40):
        pooled = b.let(f"F.adaptive_avg_pool{b.rank}d(x, 1)", "g")
        pooled = b.let(f"{b.module(f'nn.Conv{b.rank}d({b.channels}, 4, 1)')}({pooled})", "g")
        grow = [f"F.interpolate({pooled}, size=x.shape[2:])", f"{pooled}.expand_as({parts[0]})"]
        parts.append(b.let(b.pick(grow), "g"))
    if b.chance(50):
        b.emit(f"x = sum([{', '.join(parts)}])")
        b.channels = 4
    else:
        b.emit(f"x = torch.cat([{', '.join(parts)}], dim=1)")
        b.channels = 4 * len(parts)


def gate(b: Builder) -> None:
    """Squeeze and excitation, by mean over axes."""
    dims = tuple(range(2, b.rank + 2))
    pooled = b.let(
        b.pick(
            [
                f"x.mean({dims}, keepdim=True)",
                f"x.sum(dim={dims}, keepdim=True)",
                f"torch.amax(x, {dims}, keepdim=True)",
                "x.max(dim=-1, keepdim=True)[0]",
            ]
        ),
        "g",
    )
    made = b.module(f"nn.Conv{b.rank}d({b.channels}, {b.channels}, 1)", "fc")
    b.emit(f"x = x * torch.sigmoid({made}({pooled}))")


def split(b: Builder) -> None:
    """Chunk and split, of channels or of an axis."""
    first, second = b.name("a"), b.name("b")
    kind = b.pick(["channels", "halves", "split"])
    if kind == "channels":
        c = b.channels
        low = b.pick([1, c // 2]) if c > 2 else 1
        b.emit(f"{first}, {second} = torch.split(x, [{low}, {c - low}], dim=1)")
        made = b.module(f"nn.Conv{b.rank}d({low}, {low}, 3, padding={b.pick([1, 1, 0])})", "conv")
        b.emit(f"x = torch.cat([{made}({first}), {second}], 1)")
    elif kind == "halves":
        b.emit(f"{first}, {second} = {b.pick(['x.chunk(2, dim=2)', 'torch.chunk(x, 2, -1)'])}")
        b.emit(f"x = {b.pick([f'{first} + {second}', f'torch.cat([{first}, {second}], 2)'])}")
    else:
        made = b.pick(["x.split(4, 2)[0]", "torch.split(x, 3, dim=-1)[1]", "x.split(5, dim=-1)[-1]"])
        b.emit(f"x = {made}")


def shared(b: Builder) -> None:
    """One module called at several sites."""
    c = b.channels
    made = b.module(
        b.pick(
            [
                f"nn.Conv{b.rank}d({c}, {c}, 3, padding={b.pick([0, 1])})",
                f"nn.MaxPool{b.rank}d(2, ceil_mode={b.pick([False, True])})",
                f"nn.Conv{b.rank}d({c}, {c}, 2, stride={code(b.strides())})",
            ]
        ),
        "again",
    )
    for _ in range(b.pick([2, 3])):
        b.emit(f"x = {made}(x)")
        if b.chance(50):
            pointwise(b)


def shuffle(b: Builder) -> None:
    """Pixel shuffle and unshuffle (2d), and space to depth by strided slices."""
    c = b.channels
    kind = b.pick(["unshuffle", "shuffle", "slices", "both"])
    if kind == "slices":
        pieces = ", ".join(f"x[..., {i}::2, {j}::2]" for i in (0, 1) for j in (0, 1))
        b.emit(f"x = torch.cat([{pieces}], 1)")
        b.channels, b.down = 4 * c, b.down * 2
    if kind in ("unshuffle", "both"):
        b.emit(f"x = {b.pick(['F.pixel_unshuffle(x, 2)', b.module('nn.PixelUnshuffle(2)') + '(x)'])}")
        b.channels, b.down = 4 * c, b.down * 2
    if kind in ("shuffle", "both"):
        b.apply(f"nn.Conv2d({b.channels}, 8, 3, padding={b.pick([1, 0])})", "conv")
        b.emit(f"x = {b.pick(['F.pixel_shuffle(x, 2)', b.module('nn.PixelShuffle(2)') + '(x)'])}")
        b.channels, b.down = 2, b.down / 2


def patches(b: Builder) -> None:
    """Unfold and what is done with it: fold back, or a grid of patches (2d)."""
    k, s, p = b.pick([2, 3, 4]), b.pick([1, 2]), b.pick([0, 1])
    how = f"{k}, padding={p}, stride={s}"
    columns = b.let(f"F.unfold(x, {how})", "cols")
    if b.chance(60):
        b.emit(f"x = F.fold({columns}, {b.pick(['x.shape[2:]', '(8, 8)'])}, {how})")
    else:
        steps = [f"(x.shape[{axis}] + {2 * p} - {k}) // {s} + 1" for axis in (2, 3)]
        b.emit(f"x = {columns}.view(x.shape[0], {b.channels * k * k}, {', '.join(steps)})")
        b.channels *= k * k
        b.down *= s


def attention(b: Builder) -> None:
    """Attention over the flattened map, put back on the grid by the shape it had."""
    c = b.channels
    tokens = b.let("x.flatten(2).transpose(1, 2)", "t")
    kind = b.pick(["matmul", "einsum", "sdpa", "mha"])
    if kind == "matmul":
        weights = b.let(f"torch.softmax({tokens} @ {tokens}.transpose(-2, -1), dim=-1)", "a")
        tokens = b.let(
            b.pick(
                [
                    f"{weights} @ {tokens}",
                    f"torch.matmul({weights}, {tokens})",
                    f"torch.bmm({weights}, {tokens})",
                ]
            ),
            "t",
        )
    elif kind == "einsum":
        weights = b.let(f"torch.einsum('bic,bjc->bij', {tokens}, {tokens}).softmax(-1)", "a")
        tokens = b.let(f"torch.einsum('bij,bjc->bic', {weights}, {tokens})", "t")
    elif kind == "sdpa":
        heads = b.pick([1, 2]) if c % 2 == 0 else 1
        apart = b.pick([f"view(x.shape[0], -1, {heads}, {c // heads})", f"unflatten(2, ({heads}, -1))"])
        h = b.let(f"{tokens}.{apart}.transpose(1, 2)", "h")
        h = b.let(f"F.scaled_dot_product_attention({h}, {h}, {h})", "h")
        tokens = b.let(f"{h}.transpose(1, 2).flatten(2)", "t")
    else:
        made = b.module(f"nn.MultiheadAttention({c}, 1, batch_first=True)", "attn")
        tokens = b.let(f"{made}({tokens}, {tokens}, {tokens}, need_weights=False)[0]", "t")
    sizes = ", ".join(f"x.shape[{axis}]" for axis in range(2, b.rank + 2))
    back = b.pick([f".reshape(x.shape[0], {c}, {sizes})", ".reshape(x.shape)", ".contiguous().view_as(x)"])
    b.emit(f"x = {tokens}.transpose(1, 2){back}")


def up_and_down(b: Builder) -> None:
    """Grow, then shrink."""
    b.pick([resize, transposed])(b)
    b.pick([pool, conv])(b)

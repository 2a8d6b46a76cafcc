"""Single layers of random networks: each takes the map `x` and leaves a map `x`."""

from __future__ import annotations

from network_builder import Builder, code


def conv_code(b: Builder, out: int | None = None, keep: bool = False) -> str:
    """A convolution as code, from b.channels to `out`; `keep` makes it keep the size."""
    kernel = b.per_axis([3, 1, 2, 3, 5] if not keep else [3, 1, 5])
    dilation = b.per_axis([1, 1, 1, 2]) if b.chance(40) else (1,) * b.rank
    stride = (1,) * b.rank if keep or b.chance(50) else b.strides()
    same = tuple(d * (k - 1) // 2 for d, k in zip(dilation, kernel, strict=True))
    options = [code(same)]
    if keep:
        options += ["'same'"]
    else:
        options += ["0", code(tuple(b.pick([0, 1, 2, 3]) for _ in kernel)), "'valid'"]
    padding = b.pick(options)
    out = out or b.pick([4, 2, 6, 8])
    parts = [str(b.channels), str(out), code(kernel)]
    parts += [f"stride={code(stride)}"] if max(stride) > 1 else []
    parts += [f"padding={padding}"] if padding != "0" else []
    parts += [f"dilation={code(dilation)}"] if max(dilation) > 1 else []
    if b.chance(20) and b.channels % 2 == 0 and out % 2 == 0:
        parts.append("groups=2")
    if b.chance(20) and padding != "'valid'":
        parts.append(f"padding_mode={b.pick(['replicate', 'reflect', 'circular'])!r}")
    b.channels = out
    return f"nn.Conv{b.rank}d({', '.join(parts)})"


def conv(b: Builder) -> None:
    """A convolution module, alone or in a Sequential."""
    made = conv_code(b)
    if b.chance(30):
        made = f"nn.Sequential({made}, nn.BatchNorm{b.rank}d({b.channels}), nn.ReLU(inplace=True))"
    b.apply(made, "conv")


def functional_conv(b: Builder) -> None:
    """F.conv with its own parameters."""
    kernel, stride = b.per_axis([3, 1, 2]), b.strides()
    out = b.pick([4, 2, 6])
    weight = b.module(f"nn.Parameter(torch.zeros({', '.join(map(str, (out, b.channels, *kernel)))}))", "w")
    padding = b.pick(["1", "0", code(b.per_axis([0, 1, 2]))])
    b.channels = out
    b.emit(f"x = F.conv{b.rank}d(x, {weight}, stride={code(stride)}, padding={padding})")


def transposed(b: Builder) -> None:
    """A transposed convolution, with output_padding where torch allows it."""
    kernel, stride = b.per_axis([2, 3, 4]), b.per_axis([2, 1, 3])
    padding = b.per_axis([0, 1])
    extra = tuple(b.pick(range(s)) for s in stride)
    dilation = b.per_axis([1, 1, 2])
    out = b.pick([4, 2])
    parts = [str(b.channels), str(out), code(kernel), f"stride={code(stride)}"]
    parts += [f"padding={code(padding)}"] if max(padding) else []
    parts += [f"output_padding={code(extra)}"] if max(extra) else []
    parts += [f"dilation={code(dilation)}"] if max(dilation) > 1 else []
    b.channels, b.down = out, b.down / max(stride)
    b.apply(f"nn.ConvTranspose{b.rank}d({', '.join(parts)})", "up")


def pool(b: Builder) -> None:
    """Max, average and power-average pools, as a module or a function."""
    kernel, kind = b.per_axis([2, 3, 4]), b.pick(["max", "avg", "lp"])
    stride = b.strides()
    parts = [code(kernel), f"stride={code(stride)}"]
    if kind != "lp" and b.chance(40):
        parts.append(f"padding={code(tuple(b.pick(range(k // 2 + 1)) for k in kernel))}")
    if kind == "max" and b.chance(25):
        parts.append(f"dilation={code(b.per_axis([2, 1, 3]))}")
    if kind == "avg" and b.chance(30):
        parts.append("count_include_pad=False")
    if b.chance(50):
        parts.append("ceil_mode=True")
    before = "2, " if kind == "lp" else ""
    if b.chance(50):
        name = {"max": "MaxPool", "avg": "AvgPool", "lp": "LPPool"}[kind]
        b.apply(f"nn.{name}{b.rank}d({before}{', '.join(parts)})", "pool")
    else:
        name = {"max": "max_pool", "avg": "avg_pool", "lp": "lp_pool"}[kind]
        b.emit(f"x = F.{name}{b.rank}d(x, {before}{', '.join(parts)})")


def pool_and_unpool(b: Builder) -> None:
    """A pool with indices, something between that keeps the shape, and the unpool."""
    kernel = b.per_axis([2, 3])
    stride = b.pick([kernel, (2,) * b.rank])
    pooling = b.module(f"nn.MaxPool{b.rank}d({code(kernel)}, {code(stride)}, return_indices=True)", "pool")
    unpool = b.module(f"nn.MaxUnpool{b.rank}d({code(kernel)}, {code(stride)})", "unpool")
    keep = b.let("x", "skip")
    indices = b.name("idx")
    b.emit(f"x, {indices} = {pooling}(x)")
    b.apply(f"nn.Conv{b.rank}d({b.channels}, {b.channels}, 1)", "conv")
    size = b.pick(["", f", output_size={keep}.shape[2:]", f", output_size={keep}.size()"])
    b.emit(f"x = {unpool}(x, {indices}{size})")


def fractional_pool(b: Builder) -> None:
    """A fractional pool, to a fixed size or by a ratio; 2d and 3d."""
    goal = b.pick([f"output_size={b.pick([3, 2, 5])}", f"output_ratio={b.pick([0.5, 0.7])}"])
    b.apply(f"nn.FractionalMaxPool{b.rank}d({b.pick([2, 3])}, {goal})", "pool")


def adaptive(b: Builder) -> None:
    """An adaptive pool in the middle of a network."""
    kind = b.pick(["Avg", "Max"])
    size = b.per_axis([7, 3, 1, 4])
    goal: str = code(size)
    if b.rank > 1 and b.chance(30):
        goal = str((None, *size[1:]))
    if b.chance(50):
        b.apply(f"nn.Adaptive{kind}Pool{b.rank}d({goal})", "pool")
    else:
        b.emit(f"x = F.adaptive_{kind.lower()}_pool{b.rank}d(x, {goal})")


def resize(b: Builder) -> None:
    """Upsample and interpolate, by factor or to a size."""
    linear = {1: "linear", 2: "bilinear", 3: "trilinear"}[b.rank]
    mode = b.pick(["nearest", linear, "area", "nearest-exact"])
    factor = b.pick([2, 2, 0.5, 1.5, 3, 0.7])
    b.down /= factor
    factors = str(factor)
    if b.rank > 1 and b.chance(30):
        factors = str((*[1] * (b.rank - 1), factor)) if mode == "nearest" else factors
    if b.chance(40) and mode in ("nearest", linear):
        b.apply(f"nn.Upsample(scale_factor={factors}, mode={mode!r})", "up")
    elif b.chance(80):
        recompute = ", recompute_scale_factor=True" if b.chance(25) else ""
        b.emit(f"x = F.interpolate(x, scale_factor={factors}, mode={mode!r}{recompute})")
    else:
        b.emit(f"x = F.interpolate(x, size={b.per_axis([8, 5, 12])}, mode={mode!r})")


def pad(b: Builder) -> None:
    """Every pad, negative ones and those computed from the size included."""
    kind = b.pick(["constant", "module", "mode", "odd"])
    if kind == "constant":
        amounts = [b.pick([1, 0, 2, -1, -2]) for _ in range(2 * b.pick(range(1, b.rank + 1)))]
        b.emit(f"x = F.pad(x, {amounts})")
    elif kind == "module":
        name = b.pick(["ZeroPad", "ReflectionPad", "ReplicationPad", "CircularPad"])
        amounts = tuple(b.pick([1, 0, 2, 3]) for _ in range(2 * b.rank))
        b.apply(f"nn.{name}{b.rank}d({code(amounts)})", "pad")
    elif kind == "mode":
        amounts = [b.pick([1, 2, 0]) for _ in range(2 * b.rank)]
        b.emit(f"x = F.pad(x, {amounts}, mode={b.pick(['reflect', 'replicate', 'circular'])!r})")
    else:
        b.emit(f"x = F.pad(x, [0, {b.pick(['x.shape[-1] % 2', '-x.shape[-1] % 4', 'x.size(-1) % 3'])}])")


def norm(b: Builder) -> None:
    """Batch, instance, group, local response and channel-last layer norms."""
    c, rank = b.channels, b.rank
    kind = b.pick(["batch", "instance", "group", "layer", "response"])
    if kind == "layer":
        there = (0, *range(2, rank + 2), 1)
        back = (0, rank + 1, *range(1, rank + 1))
        made = b.module(b.pick([f"nn.LayerNorm({c})", f"nn.RMSNorm({c})"]), "norm")
        b.emit(f"x = {made}(x.permute{there}).permute{back}")
        return
    extra = b.pick(["", ", affine=True", ", track_running_stats=True"])
    made = {
        "batch": f"nn.BatchNorm{rank}d({c})",
        "instance": f"nn.InstanceNorm{rank}d({c}{extra})",
        "group": f"nn.GroupNorm({b.pick([1, c])}, {c})",
        "response": "nn.LocalResponseNorm(2)",
    }[kind]
    b.apply(made, "norm")


def functional_norm(b: Builder) -> None:
    """Norms without a module, over the shape that is there."""
    made = b.pick(
        [
            f"F.group_norm(x, {b.channels})",
            "F.layer_norm(x, x.shape[1:])",
            "F.instance_norm(x)",
            "F.normalize(x, dim=1)",
            "F.local_response_norm(x, 3)",
        ]
    )
    b.emit(f"x = {made}")


def pointwise(b: Builder) -> None:
    """Activations and dropout."""
    made = b.pick(["F.relu(x)", "torch.sigmoid(x)", "x.tanh()", "F.gelu(x)", "x * 2 + 1", "F.silu(x)"])
    if b.chance(40):
        module = b.pick(
            [
                "nn.ReLU()",
                "nn.SiLU()",
                f"nn.Dropout{b.rank}d(0.1)",
                "nn.Dropout(0.1)",
                f"nn.PReLU({b.channels})",
                "nn.Identity()",
            ]
        )
        made = f"{b.module(module, 'act')}(x)"
    b.emit(f"x = {made}")


def slicing(b: Builder) -> None:
    """Crops, strided slices, narrow, and a crop to a multiple."""
    options = [
        "x[..., 1:]",
        "x[:, :, :-1]",
        "x[..., ::2]",
        "x[:, :, 1::2]",
        "x.narrow(2, 0, 4)",
        "x[..., :8]",
        "x[:, :, : x.shape[2] // 2 * 2]",
        "x[..., 2:-1]",
        "x[..., -6:]",
    ]
    if b.rank > 1:
        options += ["x[:, :, ::2, 1::2]", "x[:, :, 1:, :-2]", "x[:, :, : x.size(3)]"]
    b.emit(f"x = {b.pick(options)}")


def turn(b: Builder) -> None:
    """Axes swapped, folded away and put back."""
    if b.rank == 1:
        b.emit(f"x = {b.pick(['x.unsqueeze(2).squeeze(2)', 'x.transpose(1, 2).transpose(1, 2)'])}")
        return
    swap = (0, 1, *range(b.rank + 1, 1, -1))
    b.emit(f"x = {b.pick(['x.transpose(-2, -1)', f'x.permute{swap}', f'torch.permute(x, {swap})'])}")

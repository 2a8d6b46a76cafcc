"""The ways of writing a network that the source tests patch: one row a golden folder."""

from __future__ import annotations

from dataclasses import dataclass

from autofix.fault import Location


@dataclass(frozen=True)
class Edit:
    """As the search gives it. `at` is text of the line that calls a function."""

    module: str | None
    knob: str
    new: tuple[int, ...]
    site: str = ""
    at: str = ""
    old: tuple[int, ...] = ()
    split: bool = False
    called_at: Location | None = None


@dataclass(frozen=True)
class Insert:
    kind: str
    site: str
    at: str = ""
    module: str | None = None
    sizes: tuple[int, ...] = ()
    operand: int = 1
    like: int = 0
    multiples: tuple[int, ...] = ()
    offsets: tuple[tuple[int, ...], ...] = ()
    called_at: Location | None = None


@dataclass(frozen=True)
class Case:
    """`same`: input shapes at which outputs equal those of the edited model; `runs`: that only work after."""

    name: str
    edits: tuple[Edit, ...] = ()
    inserts: tuple[Insert, ...] = ()
    same: tuple[tuple[int, ...], ...] = ((2, 1, 20, 23),)
    runs: tuple[tuple[int, ...], ...] = ()
    target: str = "net:Net"

    def __str__(self) -> str:
        return self.name


def pad(module: str, *new: int) -> Edit:
    return Edit(module, "padding", new or (1, 1))


CASES = (
    Case("keyword", (pad("conv2"),)),
    Case("absent", (pad("conv1"), pad("conv2", 1, 0), Edit("pool", "ceil_mode", (1,)))),
    Case("positional", (pad("conv1"), pad("conv2", 1, 2), Edit("pool", "padding", (1, 1)))),
    Case("constant", (pad("conv2"), pad("conv3"))),
    Case("tuples", (pad("conv1", 1, 2), pad("conv2", 1, 1), pad("conv3", 1, 0), pad("conv4", 1, 0))),
    Case("sequential", (pad("features.3", 1, 1, 1),), same=((1, 1, 12, 13, 14),), runs=((1, 1, 6, 6, 7),)),
    Case("sequential_named", (pad("body.conv-out"),)),
    Case("loop_all", tuple(pad(f"layers.{i}") for i in range(3))),
    Case("loop_some", tuple(pad(f"layers.{i}") for i in (1, 3, 4))),
    Case("cfg_list", (pad("features.3"), pad("features.8"))),
    Case("helper_argument", (pad("a"), pad("b"), pad("c"))),
    Case("helper_shared", (pad("a.0"), pad("b.0"))),
    Case("inheritance", (pad("stem"), pad("tail", 2, 2))),
    Case("conv_subclass", (pad("a"), pad("b", 1, 2))),
    Case("kwargs_passed_on", (pad("a.conv"), pad("b"))),
    Case("factory_elsewhere", (pad("stem"), pad("block.conv"), pad("out"))),
    Case(
        "functional",
        (
            Edit(None, "ceil_mode", (1,), "max_pool2d", "F.max_pool2d"),
            Edit(None, "padding", (1, 1), "avg_pool2d", "F.avg_pool2d"),
        ),
    ),
    Case("reused_pool", (Edit("pool", "ceil_mode", (1,), "pool_1", "self.pool(self.conv2", split=True),)),
    Case("setattr_add_module", (pad("conv1"), pad("tail"), pad("last-one.1", 2, 2))),
    Case("dataclass_config", (pad("b"),)),
    Case("dataclass_module", (pad("layers.2"),)),
    Case("decorated", (pad("first"), pad("rest.1"))),
    Case("crlf", (pad("a"), pad("rest.0"))),
    Case("tabs", (pad("a"), *(pad(f"rest.{i}") for i in (0, 2, 4)))),
    Case("bom", (pad("a"),)),
    Case("latin1", (pad("a"),)),
    Case("non_ascii", (pad("层.卷积"), pad("层.出"))),
    Case("two_classes", (pad("conv"),)),
    Case("padding_modes", (pad("single"), pad("many.0", 1, 2), pad("many.1"))),
    Case("string_padding", (pad("a"), pad("rest.1"))),
    Case("make_layer", (pad("stem"), pad("stage2.1.conv1"), Edit("stage2.0.conv1", "stride", (1, 1)))),
    Case("block_class", (pad("encoder.convs.1"),)),
    Case("multi_line", (pad("a"), pad("b"), pad("c"), pad("d"))),
    Case("deep_copies", (pad("layers.1"),)),
    Case("partial_and_star", (pad("a"), pad("b"), pad("c"), pad("d"))),
    Case("early_return", (pad("head.layers.1"),)),
    Case(
        "pool_kernel",
        (
            Edit("a", "kernel_size", (2, 2), old=(3, 3)),
            Edit("b", "kernel_size", (2, 2), old=(3, 3)),
            Edit(None, "kernel_size", (2, 2), "max_pool2d", "F.max_pool2d", old=(3, 3)),
        ),
    ),
    Case("factory_function", (pad("0"), pad("2")), target="net:make_net"),
    Case("library", (pad("features.1"), pad("norm", 1, 2)), target="zoo:Zoo"),
    Case("library_inside", (pad("backbone.features.3"), pad("backbone.norm"), pad("head"))),
    Case(
        "one_call_many_knobs",
        (Edit("up", "output_padding", (1, 1)), Edit("conv", "stride", (1, 1)), pad("conv")),
    ),
    Case("no_final_newline", (pad("layers.1"),)),
    Case(
        "cat_in_loop",
        inserts=tuple(
            Insert("align", site, "torch.cat", operand=0, like=1) for site in ("cat", "cat_1", "cat_2")
        ),
        same=((2, 1, 16, 24),),
        runs=((1, 1, 17, 13),),
    ),
    Case(
        "cat_names",
        inserts=(Insert("align", "cat", "return cat"),),
        same=((1, 1, 8, 6, 4),),
        runs=((1, 1, 9, 7, 5),),
    ),
    Case(
        "residual",
        inserts=(
            Insert("align", "add", "x + self.a(x)"),
            Insert("align", "add_1", "self.b(y) + self.a(y)"),
            Insert("align", "iadd", "z += y", operand=0, like=1),
            Insert("align", "mul", "torch.mul", operand=0, like=1),
        ),
        same=(),
        runs=((1, 1, 9, 12),),
    ),
    Case(
        "flatten_head",
        inserts=(Insert("adaptive", "view", "x.view", sizes=(6, 6)),),
        same=((2, 1, 8, 8),),
        runs=((2, 1, 9, 30),),
    ),
    Case(
        "average_head",
        inserts=(Insert("adaptive", "pool", "self.pool(", module="pool", sizes=(6, 6)),),
        same=((2, 1, 8, 8),),
        runs=((2, 1, 8, 8), (2, 1, 9, 30)),
    ),
    Case(
        "fit",
        inserts=(
            Insert("fit", "features_2", "self.features(x)", module="features.2", sizes=(5, 5)),
            Insert("fit", "tail_0", "layer(x)", module="tail.0", sizes=(3, 3)),
            Insert("fit", "tail_1", "layer(x)", module="tail.1", sizes=(5, 5)),
            Insert("fit", "out", "self.out(x)", module="out", sizes=(3, 3)),
        ),
        runs=((1, 1, 3, 9),),
    ),
    Case(
        "round",
        inserts=(Insert("round", "image", multiples=(4, 4), offsets=((0,), (0, 2)), sizes=(4, 8)),),
        same=((1, 1, 16, 12),),
        runs=((1, 1, 5, 7), (1, 1, 1, 1)),
    ),
    Case(
        "nested_inserts",
        (Edit(None, "ceil_mode", (1,), "max_pool2d", "F.max_pool2d"), pad("conv")),
        inserts=(
            Insert("fit", "max_pool2d", "F.max_pool2d", sizes=(5, 5)),
            Insert("fit", "pool", "F.max_pool2d", sizes=(3, 3)),
            Insert("align", "cat", "F.max_pool2d", operand=1, like=0),
            Insert("adaptive", "flatten", "F.max_pool2d", sizes=(2, 3)),
        ),
        runs=((1, 1, 6, 5),),
    ),
    Case(
        "library_inserts",
        inserts=(
            Insert("fit", "features.1", module="features.1", sizes=(5, 5)),
            Insert("adaptive", "pool", sizes=(8, 8)),
        ),
        same=((1, 1, 14, 14),),
        runs=((1, 1, 14, 14), (2, 1, 3, 40)),
        target="zoo:Zoo",
    ),
    Case(
        "library_round",
        inserts=(Insert("round", "x", multiples=(4,), offsets=((0,),)),),
        same=((1, 1, 16),),
        runs=((1, 1, 5),),
        target="zoo:Zoo",
    ),
    Case(
        "pools_in_a_loop",
        (pad("body.0"),),
        (Insert("adaptive", "body.2", sizes=(4, 4)),),
        same=(),
        runs=((2, 1, 9, 7),),
    ),
)

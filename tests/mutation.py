"""Small changes to the operator table's rules, each of which the differential samples must notice.

A mutant changes one spot of one function of autofix/ops: an integer by one, + for -, // for its ceiling, a
bound by one, one axis for another, or a requirement left out. It is put in the place of the function's code,
and the samples that run the function are compared with torch again. As a script: every mutant, or those of
the files named; what survives is printed, and the exit status is 1 if there is any.
"""

from __future__ import annotations

import ast
import copy
import importlib
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import test_ops
import torch
from mutation_equivalents import EQUIVALENT

from autofix import ops
from autofix.analyse import Analysis
from autofix.capture import capture_plain
from autofix.errors import CaptureError
from autofix.meta import to_meta
from autofix.program import InputShapes, Program

OPS = Path(ops.__file__).parent
NOT_RULES = {"__init__", "base", "knobs", "whole"}  # the table; what other tests hold against its meaning
FILES = tuple(sorted(path.stem for path in OPS.glob("*.py") if path.stem not in NOT_RULES))


@dataclass(frozen=True)
class Mutant:
    """One function with one spot changed; `path` names the function as module:qualified.name."""

    path: str
    line: int
    before: str
    after: str
    code: CodeType

    @property
    def name(self) -> str:
        return f"{self.path}: {self.before} -> {self.after}"

    @property
    def equivalent(self) -> str:
        """Why no sample can tell this mutant from the rule; "" where one should."""
        return EQUIVALENT.get(self.name, "")


def mutants(file: str) -> Iterator[Mutant]:
    """Every mutant of a file of rules, in the order of its lines."""
    tree = ast.parse((OPS / f"{file}.py").read_text())
    for owner, function in _functions(tree):
        path = f"{file}:{owner}{function.name}"
        for spot, around in _spots(function):
            for replacement in _replacements(spot):
                yield _mutant(path, tree, function, spot, replacement, around)


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Those that take something: what has no parameters asks torch, or lists names."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and (node.args.args or node.args.vararg):
            yield "", node
        elif isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.", part) for part in node.body if isinstance(part, ast.FunctionDef))


def _spots(function: ast.FunctionDef) -> Iterator[tuple[ast.AST, ast.AST]]:
    """What may be changed, and the expression that it is named by.

    Not messages, nor what describes a requirement or is required silently.
    """
    queue: list[tuple[ast.AST, ast.AST]] = [(node, node) for node in reversed(function.body)]
    while queue:
        node, around = queue.pop()
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.AnnAssign | ast.FunctionDef):
            continue
        yield node, around if isinstance(node, ast.Constant) else node
        if not isinstance(node, ast.UnaryOp):
            around = node
        queue.extend((part, around) for part in reversed(list(_parts(node))))


def _parts(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Call() if _calls(node) == "not_vanished" or _silent(node):
            return
        case ast.Call() if _calls(node) == "require":
            yield node.args[0]
        case _:
            yield from ast.iter_child_nodes(node)


def _silent(call: ast.Call) -> bool:
    return _calls(call) == "require" and any(word.arg == "silent" for word in call.keywords)


def _calls(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _replacements(node: ast.AST) -> Iterator[ast.AST]:
    yield from _numbers(node)
    yield from _bounds(node)
    match node:
        case ast.Subscript(value, ast.Name("axis") as axis):
            yield ast.Subscript(value, ast.BinOp(ast.Constant(-1), ast.Sub(), axis), node.ctx)
        case ast.Expr(ast.Call() as call) if _requires(call):
            yield ast.Pass()


def _numbers(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Constant(value=int(value)) if not isinstance(value, bool):
            yield from (ast.Constant(value + 1), ast.Constant(value - 1))
        case ast.BinOp(left, ast.Add(), right):
            yield ast.BinOp(left, ast.Sub(), right)
        case ast.BinOp(left, ast.Sub(), right):
            yield ast.BinOp(left, ast.Add(), right)
        case ast.BinOp(left, ast.FloorDiv(), right):
            yield _negative(ast.BinOp(_negative(left), ast.FloorDiv(), right))


def _bounds(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(left, [op], [right]) if type(op) in SHIFTED:
            yield ast.Compare(left, [SHIFTED[type(op)]()], [right])
        case ast.Call(ast.Name("at_least"), [left, right]):
            for sign in (ast.Add(), ast.Sub()):
                yield ast.Call(node.func, [left, ast.BinOp(right, sign, ast.Constant(1))], [])


def _requires(call: ast.Call) -> bool:
    """Whether a statement states requirements; torch raises nothing where a silent one fails."""
    if any(word.arg == "silent" for word in call.keywords) or _calls(call) == "not_vanished":
        return False
    first = call.args[0] if call.args else None
    return _calls(call) == "require" or (isinstance(first, ast.Name) and first.id == "call")


SHIFTED: dict[type, type] = {ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Lt: ast.LtE, ast.LtE: ast.Lt}


def _negative(node: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.USub(), node)


def _mutant(
    path: str, tree: ast.Module, function: ast.AST, spot: ast.AST, replacement: ast.AST, around: ast.AST
) -> Mutant:
    kept, line = _lines(tree), getattr(spot, "lineno", 0)
    changed = _replaced(function, spot, replacement)
    whole = ast.fix_missing_locations(ast.Module([*kept, changed], []))
    code = _code_of(compile(whole, path, "exec"), changed.name)
    after = replacement if around is spot else _replaced(around, spot, replacement)
    return Mutant(path, line, ast.unparse(around), ast.unparse(after), code)


def _replaced(whole: ast.AST, spot: ast.AST, replacement: ast.AST) -> Any:
    """A copy with another node in one spot."""

    class Replace(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            return replacement if node is spot else self.generic_visit(node)

    return Replace().visit(copy.deepcopy(whole, {id(spot): spot}))


def _lines(tree: ast.Module) -> list[ast.stmt]:
    """The file's `from __future__` imports, which change how a function is compiled."""
    return [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]


def _code_of(module: CodeType, name: str) -> CodeType:
    return next(c for c in module.co_consts if isinstance(c, CodeType) and c.co_name == name)


@dataclass(frozen=True)
class Case:
    """A sample, traced once."""

    sample: str
    model: test_ops.Of1
    inputs: InputShapes
    programs: tuple[Program, Program]

    @cached_property
    def real(self) -> list[tuple[bool, Mapping[int, int], Any]]:
        """What torch does with it, mode by mode and point by point."""
        modes = (False, True) if len(self.model.layers) else (False,)
        every = [(training, point) for training in modes for point in test_ops.points(self.inputs)]
        return [(*each, test_ops.happens(self.model, self.inputs, *each)) for each in every]

    def noticed(self) -> bool:
        """Whether the rules, as they are now, say something else than torch or the sample itself."""
        try:
            if self.sample in test_ops.UNMODELLED:
                return not self.analysis().unmodelled
            return self._unsound() if self.sample in test_ops.SOUND else self._differs()
        except Exception:
            return True

    def _unsound(self) -> bool:
        sound, said = self.analysis().evaluating.sound, test_ops.SOUND[self.sample]
        accepted = (point for training, point, real in self.real if real and not training)
        return any(sound.at(point) != test_ops.is_sound(self.inputs, said, point) for point in accepted)

    def _differs(self) -> bool:
        for training, point, real in self.real:
            if test_ops.predicted_by_ints(self.programs[training], training, point) != real:
                return True
        analysis = self.analysis()
        if analysis.unmodelled:
            return True
        return any(
            test_ops.predicted(analysis, training, point) != real for training, point, real in self.real
        )

    def foretold(self) -> list[Any]:
        """The outputs by the rules as they are now."""
        analysis = self.analysis()
        return [test_ops.predicted(analysis, False, point) for point in test_ops.points(self.inputs)]

    def analysis(self) -> Analysis:
        """By the rules as they are now."""
        return test_ops.analysed(self.programs, self.inputs)


@cache
def case(sample: str) -> Case:
    """A sample by its text."""
    with warnings.catch_warnings(action="ignore"):
        model, inputs = test_ops.build(sample)
        capture = capture_plain(to_meta(model), inputs)
    return Case(sample, model, inputs, (capture.evaluating, capture.training))


@cache
def samples_by_function() -> dict[CodeType, list[str]]:
    """For each function of the rules, the samples that run it."""
    found: dict[CodeType, list[str]] = {}
    folder = str(OPS)
    for sample in (*(sample for _, sample in test_ops.SAMPLES), *test_ops.SOUND, *test_ops.UNMODELLED):
        seen: set[CodeType] = set()

        def note(frame: Any, event: str, argument: object, seen: set[CodeType] = seen) -> None:
            if event == "call" and frame.f_code.co_filename.startswith(folder):
                seen.add(frame.f_code)

        try:
            one = case(sample)
        except CaptureError:
            continue  # test_ops.py says so
        sys.setprofile(note)
        try:
            one.foretold()
        finally:
            sys.setprofile(None)
        for code in seen:
            found.setdefault(code, []).append(sample)
    return found


def survives(mutant: Mutant) -> bool:
    """Whether every sample that runs the mutant still agrees with torch."""
    function = _function(mutant.path)
    original = function.__code__
    samples = samples_by_function().get(original, [])
    function.__code__ = mutant.code
    try:
        return not any(case(sample).noticed() for sample in samples)
    finally:
        function.__code__ = original


def _function(path: str) -> FunctionType:
    file, _, name = path.partition(":")
    value: Any = importlib.import_module(f"autofix.ops.{file}")
    assert isinstance(value, ModuleType)
    for part in name.split("."):
        value = vars(value)[part]
    while not isinstance(value, FunctionType):  # a property, a static method, a cached function
        value = next(getattr(value, name) for name in ("fget", "__wrapped__", "func") if hasattr(value, name))
    return value


def every(files: tuple[str, ...] = FILES) -> list[Mutant]:
    """All mutants but those that are known to be equivalent."""
    return [mutant for file in files for mutant in mutants(file) if not mutant.equivalent]


def main(files: tuple[str, ...], report: Callable[[str], object] = print) -> int:
    torch.set_num_threads(1)
    survivors, chosen = [], every(files or FILES)
    for mutant in chosen:
        if survives(mutant):
            survivors.append(mutant)
            report(f"survived: {mutant.name} (line {mutant.line})")
    report(f"{len(chosen)} mutants, {len(survivors)} survived, {len(EQUIVALENT)} known to be equivalent")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(tuple(sys.argv[1:])))

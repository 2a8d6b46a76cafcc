"""If-conversion: a function whose `if`s assign names, rewritten so that both sides can be recorded.

Control dependence becomes data dependence (Allen, Kennedy, Porterfield and Warren 1983): where a condition
depends on the input size, both sides run, and each name that they assign becomes a choice between two values.
The rewritten code asks `CHOICE` (see `autofix.choices`) at each such place; where that declines, it does what
it did before. Lines and columns stay what they are.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Sequence
from types import CodeType, FunctionType
from typing import Any, Final

from autofix.syntax import alike, compiled, definition_of

CHOICE: Final = "_autofix_choice"
TEST: Final = "_autofix_test"
RETURNED: Final = "_autofix_returned"
INSPECTS: Final = ("locals", "vars", "dir", "globals", "eval", "exec")  # would see names of ours
NEITHER: Final = ast.Yield | ast.YieldFrom | ast.Await | ast.NamedExpr | ast.Global | ast.Nonlocal


def converted(function: FunctionType) -> CodeType | None:
    """The function's code with its `if`s converted; None where it has none, or no source to be read."""
    code = function.__code__
    try:
        definition = definition_of(code)
    except (OSError, SyntaxError, TypeError, IndexError):
        return None
    if definition is None or any(_stays(node) for node in ast.walk(definition)):
        return None
    if not alike(compiled(copy.deepcopy(definition), function), code):
        return None  # the file is no longer what was imported
    converter = _Converter(
        code.co_filename, {RETURNED, *code.co_varnames, *code.co_cellvars, *code.co_freevars}
    )
    definition.body = converter.block(definition.body, last=True)
    return compiled(definition, function) if converter.found else None


def _stays(node: ast.AST) -> bool:
    """Whether a function that says this is left as it is: a choice is neither of its two values."""
    match node:
        case ast.Name(id=name):
            return name in INSPECTS
        case ast.Compare(ops=ops, comparators=others) if any(isinstance(o, ast.Is | ast.IsNot) for o in ops):
            return not all(isinstance(other, ast.Constant) for other in others)
    return isinstance(node, NEITHER)


class _Converter(ast.NodeTransformer):
    """Turns each `if` whose sides only assign names into a choice, and `and`, `or`, `not` into calls."""

    def __init__(self, file: str, names: set[str]) -> None:
        self.file, self.names, self.found = file, names, 0
        self.plain: set[ast.stmt] = set()  # statements made here that do nothing but assign

    def block(self, body: Sequence[ast.stmt], last: bool = False) -> list[ast.stmt]:
        """Statements, converted; `last`: the function ends with them."""
        result: list[ast.stmt] = []
        for position, statement in enumerate(body):
            rest = body[position + 1 :]
            if last and isinstance(statement, ast.If) and _returns(statement.body):
                otherwise = statement.orelse or rest
                made = self._returning(statement, otherwise) if _returns(otherwise) else None
                if made is not None:
                    return [*result, *made]
            found = self.visit(statement)
            result += found if isinstance(found, list) else [found]
        return result

    def visit_If(self, node: ast.If) -> Any:
        assigned = _assigned([*node.body, *node.orelse])
        node.test = self.test(node.test)
        node.body, node.orelse = self.block(node.body), self.block(node.orelse)
        if not (self._only_assigns(node.body) and self._only_assigns(node.orelse)):
            return node
        return self._choice(node, node.test, node.body, node.orelse, assigned)

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        node.test = self.test(node.test)
        node.body, node.orelse = self.visit(node.body), self.visit(node.orelse)
        if _says_super(node):
            return node
        self.found += 1
        sides = [_lambda(node.body), _lambda(node.orelse)]
        return _at(node, _ask("either_value", ast.Constant(self._id(node)), node.test, *sides))

    def test(self, node: ast.expr) -> ast.expr:
        """An expression of which only the truth counts."""
        if isinstance(node, ast.BoolOp) and not _says_super(node):
            self.found += 1
            first, *rest = (self.test(value) for value in node.values)
            name = "both" if isinstance(node.op, ast.And) else "either"
            place = ast.Constant(self._id(node))
            asked: ast.expr = _at(node, _ask(name, place, first, *(_lambda(value) for value in rest)))
            return asked
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            negated: ast.expr = _at(node, _ask("negated", self.test(node.operand)))
            return negated
        visited: ast.expr = self.visit(node)
        return visited

    def visit_BoolOp(self, node: ast.BoolOp) -> Any:
        """Of comparisons alone it is a truth wherever it stands."""
        if all(isinstance(value, ast.Compare) for value in node.values):
            return self.test(node)
        return self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        self.generic_visit(node)
        pair = isinstance(node.value, ast.Tuple) and len(node.value.elts) == 2
        if not pair or isinstance(node.slice, ast.Slice):
            return node
        self.found += 1
        return _at(node, _ask("picked", ast.Constant(self._id(node)), node.value, node.slice))

    def visit_Call(self, node: ast.Call) -> Any:
        """`float(size)` would need the size as a number."""
        self.generic_visit(node)
        match node:
            case ast.Call(func=ast.Name(id="float"), args=[value], keywords=[]) if "float" not in self.names:
                self.found += 1
                return _at(node, _ask("real", value))
        return node

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> Any:
        return node

    def _returning(self, node: ast.If, otherwise: Sequence[ast.stmt]) -> list[ast.stmt] | None:
        """`if test: return a` before `return b`, as a choice of what is returned."""
        sides = [[*side[:-1], _stored(side[-1])] for side in (node.body, otherwise)]
        test = self.test(copy.deepcopy(node.test))
        body, rest = (self.block(copy.deepcopy(side)) for side in sides)
        if not (self._only_assigns(body) and self._only_assigns(rest)):
            return None
        names = _assigned([*sides[0], *sides[1]])
        back = _at(node, ast.Return(ast.Name(RETURNED, ast.Load())))
        return [*self._choice(node, test, body, rest, names), back]

    def _choice(
        self, node: ast.If, test: ast.expr, body: list[ast.stmt], orelse: list[ast.stmt], names: list[str]
    ) -> list[ast.stmt]:
        """test = opened(...): 0 for one side, 1 for the other, 2 for both and a choice of each name."""
        self.found += 1
        kept = f"{TEST}_{node.lineno}_{node.col_offset}"
        opened = _ask("opened", ast.Constant(self._id(node)), test, _locals())
        made = [
            ast.Assign([ast.Name(kept, ast.Store())], opened),
            ast.If(ast.Name(kept, ast.Load()), body or [ast.Pass()], []),
            ast.If(_is(kept, ast.Eq(), 2), [_exchange("otherwise", names)], []),
            *([ast.If(_is(kept, ast.NotEq(), 1), orelse, [])] if orelse else []),
            ast.If(_is(kept, ast.Eq(), 2), [_exchange("merged", names)], []),
        ]
        self.plain.update(made)
        return [_at(node, statement) for statement in made]

    def _id(self, node: ast.stmt | ast.expr) -> str:
        return f"{self.file}:{node.lineno}:{node.col_offset}"

    def _only_assigns(self, body: Sequence[ast.stmt]) -> bool:
        return all(statement in self.plain or self._assigns(statement) for statement in body)

    def _assigns(self, statement: ast.stmt) -> bool:
        match statement:
            case ast.Assign(targets=targets):
                return all(self._is_local(target) for target in targets)
            case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
                return self._is_local(target)
            case ast.For(target=target, body=body, orelse=[]):
                return self._is_local(target) and self._only_assigns(body)
            case ast.Expr(value=value):
                return isinstance(value, ast.Constant) or _fills_a_list(value)
        return isinstance(statement, ast.Pass)

    def _is_local(self, target: ast.expr) -> bool:
        """A name, an item of what a local name holds, or several of these."""
        if isinstance(target, ast.Tuple | ast.List):
            return all(self._is_local(item) for item in target.elts)
        holder = target.value if isinstance(target, ast.Subscript) else target
        return isinstance(holder, ast.Name) and holder.id in self.names


def _fills_a_list(value: ast.expr) -> bool:
    """`pads.append(1)`: what it does to a local list is compared afterwards."""
    match value:
        case ast.Call(func=ast.Attribute(value=ast.Name(), attr="append" | "extend" | "insert")):
            return True
    return False


def _returns(body: Sequence[ast.stmt]) -> bool:
    return bool(body) and isinstance(body[-1], ast.Return)


def _stored(statement: ast.stmt) -> ast.stmt:
    assert isinstance(statement, ast.Return)
    value = statement.value or ast.Constant(None)
    stored: ast.stmt = _at(statement, ast.Assign([ast.Name(RETURNED, ast.Store())], value))
    return stored


def _assigned(body: Sequence[ast.stmt]) -> list[str]:
    """The names that statements assign, in order."""
    names: dict[str, None] = {}
    queue: list[ast.AST] = list(body)
    while queue:
        node = queue.pop(0)
        if isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names[node.id] = None
        queue[:0] = ast.iter_child_nodes(node)
    return list(names)


def _exchange(method: str, names: Sequence[str]) -> ast.stmt:
    """`a, b = CHOICE.method(locals(), "a", "b")`"""
    call = _ask(method, _locals(), *(ast.Constant(name) for name in names))
    if not names:
        return ast.Expr(call)
    return ast.Assign([ast.Tuple([ast.Name(name, ast.Store()) for name in names], ast.Store())], call)


def _ask(method: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Attribute(ast.Name(CHOICE, ast.Load()), method, ast.Load()), list(arguments), [])


def _locals() -> ast.expr:
    return ast.Call(ast.Name("locals", ast.Load()), [], [])


def _is(name: str, op: ast.cmpop, number: int) -> ast.expr:
    return ast.Compare(ast.Name(name, ast.Load()), [op], [ast.Constant(number)])


def _lambda(value: ast.expr) -> ast.expr:
    return ast.Lambda(ast.arguments([], [], None, [], [], None, []), value)


def _says_super(node: ast.AST) -> bool:
    """`super()` finds its class and object only in the frame of a method itself."""
    return any(isinstance(part, ast.Name) and part.id == "super" for part in ast.walk(node))


def _at(where: Any, node: Any) -> Any:
    return ast.fix_missing_locations(ast.copy_location(node, where))

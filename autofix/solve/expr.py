"""Sizes as linear expressions over CP-SAT variables, so that the operator table's formulas build the model.

Floor division by a constant is linear: y = x // s means s*y <= x <= s*y + s - 1. Products and divisions by a
hyperparameter of few values become one linear case for each value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from ortools.sat.python import cp_model

from autofix.condition import Condition
from autofix.ops.base import Stopped
from autofix.size import Dim

COMPARISONS: Final = (">=", "==", "divides")
Terms = tuple[tuple[int, int], ...]  # (variable index, coefficient), by index


class Infeasible(Stopped):
    """A condition that no choice can make true."""


@dataclass(frozen=True, eq=False, slots=True)
class Expr:
    """const + sum of coefficient * variable."""

    builder: Builder
    terms: Terms
    const: int

    @property
    def low(self) -> int:
        return self.builder.bounds(self.terms)[0] + self.const

    @property
    def high(self) -> int:
        return self.builder.bounds(self.terms)[1] + self.const

    def linear(self) -> Any:
        """The expression as CP-SAT takes it."""
        variables = self.builder.variables
        return (
            cp_model.LinearExpr.weighted_sum(
                [variables[i] for i, _ in self.terms], [c for _, c in self.terms]
            )
            + self.const
        )

    def __add__(self, other: Dim) -> Dim:
        if isinstance(other, int):
            return Expr(self.builder, self.terms, self.const + other)
        if not isinstance(other, Expr):
            return NotImplemented
        coefficients = dict(self.terms)
        for index, coefficient in other.terms:
            coefficients[index] = coefficients.get(index, 0) + coefficient
        return self.builder.make(coefficients, self.const + other.const)

    __radd__ = __add__

    def __neg__(self) -> Dim:
        return self * -1

    def __sub__(self, other: Dim) -> Dim:
        return self + (-other)

    def __rsub__(self, other: Dim) -> Dim:
        return -self + other

    def __mul__(self, other: Dim) -> Dim:
        if isinstance(other, int):
            return self.builder.make({i: c * other for i, c in self.terms}, self.const * other)
        return self.builder.product(self, other) if isinstance(other, Expr) else NotImplemented

    __rmul__ = __mul__

    def __floordiv__(self, other: Dim) -> Dim:
        return self.builder.quotient(self, other)

    def __rfloordiv__(self, other: Dim) -> Dim:
        return self.builder.by_cases(other, self, lambda value: other // value)

    def __mod__(self, other: Dim) -> Dim:
        return self - (self // other) * other

    def larger(self, other: Dim) -> Dim:
        """max(self, other)"""
        return self.builder.larger(self, other)


class Builder:
    """A CP-SAT model under construction."""

    def __init__(self) -> None:
        self.model = cp_model.CpModel()
        self.variables: list[Any] = []
        self._domain: list[tuple[int, int]] = []
        self._choices: dict[
            int, dict[int, Any]
        ] = {}  # variable -> value -> literal, for variables of few values
        self._low: dict[Terms, int] = {}
        self._high: dict[Terms, int] = {}
        self._memo: dict[Any, Dim] = {}
        self.enforce: Any = None

    def choice(self, name: str, values: tuple[int, ...]) -> tuple[Expr, dict[int, Any]]:
        """A variable with one literal for each of its values."""
        index = self._variable(min(values), max(values), name)
        literals = {value: self.model.new_bool_var(f"{name}={value}") for value in values}
        self.model.add_exactly_one(literals.values())
        self.model.add(self.variables[index] == sum(value * literal for value, literal in literals.items()))
        self._choices[index] = literals
        return Expr(self, ((index, 1),), 0), literals

    def _variable(self, low: int, high: int, name: str = "") -> int:
        self.variables.append(self.model.new_int_var(low, high, name))
        self._domain.append((low, high))
        return len(self.variables) - 1

    def make(self, coefficients: dict[int, int], const: int) -> Dim:
        """An expression, or an int where nothing is left of the variables."""
        terms = tuple(sorted((i, c) for i, c in coefficients.items() if c))
        return Expr(self, terms, const) if terms else const

    def bounds(self, terms: Terms) -> tuple[int, int]:
        """The range of a linear form, narrowed by what was required of it."""
        low = high = 0
        for index, coefficient in terms:
            ends = [coefficient * end for end in self._domain[index]]
            low, high = low + min(ends), high + max(ends)
        return max(low, self._low.get(terms, low)), min(high, self._high.get(terms, high))

    def quotient(self, left: Expr, right: Dim) -> Dim:
        """left // right"""
        if isinstance(right, Expr):
            return self.by_cases(left, right, lambda value: left // value)
        key = ("//", left.terms, left.const, right)
        if key not in self._memo:
            self._memo[key] = self._divide(left, right)
        return self._memo[key]

    def _divide(self, left: Expr, divisor: int) -> Dim:
        if divisor == 1:
            return left
        if divisor < 1:
            raise Infeasible(f"division by {divisor}")
        low, high = left.low // divisor, left.high // divisor
        if low == high:
            return low
        result = Expr(self, ((self._variable(low, high), 1),), 0)
        rest = left.linear() - divisor * result.linear()
        self.model.add_linear_constraint(rest, 0, divisor - 1)
        return result

    def product(self, left: Expr, right: Expr) -> Dim:
        """left * right"""
        if self._literals(left) is None and self._literals(right) is None:
            corners = [a * b for a in (left.low, left.high) for b in (right.low, right.high)]
            result = Expr(self, ((self._variable(min(corners), max(corners)), 1),), 0)
            self.model.add_multiplication_equality(result.linear(), [left.linear(), right.linear()])
            return result
        if self._literals(left) is None:
            left, right = right, left
        return self.by_cases(right, left, lambda value: right * value)

    def _literals(self, expr: Expr) -> dict[int, Any] | None:
        """value of the expression -> literal, where it is one chosen variable plus a constant."""
        if len(expr.terms) != 1 or expr.terms[0][0] not in self._choices:
            return None
        index, coefficient = expr.terms[0]
        return {coefficient * value + expr.const: literal for value, literal in self._choices[index].items()}

    def by_cases(self, other: Dim, chosen: Expr, result_of: Callable[[int], Dim]) -> Dim:
        """The result of an operation for whichever value is chosen."""
        literals = self._literals(chosen)
        if literals is None:
            raise NotImplementedError("division by a size that is being searched for")
        results = {value: result_of(value) for value in literals}
        lows = [r if isinstance(r, int) else r.low for r in results.values()]
        highs = [r if isinstance(r, int) else r.high for r in results.values()]
        merged = Expr(self, ((self._variable(min(lows), max(highs)), 1),), 0)
        for value, literal in literals.items():
            one = results[value]
            same = merged.linear() == (one if isinstance(one, int) else one.linear())
            self.model.add(same).only_enforce_if(literal)
        return merged

    def larger(self, left: Expr, right: Dim) -> Dim:
        """max(left, right)"""
        low, high = (right, right) if isinstance(right, int) else (right.low, right.high)
        if left.low >= high:
            return left
        if left.high <= low:
            return right
        result = Expr(self, ((self._variable(max(left.low, low), max(left.high, high)), 1),), 0)
        other = right if isinstance(right, int) else right.linear()
        self.model.add_max_equality(result.linear(), [left.linear(), other])
        return result

    def require(self, condition: Condition) -> None:
        """Add a condition. Raises Infeasible where it is false whatever is chosen and nothing guards it."""
        if condition.relation not in COMPARISONS:
            self._require_truth(condition)
            return
        difference = _difference(condition)
        if isinstance(difference, int):
            if not (difference >= 0 if condition.relation == ">=" else difference == 0):
                self._impossible(condition)
        elif condition.relation == ">=":
            self._at_least(difference)
        else:
            self._add(difference.linear() == 0)

    def _at_least(self, difference: Expr) -> None:
        if difference.low >= 0:
            return
        if difference.high < 0:
            self._impossible(difference)
            return
        self._add(difference.linear() >= 0)
        if self.enforce is None:
            self._low[difference.terms] = -difference.const
            negated = tuple((i, -c) for i, c in difference.terms)
            self._high[negated] = difference.const

    def _add(self, constraint: Any) -> None:
        added = self.model.add(constraint)
        if self.enforce is not None:
            added.only_enforce_if(self.enforce)

    def _impossible(self, what: Any) -> None:
        if self.enforce is None:
            raise Infeasible(what)
        self.model.add_bool_or([]).only_enforce_if(self.enforce)

    def _require_truth(self, condition: Condition) -> None:
        truth = self.truth(condition)
        if truth is False:
            self._impossible("no alternative is left")
        elif truth is not True:
            self._add(truth == 1)

    def choose(self, condition: Condition, then: Dim, otherwise: Dim) -> Dim:
        """`then` where the condition holds, `otherwise` where it does not."""
        truth = self.truth(condition)
        if isinstance(truth, bool):
            return then if truth else otherwise
        sides = [side if isinstance(side, Expr) else Expr(self, (), side) for side in (then, otherwise)]
        low, high = min(side.low for side in sides), max(side.high for side in sides)
        result = Expr(self, ((self._variable(low, high), 1),), 0)
        for side, literal in zip(sides, (truth, truth.negated()), strict=True):
            self.model.add(result.linear() == side.linear()).only_enforce_if(literal)
        return result

    def truth(self, condition: Condition) -> Any:
        """True, False, or a literal that is the condition's truth."""
        if condition.relation == "any":
            return self._some(condition.either)
        if condition.relation.startswith("not "):
            opposite = self.truth(~condition)
            return not opposite if isinstance(opposite, bool) else opposite.negated()
        difference = _difference(condition)
        if isinstance(difference, int):
            return difference >= 0 if condition.relation == ">=" else difference == 0
        if difference.high < 0 or (condition.relation != ">=" and difference.low > 0):
            return False
        if condition.relation == ">=" and difference.low >= 0:
            return True
        literal = self.model.new_bool_var("")
        linear = difference.linear()
        holds, fails = (linear >= 0, linear < 0) if condition.relation == ">=" else (linear == 0, linear != 0)
        self.model.add(holds).only_enforce_if(literal)
        self.model.add(fails).only_enforce_if(literal.negated())
        return literal

    def _some(self, parts: Iterable[Condition]) -> Any:
        """Whether one of several conditions holds."""
        truths = [self.truth(part) for part in parts]
        if True in [truth for truth in truths if isinstance(truth, bool)]:
            return True
        literals = [truth for truth in truths if not isinstance(truth, bool)]
        if not literals:
            return False
        some = self.model.new_bool_var("")
        self.model.add_max_equality(some, literals)
        return some


def _difference(condition: Condition) -> Dim:
    if condition.relation == "divides":
        return condition.left % condition.right
    if condition.relation not in COMPARISONS:
        raise NotImplementedError(f"the search has no form for '{condition.relation}'")
    return condition.left - condition.right

"""DynamoDB's condition and update expressions, as far as the functions use them."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from boto3.dynamodb.conditions import ConditionBase, ConditionExpressionBuilder

Item = dict[str, Any]
_TOKEN = re.compile(r"[#:]?\w+|<=|>=|<>|[=<>(),+-]")
_MISSING = object()
_COMPARISONS = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def condition_of(expression: str | ConditionBase | None, request: Mapping[str, Any]) -> Callable[[Item | None], bool]:
    """Return a function that checks whether an item, or None, meets the condition of a request."""
    if expression is None:
        return lambda item: True
    names = dict(request.get("ExpressionAttributeNames") or {})
    values = dict(request.get("ExpressionAttributeValues") or {})
    text = expression
    if isinstance(expression, ConditionBase):
        built = ConditionExpressionBuilder().build_expression(expression)
        text = built.condition_expression
        names |= built.attribute_name_placeholders
        values |= built.attribute_value_placeholders

    def holds(item: Item | None) -> bool:
        parser = _Parser(text, names, values, item or {})
        found = parser.disjunction()
        assert not parser.tokens, f"cannot read {text}"
        return found

    return holds


def updated(expression: str, item: Item, request: Mapping[str, Any]) -> Item:
    """Return an item after an update expression."""
    names = dict(request.get("ExpressionAttributeNames") or {})
    values = dict(request.get("ExpressionAttributeValues") or {})
    new = dict(item)
    parts = re.split(r"\b(SET|REMOVE|ADD)\b", expression)[1:]
    for action, text in zip(parts[::2], parts[1::2], strict=True):
        parser = _Parser(text, names, values, item)
        while parser.tokens:
            name = parser.name()
            if action == "REMOVE":
                new.pop(name, None)
            elif action == "ADD":
                new[name] = item.get(name, 0) + Decimal(parser.operand())
            else:
                parser.take("=")
                new[name] = parser.total()
            if parser.tokens:
                parser.take(",")
    return new


class _Parser:
    def __init__(self, text: str, names: Mapping[str, str], values: Mapping[str, Any], item: Item) -> None:
        self.tokens = _TOKEN.findall(text)
        self._names = names
        self._values = values
        self._item = item

    def take(self, token: str) -> None:
        assert self.tokens.pop(0) == token

    def name(self) -> str:
        token = self.tokens.pop(0)
        return self._names[token] if token.startswith("#") else token

    def disjunction(self) -> bool:
        found = self._conjunction()
        while self.tokens[:1] == ["OR"]:
            self.take("OR")
            # Both sides are evaluated, regardless of the first one's result.
            found = self._conjunction() or found
        return found

    def _conjunction(self) -> bool:
        found = self._negation()
        while self.tokens[:1] == ["AND"]:
            self.take("AND")
            found = self._negation() and found
        return found

    def _negation(self) -> bool:
        if self.tokens[:1] == ["NOT"]:
            self.take("NOT")
            return not self._negation()
        if self.tokens[0] == "(":
            self.take("(")
            found = self.disjunction()
            self.take(")")
            return found
        if self.tokens[0] in {"attribute_exists", "attribute_not_exists"}:
            function = self.tokens.pop(0)
            self.take("(")
            is_there = self.name() in self._item
            self.take(")")
            return is_there == (function == "attribute_exists")
        left, operator, right = self.operand(), self.tokens.pop(0), self.operand()
        return left is not _MISSING and right is not _MISSING and _COMPARISONS[operator](left, right)

    def operand(self) -> Any:
        if self.tokens[0] == "if_not_exists":
            self.take("if_not_exists")
            self.take("(")
            found = self.operand()
            self.take(",")
            default = self.operand()
            self.take(")")
            return default if found is _MISSING else found
        if self.tokens[0].startswith(":"):
            return self._values[self.tokens.pop(0)]
        return self._item.get(self.name(), _MISSING)

    def total(self) -> Any:
        found = self.operand()
        while self.tokens[:1] in (["+"], ["-"]):
            sign = 1 if self.tokens.pop(0) == "+" else -1
            found += sign * self.operand()
        return found

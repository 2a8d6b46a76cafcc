"""Phrases of the terminal as a page sets them."""

from __future__ import annotations


def typeset(text: str) -> str:
    """`>= 8` -> `≥ 8`, `0 -> 1` -> `0 → 1`, `3 x 3` -> `3 × 3`."""
    for plain, sign in ((">=", "≥"), ("->", "→"), (" x ", " × ")):
        text = text.replace(plain, sign)
    return text

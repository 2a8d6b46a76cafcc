"""Phrases of the terminal as a page sets them."""

from __future__ import annotations

SIGNS = ((">=", "\u2265"), ("->", "\u2192"), (" x ", " \u00d7 "))


def typeset(text: str) -> str:
    """Comparisons, arrows and products by their own signs."""
    for plain, sign in SIGNS:
        text = text.replace(plain, sign)
    return text

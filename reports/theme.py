"""The colours of pages and mail pictures: distinguishable with any colour vision, readable on their ground.

The page's style sheet (assets/page.css) holds the same colours as custom properties; a test keeps the two equal.
"""

INK, MUTED, LINE, PAPER = "#1d2733", "#566375", "#dce2ea", "#ffffff"
SERIES = ("#0f6cbd", "#d9730d", "#0a8a6a", "#b3478f", "#4f9bd9", "#8a6d00", "#7a5fd0", "#5d6b7b")
OUTCOMES = {"pass": "#0a8a6a", "warn": "#c98a00", "fail": "#c8382b", "error": "#7b2d8b"}
HEAT_STEPS = 7  # shades a heat map tells apart; more are not seen as different


def series_colour(name: str, position: int) -> str:
    """Gives the colour of a series: a check's outcome has its own, others go by their place."""
    return OUTCOMES.get(name, SERIES[position % len(SERIES)])

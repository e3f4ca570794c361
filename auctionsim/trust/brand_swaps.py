"""Brands exchanged for one another in a question and its reply, to see whether a score likes a name."""

from auctionsim.brands import Brand


def swap_brands(text: str, brands: tuple[Brand, ...], step: int = 1) -> str:
    """Return a text in which every mention of brand i is one of brand i + step, the last followed by the first.

    A mention is what `Brand` counts as one. The new name is the brand's own; it is in capitals, or in small letters,
    where the old mention was all in them and the new brand is not case-sensitive.

    Example:
        >>> swap_brands("nike or Adidas? NIKE, nikes.", (Brand("Nike"), Brand("Adidas")))
        'adidas or Nike? ADIDAS, adidas.'
    """
    spans = sorted((*span, place) for place, brand in enumerate(brands) for span in brand.spans(text))
    parts, end = [], 0
    for start, stop, place in spans:
        if start < end:  # of two names that overlap the first
            continue
        parts += [text[end:start], _like(text[start:stop], brands[(place + step) % len(brands)])]
        end = stop
    return "".join([*parts, text[end:]])


def _like(mention: str, brand: Brand) -> str:
    if brand.name in brand.case_sensitive:
        return brand.name
    return brand.name.upper() if mention.isupper() else brand.name.lower() if mention.islower() else brand.name

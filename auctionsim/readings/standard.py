"""What every measurement reads; others are read besides, by name."""

FEATURES = ("slot_probability", "mention_probability", "hits", "intent")
"""Per brand, in the order that measurements have them."""
LOSSES = ("kl",)
"""Per user; the default loss first."""
DIAGNOSTICS = ("surprise", "repetition_rate")
"""Per reply, and sold by nobody."""
STANDARD = (*FEATURES, *LOSSES, *DIAGNOSTICS)

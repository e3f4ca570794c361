"""Figures of studies, drawn from rows."""

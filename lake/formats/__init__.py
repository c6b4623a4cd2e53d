"""Formats: how the bytes of a delivery become rows of text. Adding one is a small file with one reading."""

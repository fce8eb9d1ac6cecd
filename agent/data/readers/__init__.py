"""Readers of video data sets that others published, from their original files."""

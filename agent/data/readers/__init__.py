"""Readers of published video data sets, from their original files. A data set is one file and one entry."""

from agent.data.readers.dml_mazes import DmlMazes
from agent.data.readers.kth import Kth
from agent.data.readers.reader import Reader

__all__ = ["RECORDED", "DmlMazes", "Kth", "Reader"]

RECORDED: dict[str, type[Reader]] = {reader.name: reader for reader in (Kth, DmlMazes)}
"""readers by the names of their data sets"""

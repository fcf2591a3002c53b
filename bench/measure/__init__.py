"""Measures spin-docker beside its peers, in one run, and writes the report. One file a group of rows."""

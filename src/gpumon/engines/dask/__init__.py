"""Dask: clusters of this machine or of many, with the task and the order of merging of the local engine.

The only place that imports dask and distributed.
"""

"""Who counts: this process with threads, or a Dask cluster. The same task, the same order of merging."""

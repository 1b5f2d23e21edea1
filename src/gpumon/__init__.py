"""gpumon."""

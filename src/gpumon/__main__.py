"""``python -m gpumon`` is the command line."""

from gpumon.cli import main

main()

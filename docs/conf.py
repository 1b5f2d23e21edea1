"""Sphinx, for ``make docs``."""

import sys
from pathlib import Path

from gpumon import __version__

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "gpumon"
author = "The gpumon developers"
copyright = author
version = release = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "generated"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say what arguments are

html_theme = "pydata_sphinx_theme"
html_title = "gpumon"
html_theme_options = {
    "navbar_center": [],
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": False,
    "show_nav_level": 2,
}
html_sidebars = {"**": ["globaltoc.html"]}
html_show_sourcelink = False

from __future__ import annotations

import os

from hypothesis import settings

pytest_plugins = ["pytester"]

# What finds new examples by chance is for whoever develops; a verdict on a commit has to be the same twice.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

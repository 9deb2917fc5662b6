# SPDX-License-Identifier: GPL-2.0-only
"""Scripts: they are looked at one by one, nothing is built."""

import warnings

from .tree import run


def python(tree):
    """What the compiler says; it warns of some mistakes, too."""
    found = []
    for name in sorted({*tree.files(".py"), *tree.scripts("python")}):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                compile((tree.root / name).read_bytes(), name, "exec", dont_inherit=True)
        except (SyntaxError, Warning) as error:
            found.append(f"{name}: {error}")
    return "\n".join(found)


def shellcheck(tree):
    """Suppressions stand in the scripts, above the line that they are about."""
    scripts = tree.scripts("sh", "bash", "dash")
    return run(["shellcheck", "--color=never", "--external-sources", *scripts], tree.root)[1]

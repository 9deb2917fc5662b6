# SPDX-License-Identifier: GPL-2.0-only
"""The checkers. Each takes a Tree and returns what it found, as text to show:
nothing, if nothing was found."""

# SPDX-License-Identifier: GPL-2.0-only
"""The rig: kernels and QEMUs fetched or built once, and machines booted from them."""

# SPDX-License-Identifier: GPL-2.0-only
"""Checkers of the kernel's own, and the module built with other compilers."""

import os
import re
import shutil

from xbzrig import debian, kernels

from .source import SCRIPTS, CheckError, kernel_scripts, make, run, run_all

# What goes into a module: of the product, and of the tests.
MODULES = (
    (".", "xbzrle.ko", ("Kbuild", "kmod", "lib", "uapi")),
    ("tests/fakevm", "xbz_fakevm.ko", (".",)),
)
KERNEL_CODE = ("kmod", "lib", "uapi", "tests/fakevm", "tests/kunit")


# checkpatch

# (files, message types that say nothing about them)
NOT_FOR = (
    # The one place that asks for versions; the second is about LINUX_VERSION_CODE >=
    # KERNEL_VERSION(), which it takes for a constant.
    (r"kmod/compat/", ("LINUX_VERSION_CODE", "CONSTANT_COMPARISON")),
    # What a lock guards is said in the structure's kernel-doc.
    (r"(kmod|tests/fakevm)/.*\.h$", ("UNCOMMENTED_DEFINITION",)),
    # User space: it has uint64_t, and neither __printf() nor BIT().
    (r"lib/(include|libxbzrle)/|tools/|tests/(?!fakevm|kunit)|Documentation/",
     ("PREFER_KERNEL_TYPES", "PREFER_DEFINED_ATTRIBUTE_MACRO", "BIT_MACRO")),
    # Names of zstd, xxHash and C's own.
    (r"tools/xbzimg/", ("CAMELCASE",)),
    # Made by the kernel's own generator.
    (r"kmod/netlink-gen\.|uapi/linux/xbzrle_(netlink|counters)", ("LONG_LINE",)),
    # User space has no BIT(); checkpatch itself leaves out include/uapi/.
    (r"uapi/|tests/fakevm/xbz_fakevm\.h", ("BIT_MACRO",)),
    # A vector's type can only be a typedef; this is user space's code, too, which has no
    # __aligned().
    (r"lib/codec/", ("NEW_TYPEDEFS", "PREFER_DEFINED_ATTRIBUTE_MACRO")),
    # A pragma with a list of instruction sets.
    (r"lib/codec/avx", ("LONG_LINE",)),
    # A read for the cache's sake; JSON in one string; a usage text by usage().
    (r"tests/bench/", ("VOLATILE", "LONG_LINE_STRING", "EMBEDDED_FUNCTION_NAME")),
    # The text of an asm statement, put together once for each register.
    (r"tests/device/test_registers", ("COMPLEX_MACRO", "MACRO_ARG_REUSE")),
    # Names that cmocka and libFuzzer want; it does not understand a compound literal as
    # an argument; a nest of assertions and a row of segment registers are easier to read.
    (r"tests/", ("CAMELCASE", "PARENTHESIS_ALIGNMENT", "OPEN_ENDED_LINE",
                 "MULTIPLE_ASSIGNMENTS")),
    # The example says how it is built.
    (r"Documentation/", ("EMBEDDED_FILENAME",)),
)
# For a whole tree and a tree that is not the kernel's: what these ask for is
# in another file, or is about patches.
NOT_HERE = ("FILE_PATH_CHANGES", "MISSING_VMLINUX_SYMBOL")


def checkpatch(tree):
    # These are files of QEMU, or stand in for its own, and are written as they are.
    files = [name for name in tree.files(".c", ".h", ".S", "Kbuild")
             if not name.startswith(("tests/bench/qemu/", "qemu/common/"))]
    script, installed = kernel_scripts() / "checkpatch.pl", debian.installed(SCRIPTS)
    commands, stamps = [], []
    for name in files:
        ignored = NOT_HERE + tuple(kind for pattern, kinds in NOT_FOR
                                   if re.match(pattern, name) for kind in kinds)
        stamp = tree.clean("checkpatch", installed, ignored, name,
                           (tree.root / name).read_text(encoding="utf-8"))
        if not stamp.exists():
            stamps.append(stamp)
            commands.append(["perl", script, "--no-tree", "--strict", "--terse",
                             "--show-types", "--no-summary", "--quiet",
                             "--ignore", ",".join(ignored), "--file", name])
    found = ""
    for argv, stamp, (status, text) in zip(commands, stamps, run_all(commands, cwd=tree.root)):
        if status or text:
            found += text or f"checkpatch ended with status {status}: {argv[-1]}\n"
        else:
            stamp.touch()
    return found


def kernel_doc(tree):
    files = [name for name in tree.files(".c", ".h", under=("kmod", "lib", "uapi", "tools"))
             if "/**" in (tree.root / name).read_text(encoding="utf-8")]
    script = kernel_scripts() / "kernel-doc"
    return run(["perl", script, "-none", "-Werror", *files], tree.root)[1]


# The module, built

COMPLAINT = re.compile(r"\b(warning|error)\b|^ERROR|\*\*\*", re.I)


def build(tree, name, *variables):
    """Build the modules, for the kernel that is wanted; the lines that complain, with what
    is around them."""
    kernel = kernels.get(os.environ.get("KERNEL", kernels.DEFAULT))
    os.environ["XBZ_MAKE"] = kernel.make
    found = []
    for folder, module, sources in MODULES:
        if not (tree.root / folder / "Kbuild").exists():
            continue
        out = tree.out / name / kernel.name / folder
        status, text = make(tree.root / "scripts/kmodule", kernel.kdir, out, module,
                            *sources, "W=1", *variables, cwd=tree.root / folder)
        text = text.replace(f"{out.resolve()}/src/", f"{folder}/".removeprefix("./"))
        lines = [line for line in text.splitlines()
                 if not re.match(r"  [A-Z]|make(\[\d+\])?: (Entering|Leaving)|Skipping BTF|"
                                     r"warning: (the compiler|pahole version) differs", line)]
        if status or any(map(COMPLAINT.search, lines)):
            found += lines or [f"make ended with status {status}"]
    return "\n".join(found)


def sparse(tree):
    """Warnings are errors, gcc's, too: an object that brought one is not made,
    and so the next run shows it again."""
    run(["sparse", "--version"])    # kbuild would say less clearly that it is missing
    return build(tree, "sparse", "C=1", f"CHECK={tree.root}/tests/lint/no-vectors sparse",
                 "CF=-D__CHECK_ENDIAN__ -Wsparse-error", "KCFLAGS=-Werror")


def clang(tree):
    """Headers that were configured for gcc have gcc's answers to what Kconfig
    asked the compiler. Those that matter for flags are given again, as Kconfig
    would for clang; all else, what the kernel is made of, stays."""
    answers = {
        "CC_IS_GCC": "", "GCC_VERSION": "0", "CC_IS_CLANG": "y", "CLANG_VERSION": "140006",
        "CC_IMPLICIT_FALLTHROUGH": "-Wimplicit-fallthrough",
        "CC_NO_ARRAY_BOUNDS": "",       # about a bug of gcc 12
        "INIT_STACK_ALL_ZERO": "", "UBSAN_BOUNDS_STRICT": "", "CC_HAS_MIN_FUNCTION_ALIGNMENT": "",
        "FTRACE_MCOUNT_USE_CC": "", "FTRACE_MCOUNT_USE_OBJTOOL": "y",
        # Mitigations that it has not got; objtool would miss their traces.
        "RETHUNK": "", "MITIGATION_RETHUNK": "", "SLS": "", "MITIGATION_SLS": "",
    }
    # Per-CPU variables of headers for gcc are in named address spaces, doubly.
    return build(tree, "clang", "CC=clang", "KCFLAGS=-Werror -Wno-duplicate-decl-specifier",
                 *(f"CONFIG_{name}={value}" for name, value in answers.items()))


# coccicheck

# What scripts/coccicheck would run, but: minmax.cocci asks for min() also where
# user space has none, in lib/, and takes as long as ten others; and those that
# are about buses, device trees and interrupts, of which there are none here.
# One costs about a second, whether it finds anything or not.
COCCI_LEFT_OUT = re.compile(
    r"misc/minmax|"
    r"api/(check_bq27xxx|debugfs|device_attr|platform_|pm_runtime|pool_|resource_)|"
    r"free/(clk|devm|iounmap|pci|put_device)|iterators/(device_node|for_each_child)|"
    r"misc/(irqf|of_table)")
COCCI_SECONDS = 60


def coccicheck(tree, only=""):
    """spatch takes a folder or one file: the folder gets what it is to read. Of
    the scripts only those below a folder, if one is given."""
    source = tree.out / "coccicheck"
    shutil.rmtree(source, ignore_errors=True)
    everything = [debian.installed(SCRIPTS), debian.installed("coccinelle"), only, COCCI_LEFT_OUT.pattern]
    for name in tree.files(".c", ".h", under=KERNEL_CODE):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tree.root / name, source / name)
        everything += [name, (source / name).read_text(encoding="utf-8")]
    clean = tree.clean("coccicheck", *everything)
    if clean.exists():
        return ""

    top = kernel_scripts() / "coccinelle"
    commands = []
    for script in sorted(top.rglob("*.cocci")):
        name = str(script.relative_to(top))
        text = script.read_text(encoding="utf-8")
        # These two want a compiler for OCaml; sparse, too, finds pointers compared to 0.
        if COCCI_LEFT_OUT.match(name) or not name.startswith(only) or "script:ocaml" in text:
            continue
        options = re.search(r"^// *Options: *(.*)", text, re.M)
        commands.append(["spatch", "-D", "report", "--very-quiet", "--no-show-diff",
                         "--cocci-file", script, *(options[1].split() if options else ()),
                         "-I", "uapi", "-I", "lib/include", "-I", "lib", "-I", "kmod",
                         "--dir", "."])
    if not commands:
        raise CheckError("the kernel's source has no semantic patches")
    found = []
    for argv, (status, text) in zip(commands, run_all(commands, cwd=source,
                                                      timeout=COCCI_SECONDS)):
        # Parse warnings are about the scripts.
        lines = [line for line in text.splitlines()
                 if not re.match(r"warning: |HANDLING|\s*$", line)]
        if status or lines:
            found += [*lines, f"  ({argv[argv.index('--cocci-file') + 1].relative_to(top)}"
                              f"{f', status {status}' if status else ''})"]
    if not found:
        clean.touch()
    return "\n".join(found)

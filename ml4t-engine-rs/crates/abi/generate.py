"""Write everything that is made from abi.toml, or check that it is what abi.toml says.

    python ml4t-engine-rs/crates/abi/generate.py [--check]

Four files come from the description: the Rust structs, the C header, the tables of the Python package
`ml4t.native`, and a page of the documentation. Sizes and offsets are computed once, here; Rust and C assert
theirs when they are compiled, and the tests compare those of ctypes and numpy.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import textwrap
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
SIZES = {"u8": 1, "i8": 1, "u16": 2, "u32": 4, "i32": 4, "u64": 8, "i64": 8, "f64": 8}
C_TYPES = {
    "u8": "uint8_t",
    "i8": "int8_t",
    "u16": "uint16_t",
    "u32": "uint32_t",
    "i32": "int32_t",
    "u64": "uint64_t",
    "i64": "int64_t",
    "f64": "double",
    "usize": "size_t",
    "void": "void",
    "char": "char",
}
NUMPY = {"u8": "u1", "i8": "i1", "u16": "u2", "u32": "u4", "i32": "i4", "u64": "u8", "i64": "i8", "f64": "f8"}
#: Kinds whose models the engine asks; the layouts of the others are settled, and nothing asks them yet.
ASKED = ("FILL", "SLIPPAGE", "IMPACT", "FEE", "LATENCY", "EXECUTOR", "BORROW", "FUNDING", "INTEREST")
ASKED += ("FX", "MARGIN", "LIQUIDATION")
NOTE = "generated from abi.toml by generate.py; do not edit"


@dataclass(frozen=True)
class Field:
    """One field of a struct, with its place."""

    name: str
    type: str  #: as in abi.toml, without the length of an array
    count: int
    doc: str
    offset: int
    size: int


@dataclass(frozen=True)
class Struct:
    """One struct; `header` says that it begins with the common fields."""

    name: str
    kind: str | None
    header: bool
    doc: str
    fields: tuple[Field, ...]
    size: int


class Abi:
    """The description, with sizes and offsets."""

    def __init__(self, text: str) -> None:
        """Read it and lay the structs out."""
        self.data = tomllib.loads(text)
        self.constants = {group["name"]: group for group in self.data["constants"]}
        self.structs: dict[str, Struct] = {}
        for entry in self.data["structs"]:
            self.structs[entry["name"]] = self._lay_out(entry)
        doc = "A native model: what it is, and its functions."
        self.table = self._lay_out({"name": "ModelTable", "doc": doc, "fields": self.data["table"]})
        self.signatures = {entry["name"]: entry.get("signature") for entry in self.data["table"]}

    def plain(self, name: str) -> str:
        """Fixed-width type of a field: a group of constants is the integer it is stored as."""
        return self.constants[name].get("type", "u32") if name in self.constants else name

    def _lay_out(self, entry: dict[str, Any]) -> Struct:
        has_header = entry.get("header", False)
        fields: list[Field] = list(self.structs["Header"].fields) if has_header else []
        end = self.structs["Header"].size if has_header else 0
        for given in entry["fields"]:
            if any(given["name"] == field.name for field in fields):
                sys.exit(f"{entry['name']}.{given['name']} is there twice")
            kind, count = given["type"], 1
            if match := re.fullmatch(r"(\w+)\[(\d+)\]", kind):
                kind, count = match[1], int(match[2])
            unit = 8 if kind == "fn" or kind.endswith("*") else SIZES[self.plain(kind)]
            if end % unit:
                where = f"{entry['name']}.{given['name']}"
                sys.exit(f"{where} would be at {end}, not a multiple of {unit}: pad explicitly")
            fields.append(Field(given["name"], kind, count, given["doc"], end, unit * count))
            end += unit * count
        if end % 8:
            sys.exit(f"{entry['name']} has {end} bytes, not a multiple of 8: pad explicitly")
        return Struct(entry["name"], entry.get("kind"), has_header, entry["doc"], tuple(fields), end)

    def evals(self) -> Iterator[tuple[list[str], list[dict[str, str]]]]:
        """Kinds and arguments of every signature of `eval`."""
        for entry in self.data["evals"]:
            yield entry["kinds"], entry["args"]


# ------------------------------------------------------------------------------------------------- Rust


def rust(abi: Abi) -> str:
    """Write src/layout.rs."""
    out = [f"//! Structs and constants: {NOTE}.", ""]
    out += ["use core::ffi::{c_char, c_void};", "use core::mem::offset_of;", ""]
    data = abi.data
    magic = int.from_bytes(data["magic"].encode(), "little")
    out += [
        "/// First field of every table.",
        f"pub const MAGIC: u64 = 0x{magic:016X};".replace(f"{magic:016X}", grouped(magic)),
        "/// Tables of another major version are refused.",
        f"pub const ABI_MAJOR: u16 = {data['major']};",
        "/// Grows when fields are appended.",
        f"pub const ABI_MINOR: u16 = {data['minor']};",
        "/// Name of the capsule that holds a table.",
        f'pub const CAPSULE: &core::ffi::CStr = c"{data["capsule"]}";',
        "",
    ]
    for name, group in abi.constants.items():
        kind = group.get("type", "u32")
        out += rust_doc(group["doc"])
        out += ["#[derive(Clone, Copy, Debug, PartialEq, Eq)]", "#[repr(transparent)]"]
        out += [f"pub struct {name}(pub {kind});", "", f"impl {name} {{"]
        for value in group["values"]:
            line = f"    pub const {value['name']}: Self = Self({value['value']});"
            out += [*rust_doc(value["doc"], 4), line]
        out += ["}", ""]
    for struct in abi.structs.values():
        out += rust_struct(abi, struct)
    out += rust_table(abi)
    return formatted("\n".join(out))


def formatted(text: str) -> str:
    """Format Rust as the workspace does, so that rustfmt leaves the file alone."""
    config = str(ROOT / "rustfmt.toml")
    command = ["rustfmt", "--edition", "2024", "--config-path", config, "--emit", "stdout"]
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        sys.exit("rustfmt is not installed: run `rustup component add rustfmt`")
    return done.stdout


def grouped(number: int) -> str:
    """Hexadecimal digits in groups of four."""
    return "_".join(textwrap.wrap(f"{number:016X}", 4))


def rust_doc(text: str, indent: int = 0) -> list[str]:
    """Lines of a documentation comment; names with an underscore are code."""
    pad = " " * indent
    text = re.sub(r"(?<![`\w])(\w*[A-Za-z]_\w+)(?![`\w])", r"`\1`", text)
    return [f"{pad}/// {line}" for line in textwrap.wrap(text, 116 - indent)]


def rust_type(field: Field) -> str:
    """Type of a field."""
    return f"[{field.type}; {field.count}]" if field.count > 1 else field.type


def rust_struct(abi: Abi, struct: Struct) -> list[str]:
    """Definition, unset value and assertions of a struct."""
    own = struct.fields[len(abi.structs["Header"].fields) :] if struct.header else struct.fields
    out = [*rust_doc(struct.doc), "#[derive(Clone, Copy, Debug)]", "#[repr(C)]"]
    out.append(f"pub struct {struct.name} {{")
    if struct.header:
        out += ["    /// Common header.", "    pub header: Header,"]
    for field in own:
        out += [*rust_doc(field.doc, 4), f"    pub {field.name}: {rust_type(field)},"]
    out += ["}", "", f"impl {struct.name} {{"]
    out += [
        "    /// Nothing set: floats are NaN, everything else is zero.",
        "    pub const UNSET: Self = Self {",
    ]
    if struct.header:
        out.append("        header: Header::UNSET,")
    for field in own:
        zero = "f64::NAN" if field.type == "f64" else "0"
        zero = f"{field.type}(0)" if field.type in abi.constants else zero
        out.append(f"        {field.name}: {f'[{zero}; {field.count}]' if field.count > 1 else zero},")
    return [*out, "    };", "}", "", *rust_assertions(struct, own)]


def rust_assertions(struct: Struct, fields: tuple[Field, ...]) -> list[str]:
    """Assert size and offsets of a struct, when it is compiled."""
    out = ["const _: () = {", f"    assert!(size_of::<{struct.name}>() == {struct.size});"]
    out += [f"    assert!(offset_of!({struct.name}, {field.name}) == {field.offset});" for field in fields]
    return [*out, "};", ""]


RUST_POINTERS = {
    "const char*": "*const c_char",
    "void*": "*mut c_void",
    "const void*": "*const c_void",
    "u8*": "*mut u8",
    "const u8*": "*const u8",
    "const u32*": "*const u32",
    "u32*": "*mut u32",
    "const f64*": "*const f64",
    "f64*": "*mut f64",
}


def rust_argument(kind: str) -> str:
    """Type of an argument of a function."""
    if kind in RUST_POINTERS:
        return RUST_POINTERS[kind]
    if kind.endswith("*"):
        is_const = kind.startswith("const ")
        return f"*{'const' if is_const else 'mut'} {kind.removeprefix('const ').removesuffix('*')}"
    return kind


def rust_signature(signature: str) -> str:
    """Type of a function of the table, from its C-like description."""
    match = re.fullmatch(r"(.*?) (\w+)\((.*)\)", signature)
    assert match is not None, signature
    result, _, arguments = match.groups()
    if arguments.endswith("..."):
        return 'Option<unsafe extern "C" fn()>'
    parts = [rust_argument(part.strip().rsplit(" ", 1)[0]) for part in arguments.split(",")]
    answer = "" if result == "void" else f" -> {'Status' if result == 'i32' else rust_argument(result)}"
    return f'Option<unsafe extern "C" fn({", ".join(parts)}){answer}>'


def rust_table(abi: Abi) -> list[str]:
    """Write the table, and the types of its `eval`."""
    out = ["/// A native model: what it is, and its functions. Missing functions are null."]
    out += ["#[derive(Clone, Copy, Debug)]", "#[repr(C)]", "pub struct ModelTable {"]
    for field in abi.table.fields:
        signature = abi.signatures[field.name]
        kind = rust_signature(signature) if signature else RUST_POINTERS.get(field.type, field.type)
        out += [*rust_doc(field.doc, 4), f"    pub {field.name}: {kind},"]
    out += ["}", "", *rust_assertions(abi.table, abi.table.fields)]
    for kinds, args in abi.evals():
        is_generic = args[0]["type"] == "const Context*"
        name = "Eval" if is_generic else f"Eval{kinds[0].capitalize()}"
        labels = ", ".join(kind.lower() for kind in kinds)
        doc = f"`eval` of the kinds {labels}: the state, then " + "; ".join(
            f"{arg['name']}: {arg['doc'][0].lower() + arg['doc'][1:].rstrip('.')}" for arg in args
        )
        out += rust_doc(doc + ".")
        types = ["*mut c_void"] + [
            {"const Context*": "*const C", "Output*": "*mut O"}.get(arg["type"], rust_argument(arg["type"]))
            for arg in args
        ]
        generics = "<C, O>" if is_generic else ""
        out += [f'pub type {name}{generics} = unsafe extern "C" fn({", ".join(types)}) -> Status;', ""]
    return out


# ---------------------------------------------------------------------------------------------------- C


def snake(name: str) -> str:
    """`FillContext` as `fill_context`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def c_type(abi: Abi, kind: str) -> str:
    """Type in C."""
    if kind.endswith("*"):
        is_const = kind.startswith("const ")
        inner = kind.removeprefix("const ").removesuffix("*")
        return f"{'const ' if is_const else ''}{c_type(abi, inner)} *"
    if kind in C_TYPES:
        return C_TYPES[kind]
    return C_TYPES[abi.plain(kind)] if kind in abi.constants else f"ml4t_{snake(kind)}"


def c_comment(text: str, indent: int = 0) -> str:
    """Wrap a comment."""
    pad = " " * indent
    return f"\n{pad} * ".join(textwrap.wrap(f"/* {text} */", 110 - indent)).replace("/*", f"{pad}/*", 1)


C_MATH = [
    "/* exp, log and pow of the engine, with the same bits on every platform. A library that defines",
    " * ml4t_set_math gets them once, before its first table is made; it keeps the pointer or copies what is",
    " * there.",
    " */",
    "typedef struct ml4t_math {",
    "    double (*exp)(double);",
    "    double (*log)(double);",
    "    double (*pow)(double, double);",
    "} ml4t_math;",
    "",
    "#ifdef __cplusplus",
    'extern "C"',
    "#endif",
    "void ml4t_set_math(const ml4t_math *math);",
    "",
]


def c_header(abi: Abi) -> str:
    """Write include/ml4t_abi.h."""
    data = abi.data
    magic = int.from_bytes(data["magic"].encode(), "little")
    out = [
        f"/* ml4t native models, interface {data['major']}.{data['minor']}; {NOTE}.",
        " *",
        " * One file is a model: define its functions, fill a static ml4t_model_table, export a function",
        " * that returns it. Compile with -ffp-contract=off, so that results equal those of the other",
        " * languages bit for bit.",
        " */",
        "#ifndef ML4T_ABI_H",
        "#define ML4T_ABI_H",
        "",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "",
        f"#define ML4T_MAGIC UINT64_C(0x{magic:016X})",
        f"#define ML4T_ABI_MAJOR {data['major']}",
        f"#define ML4T_ABI_MINOR {data['minor']}",
        "",
    ]
    for name, group in abi.constants.items():
        out.append(c_comment(group["doc"]))
        out.append("enum {")
        for value in group["values"]:
            out.append(c_comment(value["doc"], 4))
            out.append(f"    ML4T_{snake(name).upper()}_{value['name']} = {value['value']},")
        out += ["};", ""]
    for struct in abi.structs.values():
        out += [c_comment(struct.doc), f"typedef struct ml4t_{snake(struct.name)} {{"]
        for field in struct.fields:
            length = f"[{field.count}]" if field.count > 1 else ""
            out += [c_comment(field.doc, 4), f"    {c_type(abi, field.type)} {field.name}{length};"]
        out += [f"}} ml4t_{snake(struct.name)};", ""]
    out += ["struct ml4t_model_table;", ""]
    for kinds, args in abi.evals():
        for kind in kinds if args[0]["type"] == "const Context*" else kinds[:1]:
            context = next(s.name for s in abi.structs.values() if s.kind == kind)
            renamed = {"const Context*": f"const {context}*", "Output*": f"{kind.capitalize()}Output*"}
            parts = ["void *state"]
            for arg in args:
                kind_of = c_type(abi, renamed.get(arg["type"], arg["type"]))
                parts.append(f"{kind_of}{'' if kind_of.endswith('*') else ' '}{arg['name']}")
            out.append(f"typedef int32_t (*ml4t_eval_{kind.lower()})({', '.join(parts)});")
    out += ["", c_comment(abi.table.doc), "typedef struct ml4t_model_table {"]
    for field in abi.table.fields:
        out.append(c_comment(field.doc, 4))
        signature = abi.signatures[field.name]
        out.append(f"    {c_function(abi, signature)};" if signature else f"    {c_declared(abi, field)};")
    out += [
        "} ml4t_model_table;",
        "",
        *C_MATH,
        "#if defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L",
    ]
    for struct in [*abi.structs.values(), abi.table]:
        name = f"ml4t_{snake(struct.name)}"
        out.append(f'_Static_assert(sizeof({name}) == {struct.size}, "{name}");')
        out += [
            f'_Static_assert(offsetof({name}, {field.name}) == {field.offset}, "{name}.{field.name}");'
            for field in struct.fields
        ]
    return "\n".join([*out, "#endif", "", "#endif", ""])


def c_declared(abi: Abi, field: Field) -> str:
    """Declare a field of the table."""
    kind = c_type(abi, field.type)
    return f"{kind}{'' if kind.endswith('*') else ' '}{field.name}"


def c_function(abi: Abi, signature: str) -> str:
    """Declare a function of the table."""
    match = re.fullmatch(r"(.*?) (\w+)\((.*)\)", signature)
    assert match is not None, signature
    result, name, arguments = match.groups()
    result = c_type(abi, result)
    if arguments.endswith("..."):
        return "void (*eval)(void)"
    parts = []
    for part in arguments.split(","):
        kind, label = part.strip().rsplit(" ", 1)
        kind = "struct ml4t_model_table *" if kind == "ModelTable*" else c_type(abi, kind)
        parts.append(f"{kind}{'' if kind.endswith('*') else ' '}{label}")
    return f"{result}{'' if result.endswith('*') else ' '}(*{name})({', '.join(parts)})"


# ----------------------------------------------------------------------------------------------- Python


def python(abi: Abi) -> str:
    """Write the tables of `ml4t.native`."""
    data = abi.data
    magic = int.from_bytes(data["magic"].encode(), "little")
    out = [
        f'"""Layouts of the native model interface: {NOTE}.',
        "",
        "Fields are (name, numpy type, offset, number of values), the numbers as in the header `ml4t_abi.h`.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "from typing import Final",
        "",
        f"MAGIC: Final = 0x{grouped(magic)}",
        f"ABI_MAJOR: Final = {data['major']}",
        f"ABI_MINOR: Final = {data['minor']}",
        f'CAPSULE: Final = b"{data["capsule"]}"',
        "",
        "CONSTANTS: Final[dict[str, dict[str, int]]] = {",
    ]
    for name, group in abi.constants.items():
        out.append(f'    "{name}": {{')
        out += [f'        "{value["name"]}": {value["value"]},' for value in group["values"]]
        out.append("    },")
    kind_of_structs = "dict[str, tuple[int, tuple[tuple[str, str, int, int], ...]]]"
    out += ["}", "", "#: Name, kind, size and fields.", f"STRUCTS: Final[{kind_of_structs}] = {{"]
    for struct in [*abi.structs.values(), abi.table]:
        out += [f'    "{struct.name}": (', f"        {struct.size},"]
        rows = []
        for field in struct.fields:
            code = "P" if field.type == "fn" or field.type.endswith("*") else NUMPY[abi.plain(field.type)]
            rows.append(f'("{field.name}", "{code}", {field.offset}, {field.count}),')
        # As `ruff format` writes a tuple of one.
        shown = (
            [f"        ({rows[0]}),"]
            if len(rows) == 1
            else ["        (", *(f"            {row}" for row in rows), "        ),"]
        )
        out += [*shown, "    ),"]
    out += [
        "}",
        "",
        "#: Of every kind the arguments of `eval` after the state: (name, type).",
        "EVALS: Final[dict[str, tuple[tuple[str, str], ...]]] = {",
    ]
    for kinds, args in abi.evals():
        for kind in kinds:
            out.append(f'    "{kind}": (')
            for arg in args:
                label = arg["type"]
                context = next((s.name for s in abi.structs.values() if s.kind == kind), "StrategyContext")
                label = label.replace("const Context*", f"const {context}*")
                label = f"{kind.capitalize()}Output*" if label == "Output*" else label
                out.append(f'        ("{arg["name"]}", "{label}"),')
            out.append("    ),")
    return "\n".join([*out, "}", ""])


# ------------------------------------------------------------------------------------------------- docs


def page(abi: Abi) -> str:
    """Write docs/reference/native-layouts.md."""
    data = abi.data
    out = [
        "# Layouts of native models",
        "",
        f"Interface {data['major']}.{data['minor']}, generated from `ml4t-engine-rs/crates/abi/abi.toml`.",
        "Little-endian, natural alignment, padding written out. Within a major version fields are only",
        "appended. [Write a model](../how-to/write-a-model.md) says how to use them.",
        "",
        f"The engine asks models of the kinds {', '.join(kind.lower() for kind in ASKED)}, and strategy",
        "kernels; the layouts of the other kinds are settled, and nothing asks them yet.",
        "",
        "## Table",
        "",
        "| offset | field | type | |",
        "|---|---|---|---|",
    ]
    for field in abi.table.fields:
        kind = abi.signatures[field.name] or field.type
        out.append(f"| {field.offset} | `{field.name}` | `{kind}` | {field.doc} |")
    out += ["", f"{abi.table.size} bytes.", "", "## `eval` of each kind", ""]
    for kinds, args in abi.evals():
        out += [f"{', '.join(f'`{kind.lower()}`' for kind in kinds)}: `i32 eval(void* state, ...)` with", ""]
        out += ["| argument | type | |", "|---|---|---|"]
        out += [f"| `{arg['name']}` | `{arg['type']}` | {arg['doc']} |" for arg in args]
        out.append("")
    out += ["## Constants", ""]
    for name, group in abi.constants.items():
        out += [f"### {name}", "", group["doc"], "", "| name | value | |", "|---|---|---|"]
        out += [f"| `{value['name']}` | {value['value']} | {value['doc']} |" for value in group["values"]]
        out.append("")
    out += ["## Structs", ""]
    for struct in abi.structs.values():
        out += [f"### {struct.name}", "", f"{struct.doc} {struct.size} bytes."]
        if struct.header:
            out.append("It begins with the fields of `Header`.")
        out += ["", "| offset | field | type | |", "|---|---|---|---|"]
        own = struct.fields[len(abi.structs["Header"].fields) :] if struct.header else struct.fields
        for field in own:
            length = f"[{field.count}]" if field.count > 1 else ""
            out.append(f"| {field.offset} | `{field.name}` | `{field.type}{length}` | {field.doc} |")
        out.append("")
    return "\n".join(out).rstrip() + "\n"


FILES: dict[Path, Callable[[Abi], str]] = {
    HERE / "src/layout.rs": rust,
    HERE / "include/ml4t_abi.h": c_header,
    ROOT / "plugins/ml4t-native/src/ml4t/native/layouts.py": python,
    ROOT / "docs/reference/native-layouts.md": page,
}


def main() -> int:
    """Write the files, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    abi = Abi((HERE / "abi.toml").read_text(encoding="utf-8"))
    stale = []
    for path, write in FILES.items():
        text = write(abi)
        if check:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(str(path.relative_to(ROOT)))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if stale:
        sys.stderr.write(f"not what abi.toml says: {', '.join(stale)}; run {Path(__file__).name}\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())

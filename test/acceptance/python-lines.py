"""Runs the statements of pages, one after the other: JSON [[code, ...], ...], a page's blocks share their names.

Prints for each statement: its source, how many rows its value has, or what went wrong.
"""

import ast
import json
import re
import sys

told = []


def missing(error, names):
    """The module that a statement wants and that is not here, or None."""
    if isinstance(error, NameError):
        name = re.search(r"name '(\w+)'", str(error)).group(1)
        return names.get(name)
    if isinstance(error, ImportError):
        # pandas says in words that it wants pyarrow.
        return error.name or ("pyarrow" if "pyarrow" in str(error) else str(error))
    return None


def module_names(node):
    return {(alias.asname or alias.name).split(".")[0]: alias.name.split(".")[0] for alias in node.names}


for blocks in json.load(open(sys.argv[1], encoding="utf-8")):
    names, absent = {}, {}
    for code in blocks:
        for node in ast.parse(code).body:
            told.append({"line": ast.get_source_segment(code, node)})
            try:
                if isinstance(node, ast.Expr):
                    value = eval(compile(ast.Expression(node.value), "page", "eval"), names)
                    told[-1]["rows"] = len(value) if hasattr(value, "__len__") else None
                else:
                    exec(compile(ast.Module([node], []), "page", "exec"), names)
            except Exception as error:
                want = missing(error, absent)
                if want is None:
                    told[-1]["error"] = repr(error)
                else:
                    told[-1]["missing"] = want
                    if isinstance(node, ast.Import):
                        absent.update(module_names(node))
                    if isinstance(node, ast.Assign):
                        # An earlier value of that name is not what later lines mean.
                        for target in node.targets:
                            names.pop(target.id, None)
                            absent[target.id] = want
print(json.dumps(told))

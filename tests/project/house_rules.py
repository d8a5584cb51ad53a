"""Which house rules can a machine check? Each rule reads one file's syntax tree and names what breaks it.

A line may be excused by `# house: <rule>: <reason>`; an excuse without a reason is none.
"""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

FILE_LINES = 400
FUNCTION_LINES = 50
WRITES = {
    "save", "create", "update", "delete", "get_or_create", "update_or_create", "bulk_create", "bulk_update", "aget_or_create",
    "acreate", "asave", "adelete", "aupdate",
}  # fmt: skip
# Receivers whose method of the same name writes no row.
HARMLESS = {
    "hashlib",
    "hash",
    "digest",
    "content",
    "kwargs",
    "options",
    "environ",
    "headers",
    "context",
    "hmac",
    "conf",
}
CLOCKS = {("timezone", "now"), ("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"),
          ("timezone", "localdate"), ("timezone", "localtime"), ("time", "time")}  # fmt: skip
DOOR_NAMES = {"api", "webhooks", "pages", "tasks", "admin", "commands", "health", "celery", "supervisor", "embedded"}
MONEY_PARTS = {"money", "drafts", "chart", "accounting", "decisions", "services", "models", "queries"}
EXCUSE = re.compile(r"#\s*house:\s*(?P<rule>[a-z-]+):\s*\S")


@dataclass(frozen=True, order=True)
class Breach:
    """One line that breaks one rule."""

    path: str
    line: int
    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.what}"


@dataclass(frozen=True)
class Source:
    """One file: where it is, its text and its tree."""

    path: PurePosixPath
    text: str
    tree: ast.Module

    @classmethod
    def read(cls, path: str, text: str) -> "Source":
        """Parse it."""
        return cls(PurePosixPath(path), text, ast.parse(text))

    @property
    def parts(self) -> set[str]:
        """Folder names and the file's own name."""
        return {*self.path.parts[:-1], self.path.stem}

    def excused(self, line: int, rule: str) -> bool:
        """Whether the line says why it may."""
        found = EXCUSE.search(self.text.splitlines()[line - 1]) if line else None
        return bool(found and found["rule"] == rule)


Found = Iterator[tuple[int, str]]


def writes_only_in_services(source: Source) -> Found:
    """A row is written, and a transaction opened, only in a services module."""
    if "services" in source.parts or source.parts & {"simulator", "migrations"}:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITES:
            receiver = ast.unparse(node.func.value)
            if receiver.rsplit(".", 1)[-1] not in HARMLESS and not _is_plain_update(node):
                yield node.lineno, f"{receiver}.{node.func.attr}() outside a services module"
        if isinstance(node, ast.Attribute) and node.attr == "atomic":
            yield node.lineno, "transaction.atomic outside a services module"


def _is_plain_update(call: ast.Call) -> bool:
    """`mapping.update(other)`: a row's update takes keywords only."""
    assert isinstance(call.func, ast.Attribute)
    return call.func.attr == "update" and bool(call.args)


def clock_read_only_in_doors(source: Source) -> Found:
    """What happens at a moment is told the moment."""
    if source.parts & DOOR_NAMES or source.parts & {"simulator", "migrations", "console", "config"}:
        return
    calls = (node for node in ast.walk(source.tree) if isinstance(node, ast.Call))
    for function in (call.func for call in calls if isinstance(call.func, ast.Attribute)):
        if (ast.unparse(function.value).rsplit(".", 1)[-1], function.attr) in CLOCKS:
            yield function.lineno, f"{ast.unparse(function)}() outside a door: take `now` as an argument"


def one_service_call_a_door(source: Source) -> Found:
    """A task, command, API function, webhook or admin view makes at most one call into a services module."""
    if not source.parts & {"api", "webhooks", "pages", "tasks", "admin", "commands"}:
        return
    if source.parts & {"services", "simulator"}:
        return
    functions, modules = _services_imported(source.tree)
    for function in _top_functions(source.tree):
        called = [call for call in _calls(function) if _is_service_call(call, functions, modules)]
        if len(called) > 1 and not _exclusive(function, called):
            names = ", ".join(ast.unparse(call.func) for call in called)
            yield function.lineno, f"{function.name} makes {len(called)} service calls: {names}"


def _services_imported(tree: ast.Module) -> tuple[set[str], set[str]]:
    functions: set[str] = set()
    modules: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and "services" in node.module.split("."):
            inside = node.module.endswith(".services")
            for alias in node.names:
                name = alias.asname or alias.name
                if alias.name[0].islower():
                    functions.add(name)
                    if inside:
                        modules.add(name)
        elif isinstance(node, ast.ImportFrom) and any(alias.name == "services" for alias in node.names):
            modules |= {alias.asname or alias.name for alias in node.names if alias.name == "services"}
    return functions, modules


def _top_functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield node


def _calls(function: ast.FunctionDef) -> Iterator[ast.Call]:
    inner = {id(each) for child in ast.walk(function) if isinstance(child, ast.FunctionDef) and child is not function
             for each in ast.walk(child)}  # fmt: skip
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and id(node) not in inner:
            yield node


def _is_service_call(call: ast.Call, functions: set[str], modules: set[str]) -> bool:
    if isinstance(call.func, ast.Name):
        return call.func.id in functions
    if not isinstance(call.func, ast.Attribute) or not call.func.attr[0].islower():
        return False
    return ast.unparse(call.func.value).split(".")[0] in modules


def _exclusive(function: ast.FunctionDef, calls: list[ast.Call]) -> bool:
    """Whether at most one of the calls is made on any way through: each in another branch, or behind a return."""
    return _most(function.body, calls)[0] <= 1


def _most(body: list[ast.stmt], calls: list[ast.Call]) -> tuple[int, bool]:
    """The largest number of the calls on one way through `body`, and whether every way leaves the function."""
    total, left = 0, 0  # on the way that goes on; on the ways that have left
    for statement in body:
        if isinstance(statement, ast.If):
            (yes, yes_leaves), (no, no_leaves) = _most(statement.body, calls), _most(statement.orelse, calls)
            total += _count(statement.test, calls)
            left = max(left, total + yes if yes_leaves else 0, total + no if no_leaves else 0)
            if yes_leaves and no_leaves:
                return left, True
            total += max(0 if yes_leaves else yes, 0 if no_leaves else no)
        else:
            total += _inside(statement, calls)
        if isinstance(statement, ast.Return | ast.Raise):
            return max(left, total), True
    return max(left, total), False


def _inside(statement: ast.stmt, calls: list[ast.Call]) -> int:
    """The calls of one statement that is no `if`: all parts of a loop, `with` or `try`, but one handler at most."""
    if isinstance(statement, ast.FunctionDef):
        return 0
    parts = [part for name in ("body", "orelse", "finalbody") if (part := getattr(statement, name, []))]
    if not parts:
        return _count(statement, calls)
    handlers = max((_most(handler.body, calls)[0] for handler in getattr(statement, "handlers", [])), default=0)
    heads = [
        *getattr(statement, "items", []),
        *filter(None, [getattr(statement, "iter", None), getattr(statement, "test", None)]),
    ]
    return sum(_most(part, calls)[0] for part in parts) + handlers + sum(_count(head, calls) for head in heads)


def _count(node: ast.AST, calls: list[ast.Call]) -> int:
    if isinstance(node, ast.IfExp):
        return _count(node.test, calls) + max(_count(node.body, calls), _count(node.orelse, calls))
    return (node in calls) + sum(_count(child, calls) for child in ast.iter_child_nodes(node))


def no_float_in_money_code(source: Source) -> Found:
    """Money is whole minor units; a float has lost some of it already."""
    pure_money = source.path.parts[0] == "ledger" or (source.path.parts[0] == "payments" and source.parts & MONEY_PARTS)
    if not pure_money or source.parts & {"migrations", "metrics"}:  # a gauge of Prometheus is a float
        return
    durations = {
        id(node.value)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).endswith("_SECONDS")
    }
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float) and id(node) not in durations:
            yield node.lineno, f"the float {node.value}"
        elif isinstance(node, ast.Name) and node.id == "float" and not _is_refusal_of_float(source, node.lineno):
            yield node.lineno, "float"


def _is_refusal_of_float(source: Source, line: int) -> bool:
    return "isinstance(" in source.text.splitlines()[line - 1]


def every_module_has_a_docstring(source: Source) -> Found:
    """The first thing a file says is which question it answers."""
    if "migrations" in source.parts:
        return
    if not ast.get_docstring(source.tree):
        yield 1, "the module opens without a docstring"


def sizes(source: Source) -> Found:
    """What does not fit on a few screens is two things."""
    if "migrations" in source.parts:
        return
    if (lines := len(source.text.splitlines())) > FILE_LINES:
        yield 1, f"{lines} lines, at most {FILE_LINES}"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield node.lineno, f"{node.name} has {lines} lines, at most {FUNCTION_LINES}"


RULES: dict[str, Callable[[Source], Found]] = {
    "writes": writes_only_in_services,
    "clock": clock_read_only_in_doors,
    "one-service": one_service_call_a_door,
    "float": no_float_in_money_code,
    "docstring": every_module_has_a_docstring,
    "size": sizes,
}


def breaches(path: str, text: str) -> list[Breach]:
    """Every breach of every rule in one file."""
    source = Source.read(path, text)
    return sorted(
        Breach(path, line, rule, what)
        for rule, check in RULES.items()
        for line, what in check(source)
        if not source.excused(line, rule)
    )

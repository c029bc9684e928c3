"""Writes the README.md of the root module, each module and each example: its leading comment, its variables, its outputs.

Usage: reference.py FOLDER [--check]; with --check nothing is written, and what differs is named.
"""

import json
import re
import sys
from pathlib import Path

import hcl2


def plain(kind):
    """A type as it is written: hcl2 gives expressions as ${…}, and objects as Python prints them."""
    kind = re.sub(r"'(\w+)': '\$\{(.*?)\}'", r"\1 = \2", kind)
    return re.sub(r"\$\{(.*)\}", r"\1", kind, flags=re.DOTALL)


def default(variable):
    if "default" not in variable:
        return "required"
    value = variable["default"]
    return f"`{json.dumps(value)}`"


def blocks(folder, file, kind):
    path = folder / file
    if not path.exists():
        return []
    with open(path, encoding="utf-8") as source:
        found = [next(iter(block.items())) for block in hcl2.load(source).get(kind, [])]
    # Each attribute comes in a list of one, and each nested block as one of a list.
    return [(name, {key: unwrapped(key, value) for key, value in body.items()}) for name, body in found]


def unwrapped(key, value):
    return value[0] if isinstance(value, list) and key != "validation" else value


def purpose(folder):
    """The comment with which main.tf begins."""
    lines = []
    for line in (folder / "main.tf").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("# "))
    return "\n".join(lines)


def title(folder, root):
    return "Millrace on AWS" if folder == root else str(folder.relative_to(root))


def page(folder, root):
    parts = [f"# {title(folder, root)}", purpose(folder), ""]
    parts += ["## Variables", "| name | type | default | meaning |", "| --- | --- | --- | --- |"]
    for name, variable in blocks(folder, "variables.tf", "variable"):
        kind = " ".join(plain(variable["type"]).split()).replace("|", "\\|")
        parts.append(f"| `{name}` | `{kind}` | {default(variable)} | {variable['description']} |")
    parts += ["", "## Outputs", "| name | meaning |", "| --- | --- |"]
    parts += [f"| `{name}` | {output['description']} |" for name, output in blocks(folder, "outputs.tf", "output")]
    return "\n".join(parts) + "\n"


def rules(folder):
    """How many validations each variable has."""
    return {name: len(variable.get("validation", [])) for name, variable in blocks(folder, "variables.tf", "variable")}


def untested(root):
    """Validations that no run of the tests expects to fail."""
    expected = {}
    for path in sorted((root / "tests").glob("*.tftest.hcl")):
        for run in path.read_text(encoding="utf-8").split('\nrun "')[1:]:
            module = re.search(r'source = "\./(modules/[a-z-]+)"', run)
            for failures in re.findall(r"expect_failures = \[(.*?)\]", run, re.DOTALL):
                for name in re.findall(r"var\.(\w+)", failures):
                    key = (module[1] if module else ".", name)
                    expected[key] = expected.get(key, 0) + 1
    wrong = []
    for folder in [root, *sorted((root / "modules").iterdir())]:
        place = "." if folder == root else str(folder.relative_to(root))
        for name, count in rules(folder).items():
            if expected.get((place, name), 0) < count:
                wrong.append(f"{place}: {count} rules on {name}, and fewer tests of what they reject")
    return wrong


def undescribed(folder):
    """Variables without a type or a description, outputs without a description."""
    wrong = [
        f"{folder}: variable {name} lacks its {part}"
        for name, variable in blocks(folder, "variables.tf", "variable")
        for part in ("type", "description")
        if not variable.get(part)
    ]
    return wrong + [
        f"{folder}: output {name} lacks its description"
        for name, output in blocks(folder, "outputs.tf", "output")
        if not output.get("description")
    ]


def main(folder, check):
    root = Path(folder)
    wrong = untested(root)
    for each in [root, *sorted((root / "modules").iterdir()), *sorted((root / "examples").iterdir())]:
        wrong += undescribed(each)
        text, readme = page(each, root), each / "README.md"
        if not check:
            readme.write_text(text, encoding="utf-8")
        elif not readme.exists() or readme.read_text(encoding="utf-8") != text:
            wrong.append(f"{readme} is not what the variables say: run `make terraform-reference`")
    print("\n".join(wrong) or "as the variables say")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], "--check" in sys.argv[2:]))

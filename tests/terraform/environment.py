"""The whole environment of the API's container, as Terraform wrote it, read by the API itself: `millrace config` takes each
variable, and refuses one that it does not know.

Usage: environment.py STATE MILLRACE, where STATE is what `terraform show -json` said of the example `minimal`.
"""

import json
import subprocess
import sys


def modules(module):
    yield module
    for child in module.get("child_modules", []):
        yield from modules(child)


def environment(state):
    """The variables of the one container that the task of the API has."""
    tasks = [
        resource["values"]
        for module in modules(state["values"]["root_module"])
        for resource in module.get("resources", [])
        if resource["type"] == "aws_ecs_task_definition"
    ]
    (task,) = tasks
    (container,) = json.loads(task["container_definitions"])
    return {each["name"]: each["value"] for each in container["environment"]}


def read(millrace, variables):
    # Fargate says beside them where the task runs.
    region = variables["MILLRACE_PLATFORM__LAMBDA__CLUSTER"].split(":")[3]
    command = [millrace, "config", "--json"]
    return subprocess.run(command, env={**variables, "AWS_REGION": region}, capture_output=True, text=True)


def normal(name):
    return name.lower().replace(".", "_")


def find(config, path):
    """What stands there. The names of properties have dots, which variables cannot have."""
    for part in path:
        config = next((value for name, value in config.items() if normal(name) == part), None)
        if config is None:
            return None
    return config


def main(state, millrace):
    with open(state, encoding="utf-8") as file:
        variables = environment(json.load(file))
    told = read(millrace, variables)
    if told.returncode != 0:
        raise SystemExit(f"the API refuses the settings that Terraform wrote: {told.stderr}")
    config = json.loads(told.stdout)
    lost = []
    for name, value in variables.items():
        path = [part.lower() for part in name.removeprefix("MILLRACE_").split("__")]
        found = find(config, path)
        text = found if isinstance(found, str) else json.dumps(found)
        if text != value:
            lost.append(f"{name} is {value!r}, and the API has {text}")
    if lost:
        raise SystemExit("\n".join(lost))
    unknown = read(millrace, {**variables, "MILLRACE_PLATFORM__LAMBDA__NO_SUCH_KEY": "1"})
    if unknown.returncode == 0:
        raise SystemExit("the API takes a variable that nobody reads, so this shows nothing")
    print(f"{len(variables)} variables")


if __name__ == "__main__":
    main(*sys.argv[1:])

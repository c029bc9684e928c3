"""Runs checkov: nothing may fail, no file may be left unread, and each skip says why. Usage: scan.py FOLDER"""

import json
import re
import subprocess
import sys
from pathlib import Path

folder = Path(sys.argv[1])
checkov = Path(sys.executable).with_name("checkov")
run = subprocess.run(
    [checkov, "--directory", folder, "--framework", "terraform", "--skip-download", "--compact", "--quiet", "--output", "json"],
    stdout=subprocess.PIPE,
    check=False,
)
report = json.loads(run.stdout)
wrong = [f"{each['check_id']} {each['check_name']}: {each['resource']}" for each in report["results"]["failed_checks"]]
if report["summary"]["parsing_errors"]:
    wrong.append(f"not read: {report['results'].get('parsing_errors')}")
if report["summary"]["passed"] < 200:
    wrong.append(f"only {report['summary']['passed']} checks ran")
for path in sorted(folder.rglob("*.tf")):
    for skip in re.findall(r"#checkov:skip=(.*)", path.read_text(encoding="utf-8")):
        if not re.fullmatch(r"CKV2?_AWS_\d+:\S.{10,}", skip):
            wrong.append(f"{path}: a skip without its reason: {skip}")
print("\n".join(wrong))
sys.exit(1 if wrong else 0)

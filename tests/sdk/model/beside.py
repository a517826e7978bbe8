"""Runs a command beside the scripted model, whose origin it gets as MODEL_URL.

    python beside.py COMMAND…"""

import os
import subprocess
import sys

model = subprocess.Popen(
    [sys.executable, "-B", os.path.join(os.path.dirname(os.path.abspath(__file__)), "serve.py")],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
)
try:
    origin = model.stdout.readline().strip()
    sys.exit(subprocess.run(sys.argv[1:], env=os.environ | {"MODEL_URL": origin}, stdin=subprocess.DEVNULL).returncode)
finally:
    model.kill()
    model.wait()

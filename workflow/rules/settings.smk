import sys
from pathlib import Path

SCRIPTS = Path(workflow.basedir) / "scripts"
sys.path.insert(0, str(SCRIPTS))

from nsdrecon.settings import complete_settings

complete_settings(config, Path(workflow.basedir) / "schemas" / "config.schema.yaml")

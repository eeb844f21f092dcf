import sys
from pathlib import Path

SCRIPTS = Path(workflow.basedir) / "scripts"
sys.path.insert(0, str(SCRIPTS))

from nsdrecon.settings import check_settings

check_settings(config, Path(workflow.basedir) / "schemas" / "config.schema.yaml")
